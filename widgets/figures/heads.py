"""Attention layer by layer and head by head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mstar.explain import looks as explain
from mstar.explain.assignment import Evidence
from mstar.hooks.trace import Trace
from mstar.model.assignment import Place

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from .parts import joined, over, said_of, tile_styles, times_even


@dataclass(frozen=True, eq=False)
class Source:
    """Whose attention, and its maps [layer, head, …]: of the photograph, or of one tile of it."""

    name: str
    maps: np.ndarray
    tile: int | None = None


def heads(
    trace: Trace,
    evidence: Sequence[Evidence] = (),
    image: int = 0,
    budget: int | None = None,
) -> Picture:
    """A small map per layer and head: mean over query tokens at each look, and each one's own.

    Args:
        evidence: queries whose embedding's maps are added; of base-size models all others are
            left out, and the caption says so.
        budget: bytes of HTML; choices that do not fit are left out too, the last ones first.
    """
    sources = _head_sources(trace, evidence, image)
    asked, styles = len(sources), tile_styles(trace, image)
    photo = explain.photo_of(trace, image)
    picture = _heads(trace, photo, sources, asked, styles)
    while budget and len(sources) > 1 and (size := len(picture.markup)) > budget:
        fit = min(int(len(sources) * budget / size), len(sources) - 1)
        sources = sources[: max(fit, 1)]
        picture = _heads(trace, photo, sources, asked, styles)
    return picture


def _head_sources(trace: Trace, evidence: Sequence[Evidence], image: int) -> list[Source]:
    """The choices of `heads`: each look's mean, then each embedding that a text is assigned."""
    attention = explain.cross_attention(trace, image).numpy()
    tiles = attention.shape[2]
    means = joined(trace, attention.mean(4).swapaxes(2, 3), image)  # [look, layer, head, …]
    sources = [
        Source(f"mean of all {attention.shape[4]} query tokens, look {t}", times_even(look))
        for t, look in enumerate(means)
    ]
    for place, rows in _by_embedding(evidence).items():
        names = "”, “".join(row.text for row in rows)
        look, tile, query_token = place
        name = f"“{names}”: " + said_of(place, tiles).replace(" of ", " at ")
        maps = times_even(attention[look, :, tile, :, query_token])
        sources.append(Source(name, maps, tile if tiles > 1 else None))
    return sources


def _heads(
    trace: Trace, photo: Image.Image, sources: Sequence[Source], asked: int, styles: Sequence[str]
) -> Picture:
    scale = Scale.of(np.concatenate([one.maps.ravel() for one in sources]))
    n_layers, n_heads = sources[0].maps.shape[:2]
    of_all = [one for one in sources if one.tile is None]
    of_tiles = [one for one in sources if one.tile is not None]
    drawn = {
        name: sprites.map_sprite(
            np.concatenate([one.maps.reshape(-1, *one.maps.shape[2:]) for one in some]), scale
        )
        for name, some in (("map", of_all), ("part", of_tiles))
        if some
    }
    shown = []
    for one in sources:
        kind, some = ("map", of_all) if one.tile is None else ("part", of_tiles)
        first = some.index(one) * n_layers * n_heads
        box = "" if one.tile is None else styles[one.tile]
        peaks, sprite = one.maps.max((2, 3)).tolist(), drawn[kind]
        shown.append(dict(name=one.name, peaks=peaks, sprite=sprite, first=first, box=box))
    tiles, query_tokens = _embeddings(trace)
    left_out = tiles * query_tokens * (trace.pve_steps + 1) - (asked - trace.pve_steps - 1)
    caption = (
        "One small map for each head of each layer that looks at the image, all in one colour "
        "range: a bright spot is a head that looks there and nowhere else; choose whose attention "
        f"to see, and press a map to enlarge it. {left_out} embeddings that no text has are in the "
        "means only."
    )
    if tiles > 1:
        caption += " An embedding belongs to one tile: its maps are drawn there."
    if len(sources) < asked:
        caption += f" To keep the page small, {asked - len(sources)} more choices are left out."
    body = draw(
        "heads.html",
        caption=caption,
        options={str(i): one.name for i, one in enumerate(sources)},
        layers=explain.cross_layers(trace),
        heads=n_heads,
        sources=shown,
        scale=scale,
    )
    return over(photo, body, longest=400, **{name: sprite.uri for name, sprite in drawn.items()})


def _embeddings(trace: Trace) -> tuple[int, int]:
    """(tiles, query tokens)"""
    name = next(n for n in trace if n.endswith(".cross_attention") and n.startswith("pve."))
    return trace[name].shape[1], trace[name].shape[3]


def _by_embedding(evidence: Sequence[Evidence]) -> dict[Place, list[Evidence]]:
    groups: dict[Place, list[Evidence]] = {}
    for row in evidence:
        if row.kind != "none":
            groups.setdefault(Place(row.look, row.tile, row.query_token), []).append(row)
    return groups
