"""Queries with the images that were ranked best for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from mstar.texts import Query

from .. import sprites
from ..markup import draw
from ..picture import Picture


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
    sheet = sprites.sheet(_photo(photos[image]) for image in cells) if cells else None
    body = draw(
        "queries.html", title=title, caption=caption, rows=rows, names=names, cells=cells,
        sheet=sheet,
    )  # fmt: skip
    return Picture(body, {"thumb": sheet.uri} if sheet else {})


def _photo(image: Image.Image) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)
