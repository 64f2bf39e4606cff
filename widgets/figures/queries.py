"""Queries with the images that were ranked best for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from mstar.texts import Query

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Sprite
from .notes import framed_table


@dataclass(frozen=True)
class Ranking:
    """A query and its best images.

    Attributes:
        query: what was asked.
        said: its numbers, in words.
        images: indices, best first.
        relevant: of each whether it answers the query.
    """

    query: Query
    said: str
    images: Sequence[int]
    relevant: Sequence[bool]


def queries(
    title: str,
    caption: str,
    rows: Sequence[Ranking],
    photos: Sequence[Image.Image],
    names: Sequence[str],
) -> Picture:
    """A row a query: what was asked, its numbers, its best images with ✓ where they answer it.

    Args:
        photos: the gallery; only what is shown is opened.
        names: of the gallery's images.
    """
    cells = {image: cell for cell, image in enumerate({i: None for r in rows for i in r.images})}
    if not cells:
        return Picture(markup.figure(title, caption, '<p class="mv-said">None.</p>'))
    sheet = sprites.sheet(_photo(photos[image]) for image in cells)
    lines = []
    for row in rows:
        strip = "".join(
            _thumb(sheet, cells[image], names[image], rank, answers)
            for rank, (image, answers) in enumerate(zip(row.images, row.relevant, strict=True), 1)
        )
        lines.append(
            f'<tr role="row"><td role="cell"><span class="mv-query"><bdi>{text(row.query.text)}'
            f'</bdi></span><br><span class="mv-quiet">{text(row.query.style)}; '
            f"{text(row.said)}</span></td>"
            f'<td role="cell"><div class="mv-plate" style="padding:8px">'
            f'<ol class="mv-strip">{strip}</ol></div></td></tr>'
        )
    shown = framed_table(title, caption, ("Text", "Best images"), "".join(lines))
    return replace(shown, images={"thumb": sheet.uri})


def _photo(image: Image.Image) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def _thumb(sheet: Sprite, cell: int, name: str, rank: int, answers: bool) -> str:
    about = f"Rank {rank}, {name}, {'answers' if answers else 'does not answer'} the query."
    return (
        f'<li><span class="mv-thumb" role="img" aria-label="{text(about)}" '
        f'title="{text(name)}" style="{sheet.style(cell)}"></span>'
        f"<b>{rank} {'✓' if answers else '✗'}</b></li>"
    )
