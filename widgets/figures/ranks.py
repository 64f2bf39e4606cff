"""Where an image stands in a gallery."""

from collections.abc import Collection, Mapping, Sequence

from PIL import Image

from mstar.search.ranking import Rank

from .. import sprites
from ..markup import draw
from ..picture import Picture


def ranks(
    queries: Sequence[tuple[str, str]],
    places: Sequence[Rank],
    thumbnails: Sequence[Image.Image],
    own: int,
    answers: Mapping[tuple[str, str], Collection[int]],
    top: int = 5,
    where: str = "the sample gallery",
) -> Picture:
    """Where an image stands in a gallery, for each query.

    Args:
        queries: (text, style).
        places: one `Rank` a query.
        thumbnails: every image of the gallery; those that are shown are taken one at a time.
        own: index of the image the report is about.
        answers: query -> indices of the images that are known to show it.
        top: thumbnails a query.
        where: what the page calls the gallery.
    """
    shown: dict[int, int] = {}  # gallery index -> cell of the sheet
    rows = []
    for query, place in zip(queries, places, strict=True):
        best = list(place.order[:top])
        indices = best if own in best else [*best[: top - 1], own]
        images = []
        for index in indices:
            rank, answer = place.order.index(index) + 1, index in answers.get(query, ())
            said = f"Rank {rank}{', this image' * (index == own)}{', shows the text' * answer}."
            cell = shown.setdefault(index, len(shown))
            images.append(dict(cell=cell, rank=rank, said=said, own=index == own, answers=answer))
        rows.append(dict(text=query[0], style=query[1], place=place, images=images))
    sheet = sprites.sheet(thumbnails[index] for index in shown)
    caption = (
        f"For each text the {places[0].total} images of the gallery are sorted by score, best "
        "first; this image is framed and named"
    )
    if any(answers.values()):
        caption += ", and ✓ marks images known to show the text, so good ranking has its ✓ in front"
    caption += "."
    body = draw("ranks.html", where=where, caption=caption, rows=rows, top=top, sheet=sheet)
    return Picture(body, {"thumb": sheet.uri})
