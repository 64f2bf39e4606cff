"""The PVE explorer: every map of a run over its image, by step, layer, head and query."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from mstar import explain
from mstar.grounding import coverage, mass_inside
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale, Signed
from ..tables import Block, Table
from .parts import over, regions, times_even

#: More maps than this, and all but one query are shown as means over layers and heads only.
_MOST = 4000
MEAN = "mean"

Region = tuple[str, ArrayLike]  # a word, and its polygon [points, 2] of (x, y) in px of the image


def explore(
    trace: Trace,
    photo: Image.Image,
    words: Sequence[Region] = (),
    image: int = 0,
    query: int | None = None,
) -> Picture:
    """One image, what each step saw of it, and how much lies where.

    The state: `overlay` (`map`, `salient`, `mask`, `difference`), `step`, `against` (the step that
    a difference is taken from), `layer`, `head`, `query` (numbers, or `mean`).

    Args:
        trace: with the points of `mstar.explain.NEEDED`.
        words: words of the image with their polygons, for the read-out.
        query: the one whose single heads are shown where all maps would be too many
            (`has_all_maps`).
    """
    steps = [str(t) for t in range(trace.steps + 1)]
    weights = explain.cross_attention(trace, image).numpy()  # [step, layer, head, query, …]
    maps, blocks = _selections(trace, weights, query)
    maps = times_even(maps)
    scale = Scale.of(maps)
    sprite = sprites.map_sprite(maps, scale)
    peaks = [f"highest {m.max():.1f} × even" for m in maps]

    by_query = _with_mean(weights.mean((1, 2)), 1)  # [step, 1 + Q, grid_h, grid_w]
    changes = times_even(by_query[:, None] - by_query[None])  # [step, against, 1 + Q, …]
    differing = _values(weights.shape[3])
    if changes[..., 0, 0].size > _MOST:  # a sprite that tall is no picture for a browser
        changes, differing = changes[:, :, :1], [MEAN]
    against = {"step": steps, "against": steps, "query": differing}
    flat = changes.reshape(-1, *trace.grid)
    signed = Signed.of(flat)
    changed = sprites.map_sprite(flat, signed)
    moved = [f"{0.5 * np.abs(m).mean():.0%} of the attention moved" for m in flat]

    tables = {
        "map": Table(blocks, peaks, sprite),
        "change": Table([Block(against)], moved, changed),
    }
    rows = _read_out(trace, photo, words, maps, blocks, image, tables)
    body = markup.figure(
        "Every look, layer, head and query",
        _caption(has_all_maps(trace), query),
        _controls(trace, weights.shape)
        + '<div class="mv-plate"><div class="mv-panels mv-wide"><div class="mv-panel">'
        + _stage(trace, image, tables)
        + f'</div><div class="mv-panel mv-side">{rows}</div></div>'
        + _strip(weights.shape[3], tables["map"])
        + f'<div data-when="overlay:map|salient|mask">{markup.bar(scale)}</div>'
        + f'<div data-when="overlay:difference" hidden>{markup.signed_bar(signed)}</div>'
        + f"</div>{markup.DIALOG}",
    )
    return over(photo, body, tables=tables, map=sprite.uri, change=changed.uri)


def has_all_maps(trace: Trace) -> bool:
    """Whether `explore` shows every head of every query; of a base-size run it cannot."""
    heads, queries = _shape(trace)
    layers = len(explain.cross_layers(trace))
    return (trace.steps + 1) * (layers + 1) * (heads + 1) * (queries + 1) <= _MOST


def _shape(trace: Trace) -> tuple[int, int]:
    """(heads, queries)."""
    name = next(n for n in trace if n.endswith(".cross_attention"))
    return tuple(trace[name].shape[1:3])


def _values(count: int) -> list[str]:
    return [MEAN, *map(str, range(count))]


def _with_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over an axis, put in front of it."""
    return np.concatenate([values.mean(axis, keepdims=True), values], axis)


def _selections(
    trace: Trace, weights: np.ndarray, query: int | None
) -> tuple[np.ndarray, list[Block]]:
    """Maps of every choice that can be made, [K, grid_h, grid_w], and how they are laid out."""
    n_steps, _, n_heads, n_queries = weights.shape[:4]
    steps = [str(t) for t in range(n_steps)]
    layers = [MEAN, *map(str, explain.cross_layers(trace))]
    by = {"step": steps, "layer": layers, "head": _values(n_heads), "query": _values(n_queries)}
    if has_all_maps(trace):
        for axis in (3, 2, 1):
            weights = _with_mean(weights, axis)
        return weights.reshape(-1, *trace.grid), [Block(by)]
    by_head = {key: by[key] for key in ("step", "layer", "head")}
    single = [(MEAN, weights.mean(3))]  # [step, layer, head, …]
    single += [] if query is None else [(str(query), weights[:, :, :, query])]
    maps, blocks = [], []
    for name, chosen in single:
        maps.append(_with_mean(_with_mean(chosen, 2), 1).reshape(-1, *trace.grid))
        blocks.append(Block(by_head, {"query": [name]}))
    maps.append(weights.mean((1, 2)).reshape(-1, *trace.grid))
    blocks.append(Block({"step": steps, "query": by["query"][1:]}))
    return np.concatenate(maps), blocks


def _caption(complete: bool, query: int | None) -> str:
    caption = (
        "Where the model looked: choose a step, and whose attention to see; all maps share one "
        "colour range, so a pale map is weak attention and not another scale. The region of σ "
        "and the mask belong to the step as a whole."
    )
    if not complete:
        caption += (
            " So many queries are shown as means over layers and heads, and single heads as means "
            "over queries"
        )
        caption += "." if query is None else f"; of query {query} all heads are there."
    return caption


def _controls(trace: Trace, shape: tuple[int, ...]) -> str:
    _, _, n_heads, n_queries = shape[:4]
    steps = {str(t): f"look {t}" for t in range(trace.steps + 1)}
    named = [("layer", explain.cross_layers(trace)), ("head", range(n_heads))]
    named.append(("query", range(n_queries)))
    menus = []
    for key, values in named:
        options = {MEAN: f"mean of all {len(values)}"} | {str(v): f"{key} {v}" for v in values}
        menus.append(markup.select(key.capitalize(), key, options, within="map"))
    overlays = {"map": "Attention", "salient": "Region σ", "mask": "Mask"}
    if trace.steps:
        overlays["difference"] = "Difference"
    return markup.controls(
        markup.choices("What lies over the image", "overlay", overlays)
    ) + markup.controls(
        markup.step_slider(trace.steps) + (markup.play("step") if trace.steps else ""),
        *menus,
        f'<span data-when="overlay:difference" hidden>'
        f"{markup.select('Difference from', 'against', steps)}</span>",
        markup.cover_slider(),
    )


#: What the markup shows.
_START = dict.fromkeys(("layer", "head", "query"), MEAN) | {"step": "0", "against": "0"}


def _stage(trace: Trace, image: int, tables: Mapping[str, Table]) -> str:
    """The large picture: photograph and, over it, whatever is chosen."""
    return markup.stack(
        markup.photo_layer("The image as the model was given it.", grey=True),
        '<span class="mv-over" data-when="overlay:map">'
        + markup.chosen_map("map", tables["map"], _START, "Attention; ")
        + "</span>",
        '<span class="mv-over" data-when="overlay:difference" hidden>'
        + markup.chosen_map(
            "change", tables["change"], _START, "Difference in attention; ", css="mv-change"
        )
        + "</span>",
        *regions(trace, image),
    )


def _strip(queries: int, table: Table) -> str:
    """All queries' maps, small, of the chosen step, layer and head."""
    cells = "".join(
        "<li>"
        + markup.pick(
            f"Query {q}.",
            markup.stack(
                markup.photo_layer(grey=True),
                markup.chosen_map("map", table, _START, f"Query {q}; ", f"query:{q}"),
            ),
        )
        + f"<b>{q}</b></li>"
        for q in range(queries)
    )
    return (
        '<p class="mv-name mv-above">Each query, at the chosen step, layer and head '
        f'<small>(press to enlarge)</small></p><ol class="mv-strip">{cells}</ol>'
    )


def _read_out(trace, photo, words, maps, blocks, image, tables) -> str:
    """Numbers beside the picture; adds their tables to `tables`."""
    tokens = maps.shape[-1] * maps.shape[-2]
    shares = maps / tokens  # each sums to 1
    before = [np.ones(trace.grid)]  # what each step found still neglected
    before += [trace[f"pve.{t}.mask"][image].float().numpy() for t in range(trace.steps)]
    steps = np.concatenate([_step_of(block) for block in blocks])
    neglected = (shares * np.stack(before)[steps]).sum((1, 2))
    seen = (shares * (1 - np.stack(before)[steps])).sum((1, 2))
    rows = [("Peak", "peak", [f"{m.max():.1f} × even" for m in maps])]
    rows += [
        ("On what the looks before had left", "left", [f"{v:.0%}" for v in neglected]),
        ("On what they had already seen", "seen", [f"{v:.0%}" for v in seen]),
    ]
    size = (photo.height, photo.width)
    for number, (word, polygon) in enumerate(words):
        covered = coverage([polygon], size, trace.grid)
        said = [f"{mass_inside(share, covered):.0%}" for share in shares]
        area = covered.mean()
        rows.append((f"On “{word}” ({area:.0%} of the image)", f"word{number}", said))
    items = []
    for name, key, said in rows:
        tables[key] = Table(blocks, said)
        items.append(f"<div><dt>{text(name)}</dt><dd>{markup.filled(key, said[0])}</dd></div>")
    return (
        '<p class="mv-name">The chosen attention<br><small>shares of its sum</small></p>'
        f'<dl class="mv-read">{"".join(items)}</dl>'
    )


def _step_of(block: Block) -> np.ndarray:
    """The step of every entry of a block; `step` is its first key."""
    count = len(block.by["step"])
    return np.repeat(np.arange(count), len(block) // count)
