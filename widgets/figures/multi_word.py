"""The multi-word view: what a text of several words draws on, carried back to the image."""

import numpy as np

from mstar.explain import looks as explain
from mstar.explain.assignment import drawn_on, weighted_maps
from mstar.hooks.trace import Trace

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from ..tables import Block, Table
from .explore import MEAN
from .parts import name_of, nothing, over, times_even


def multi_word(trace: Trace, image: int = 0) -> Picture:
    """Phrase, combined and semantic queries: weights over embeddings, and over the image.

    The state: `text` (which query) and `head` (of the multi-word branch, or `mean`).
    """
    texts, styles = zip(*explain.queries_of(trace), strict=True)
    chosen = [n for n, style in enumerate(styles) if style != "word"]
    if not chosen or "mim.aggregator_attention" not in trace:
        return nothing(
            "What a text of several words draws on",
            "None of the queries has several words, or the model has no branch for them.",
        )
    weights = drawn_on(trace, chosen, image).numpy()
    carried = weighted_maps(trace, chosen, image).numpy()
    weights, carried = (
        np.concatenate([v.mean(1, keepdims=True), v], 1) for v in (weights, carried)
    )
    maps = times_even(carried)  # [text, 1 + head, grid_h, grid_w]
    flat = maps.reshape(-1, *maps.shape[-2:])
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    heads = [MEAN, *(str(h) for h in range(weights.shape[1] - 1))]
    numbers = [str(i) for i in range(len(chosen))]
    block = Block({"text": numbers, "head": heads})
    says = [f"highest {m.max():.1f} × even" for m in flat]
    rows, tiles = weights.reshape(len(flat), -1), explain.tile_count(trace)
    query_tokens = explain.query_token_count(trace)
    shares = rows.reshape(len(flat), trace.pve_steps + 1, -1).sum(2)
    # so many embeddings are no bars to be told apart: a bar for each tile
    bars = rows if tiles == 1 else rows.reshape(len(flat), -1, query_tokens).sum(2)
    tables = {
        "map": Table([block], says, sprite),
        "weights": Table([block], [_percent(row) for row in bars]),
    }
    if tiles > 1:
        best = [(int(row.argmax()), row.max()) for row in rows]
        said = [f"{name_of(index, tiles, query_tokens)}, {value:.1%}" for index, value in best]
        tables["most"] = Table([block], said)
    for t in range(trace.pve_steps + 1):
        tables[f"look{t}"] = Table(
            [block], [f"{share:.0%} of the weight" for share in shares[:, t]]
        )
    names = {str(i): f"{texts[n]} ({styles[n]})" for i, n in enumerate(chosen)}
    options = {MEAN: f"mean of all {len(heads) - 1}"} | {h: f"head {h}" for h in heads[1:]}
    caption = (
        "Such a text attends to all vision embeddings at once (Eq. 4): the bars are its weights, "
        "and the map is the sum of where those embeddings looked, each by its weight."
        + " A bar is a tile: what all its query tokens have of the weight."
        * (tiles > 1)
    )
    said, looks = _bars(tables["weights"].says[0], trace.pve_steps, tiles)
    body = draw(
        "multi_word.html",
        caption=caption,
        names=names,
        options=options,
        scores=[(texts[n], f"{float(trace['scores'][n, image]):.3f}") for n in chosen],
        said=said,
        looks=looks,
        tables=tables,
        state={"text": "0", "head": MEAN},
        scale=scale,
    )
    return over(explain.photo_of(trace, image), body, tables=tables, tiles=tiles, map=sprite.uri)


def _percent(weights: np.ndarray) -> str:
    return " ".join(f"{100 * weight:.1f}" for weight in weights)


def _bars(weights: str, pve_steps: int, tiles: int) -> tuple[str, list[list[tuple[str, str]]]]:
    """The weights of all embeddings (of all tiles) in words, and (name, height) look by look."""
    values = [float(value) for value in weights.split()]
    per_look = len(values) // (pve_steps + 1)
    names = [name_of(i, 1, per_look) for i in range(len(values))]
    if tiles > 1:
        names = [name.replace("query token", "tile") for name in names]
    named = list(zip(names, values, strict=True))
    bars = [(name, f"{100 * value / max(values):.0f}") for name, value in named]
    looks = [bars[first : first + per_look] for first in range(0, len(bars), per_look)]
    return ", ".join(f"{name}: {value}%" for name, value in named), looks
