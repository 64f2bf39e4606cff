"""The vision embedding that each text is assigned, or draws on most."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mstar.explain import looks as explain
from mstar.explain.assignment import Evidence, explain_words
from mstar.hooks.trace import Trace
from mstar.model.assignment import Place

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from .parts import nothing, over, place_said, said_of, tile_styles, times_even

#: Whether texts draw on weighted embeddings -> what their number is called, and a caption.
_KINDS = {
    False: (
        "Cosine",
        "Each word is assigned one vision embedding of its own; the map shows where that one "
        "looked, the lead how far its cosine lies above the next best embedding’s (below zero: "
        "another word took the better one, which still makes the score).",
    ),
    True: (
        "Weight",
        "Texts of several words draw on all embeddings at once; shown is the one with the largest "
        "weight, its share of the attention over embeddings, where it looked, and how far its "
        "weight lies above the next.",
    ),
}


def words(trace: Trace, image: int = 0) -> Picture:
    """The queries, each with its vision embedding and where that one looked."""
    evidence = explain_words(trace, image)
    found = [row for row in evidence if row.kind != "none"]
    if not found:
        return nothing("Which embedding each text has", "No text was assigned an embedding.")
    every = (
        explain.cross_attention(trace, image).mean((1, 3)).numpy()
    )  # [look, tile, query_token, …]
    maps = times_even(np.stack([every[row.look, row.tile, row.query_token] for row in found]))
    scale = Scale.of(maps)
    styles = tile_styles(trace, image)
    sprite = sprites.map_sprite(maps, scale)
    kinds = []
    for is_weighted, (measure, caption) in _KINDS.items():
        if rows := [row for row in evidence if (row.kind == "weighted") == is_weighted]:
            caption += " It belongs to one tile, the part of the photograph that is framed." * bool(
                styles
            )
            cards = [_card(row, found, maps, styles) for row in rows]
            kinds.append(dict(measure=measure, caption=caption, cards=cards))
    body = draw("words.html", kinds=kinds, sprite=sprite, scale=scale)
    photo = explain.photo_of(trace, image)
    return over(photo, body, longest=None if not styles else 800, map=sprite.uri)


def _card(
    row: Evidence, found: Sequence[Evidence], maps: np.ndarray, styles: Sequence[str]
) -> dict[str, Any]:
    """What is said of a text; nothing of one that has no embedding."""
    if row.kind == "none":
        return {"row": row, "said": ""}
    tiles, cell = max(1, len(styles)), found.index(row)
    place = Place(row.look, row.tile, row.query_token)
    said = f"“{row.text}” has {said_of(place, tiles)}"
    return {
        "row": row,
        "said": said,
        "cell": cell,
        "alt": f"{said}; highest {maps[cell].max():.1f} × even.",
        "box": styles[row.tile] if styles else "",
        "embedding": place_said(*place, tiles),
        "meter": f"{100 * min(max(row.value, 0), 1):.0f}",
        "lead": f"{row.lead:+.3f}".replace("-", "−"),
    }
