"""Where an image stands in a gallery."""

from collections.abc import Collection, Mapping, Sequence

from PIL import Image

from mstar.search.ranking import Rank

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Sprite


def ranks(
    queries: Sequence[tuple[str, str]],
    places: Sequence[Rank],
    thumbnails: Sequence[Image.Image],
    own: int,
    answers: Mapping[tuple[str, str], Collection[int]],
    top: int = 5,
) -> Picture:
    """Where an image stands in a gallery, for each query.

    Args:
        queries: (text, style).
        places: one `Rank` a query.
        thumbnails: every image of the gallery.
        own: index of the image the report is about.
        answers: query -> indices of the images that are known to show it.
        top: thumbnails a query.
    """
    shown: dict[int, int] = {}  # gallery index -> cell of the sheet
    rows = []
    for query, place in zip(queries, places, strict=True):
        best = list(place.order[:top])
        indices = best if own in best else [*best[: top - 1], own]
        items = []
        for index in indices:
            cell = shown.setdefault(index, len(shown))
            rank = place.order.index(index) + 1
            if rank > top:
                items.append('<li class="mv-gap" aria-hidden="true">…</li>')
            items.append((index, cell, rank, index in answers.get(query, ())))
        rows.append((query, place, items))
    sheet = sprites.sheet([thumbnails[index] for index in shown])
    total = places[0].total
    lines = []
    for (query, style), place, items in rows:
        strip = "".join(i if isinstance(i, str) else _thumb(sheet, own, *i) for i in items)
        ordinal = f"{place.rank} of {place.total}"
        lines.append(
            f'<tr role="row"><td role="cell"><span class="mv-query"><bdi>{text(query)}</bdi></span>'
            f'<br><span class="mv-quiet">{text(style)}</span></td>'
            f'<td role="cell" class="mv-number" data-label="Rank"><b>{ordinal}</b><br>'
            f'<span class="mv-quiet">score {place.score:.3f}</span></td>'
            f'<td role="cell"><div class="mv-plate" style="padding:8px">'
            f'<ol class="mv-strip">{strip}</ol></div></td></tr>'
        )
    head = "".join(f'<th role="columnheader">{n}</th>' for n in ("Text", "Rank", f"Best {top}"))
    body = markup.figure(
        "Where it ranks in the sample gallery",
        f"For each text the {total} images of the gallery are sorted by score, best first; this "
        "image is framed and named, and ✓ marks images known to show the text, so good ranking "
        "has its ✓ in front.",
        f'<table class="mv-table" role="table"><thead><tr role="row">{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>",
    )
    return Picture(body, {"thumb": sheet.uri})


def _thumb(sheet: Sprite, own: int, index: int, cell: int, rank: int, answers: bool) -> str:
    about = f"Rank {rank}" + ", this image" * (index == own) + ", shows the text" * answers
    return (
        f'<li{" class=mv-own" * (index == own)}><span class="mv-thumb" role="img" '
        f'aria-label="{about}." style="{sheet.style(cell)}"></span>'
        f"<b>{rank}{' ✓' * answers}</b>{'this image' * (index == own)}</li>"
    )
