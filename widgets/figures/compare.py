"""Two runs side by side: two checkpoints, two T, two masks, before and after an intervention."""

import numpy as np

from mstar.errors import UserError
from mstar.explain import looks as explain
from mstar.explain.assignment import Evidence, explain_words
from mstar.hooks.trace import Trace

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale, Signed
from ..tables import Block, Table
from .explore import MEAN
from .parts import (
    LONGEST,
    LONGEST_OF_TILES,
    areas,
    joined,
    look_names,
    number,
    place_said,
    times_even,
)


def compare(traces: tuple[Trace, Trace], names: tuple[str, str], image: int = 0) -> Picture:
    """Maps, masks, assignment and scores of two runs on one colour range, with the difference.

    The state: `overlay` (`map`, `salient`, `mask`), `look`, `query_token` (a number, or `mean`).

    Args:
        traces: of the same queries. The photographs may differ: something was covered.

    Raises:
        UserError: the runs are of other queries, or have different grids, so their maps cannot be
            subtracted. (Runs of different tiles can: a map on the coarser canvas is laid on the
            finer one.)
    """
    if traces[0].queries != traces[1].queries:
        raise UserError(
            f"two runs are compared text by text; got {traces[0].queries} and {traces[1].queries}."
        )
    if traces[0].grid != traces[1].grid:
        raise UserError(
            f"two runs are compared token by token; got the grids {traces[0].grid} and "
            f"{traces[1].grid}: resize the images to one size."
        )
    last = max(trace.pve_steps for trace in traces)
    query_tokens = min(map(explain.query_token_count, traces))
    canvas = max(explain.canvas(trace, image) for trace in traces)
    maps = [  # [look, 1 + query_token, h, w]
        _maps(trace, image, last, query_tokens, canvas) for trace in traces
    ]
    flat = np.stack(maps).reshape(-1, *canvas)
    photos = [explain.photo_of(trace, image) for trace in traces]
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    change = (maps[1] - maps[0]).reshape(-1, *canvas)
    signed = Signed.of(change)
    changed = sprites.map_sprite(change, signed)

    looks = [str(t) for t in range(last + 1)]
    by = {"look": looks, "query_token": [MEAN, *map(str, range(query_tokens))]}
    peaks = [f"highest {m.max():.1f} × even" for m in flat]
    moved = [f"{0.5 * np.abs(m).mean():.0%} of the attention moved" for m in change]
    tables = {
        "map": Table([Block({"run": ["0", "1"]} | by)], peaks, sprite),
        "change": Table([Block(by)], moved, changed),
    }
    options = {MEAN: f"mean of all {query_tokens}"} | {
        str(q): f"query token {q}" for q in range(query_tokens)
    }
    missing = ["|".join(looks[trace.pve_steps + 1 :]) for trace in traces]
    missing.append(max(missing, key=len))  # of the difference
    body = draw(
        "compare.html",
        names=names,
        overlays={"map": "Attention", "salient": "Region σ", "mask": "Mask"},
        looks=look_names(last),
        options=options,
        areas=[areas(trace, image, each=False) for trace in traces],
        missing=missing,
        tables=tables,
        state={"look": "0", "query_token": MEAN},
        scale=scale,
        signed=signed,
        texts=_texts(traces, image),
    )
    longest = LONGEST_OF_TILES if max(map(explain.tile_count, traces)) > 1 else LONGEST
    images = {
        "photo": sprites.photo_uri(photos[0], longest),
        "second": sprites.photo_uri(photos[1], longest),
        "map": sprite.uri,
        "change": changed.uri,
    }
    return Picture(body, images, photos[0].width / photos[0].height, tables)


def _maps(
    trace: Trace, image: int, last: int, query_tokens: int, canvas: tuple[int, int]
) -> np.ndarray:
    """[look, 1 + query_token, rows, columns]; a run that ended earlier has nothing later."""
    maps = np.zeros((last + 1, 1 + query_tokens, *canvas))
    by_tile = (
        explain.cross_attention(trace, image).mean((1, 3)).numpy()
    )  # [look, tile, query_token, …]
    by_tile = np.concatenate([by_tile.mean(2, keepdims=True), by_tile[:, :, :query_tokens]], 2)
    found = times_even(joined(trace, by_tile.swapaxes(1, 2), image))
    cells = [np.arange(n) * was // n for n, was in zip(canvas, found.shape[-2:], strict=True)]
    maps[: trace.pve_steps + 1] = found[..., cells[0][:, None], cells[1]]
    return maps


def _texts(traces: tuple[Trace, Trace], image: int) -> list[tuple[Evidence, list, str]]:
    """Of each text what it is, (score, embedding) in both runs, and the change of its score."""
    rows = []
    for both in zip(*(explain_words(trace, image) for trace in traces), strict=True):
        change = both[1].score - both[0].score
        sign = "▲ +" if change > 0 else "▼ " if change < 0 else ""
        cells = [
            (
                number(row.score),
                "none"
                if row.kind == "none"
                else place_said(row.look, row.tile, row.query_token, explain.tile_count(trace)),
            )
            for row, trace in zip(both, traces, strict=True)
        ]
        rows.append((both[0], cells, f"{sign}{number(change)}"))
    return rows
