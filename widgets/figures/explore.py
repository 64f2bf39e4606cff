"""The PVE explorer: every map of a run over its image, by step, tile, layer, head and query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mstar.evaluate.grounding import coverage
from mstar.explain import looks as explain
from mstar.hooks.trace import Trace
from mstar.model.assignment import Place, place_of

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale, Signed
from ..tables import Block, Table
from .parts import joined, over, regions, tile_names, tile_styles, times_even

#: More maps than this, and all but one query are shown as means over layers and heads only.
_MOST = 4000
#: More pixels than this in the maps of single tiles, and they are those of texts' embeddings only.
_PIXELS = 300_000
MEAN = "mean"
#: The value of `tile` that stands for all of them.
ALL = "all"

Region = tuple[str, ArrayLike]  # a word, and its polygon [points, 2] of (x, y) in px of the image


@dataclass
class _Lot:
    """Maps of many states of the controls, in the order of a table.

    Attributes:
        maps: [K, V, grid_h, grid_w] of all tiles, or [K, grid_h, grid_w] of one each.
        blocks: how the K are laid out.
        steps, tiles: of each of the K; tile −1 = all.
    """

    maps: list[NDArray] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)

    def add(
        self,
        maps: NDArray,
        by: Mapping[str, Sequence[str]],
        when: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """A block; the axes of `maps` before those of a map are the keys of `by`."""
        when = when or {}
        sizes = tuple(map(len, by.values()))
        self.blocks.append(Block(by, when))
        self.maps.append(maps.reshape(prod(sizes), *maps.shape[len(sizes) :]))
        places = np.indices(sizes).reshape(len(sizes), prod(sizes))
        for key, found in (("step", self.steps), ("tile", self.tiles)):
            if key in by:
                values = [by[key][i] for i in places[list(by).index(key)]]
            else:
                values = [next(iter(when.get(key, [ALL])))] * prod(sizes)
            found += [-1 if value == ALL else int(value) for value in values]


def explore(
    trace: Trace,
    words: Sequence[Region] = (),
    image: int = 0,
    query: int | None = None,
    tile: int | None = None,
) -> Picture:
    """One image, what each step saw of it, and how much lies where.

    The state: `overlay` (`map`, `salient`, `mask`, `difference`), `step`, `against` (the step that
    a difference is taken from), `layer`, `head`, `query` (numbers, or `mean`) and, of an image of
    several tiles, `tile` (a number, or `all`).

    Args:
        trace: with the points of `mstar.hooks.record.NEEDED`.
        words: words of the image with their polygons, for the read-out.
        query, tile: whose single heads are shown where all maps would be too many
            (`has_all_maps`); None = of the mean.
    """
    # [step, layer, head, query, tile, grid_h, grid_w]
    weights = np.moveaxis(explain.cross_attention(trace, image).numpy(), 2, 4)
    lots = _selections(trace, weights, query, tile, image)
    laid = [joined(trace, np.concatenate(lots[0].maps), image)]
    maps = [times_even(one) for one in (*laid, *(np.concatenate(lot.maps) for lot in lots[1:]))]
    scale = Scale.of(np.concatenate([one.ravel() for one in maps]))
    moved = _changes(trace, weights, image)
    changes = [np.concatenate(lot.maps) for lot in moved]
    signed = Signed.of(np.concatenate([one.ravel() for one in changes]))

    styles = tile_styles(trace, image)
    tables = {}
    for name, lot, values in zip(("map", "part"), lots, maps, strict=False):  # part: of tiles only
        said = [f"highest {m.max():.1f} × even" for m in values]
        tables[name] = _table(lot, values, scale, said, styles)
    for name, lot, values in zip(("change", "shift"), moved, changes, strict=False):
        said = [f"{0.5 * np.abs(m).mean():.0%} of the attention moved" for m in values]
        tables[name] = _table(lot, values, signed, said, styles)
    images = {name: table.sprite.uri for name, table in tables.items()}
    photo = explain.photo_of(trace, image)
    rows = _read_out(trace, photo, words, lots, maps, image, tables)
    body = markup.figure(
        "Every look, layer, head and query",
        _caption(trace, lots, query),
        _controls(trace, weights.shape)
        + '<div class="mv-plate"><div class="mv-panels mv-wide"><div class="mv-panel">'
        + _stage(trace, image, tables)
        + f'</div><div class="mv-panel mv-side">{rows}</div></div>'
        + _strip(weights.shape[3], tables)
        + f'<div data-when="overlay:map|salient|mask">{markup.bar(scale)}</div>'
        + f'<div data-when="overlay:difference" hidden>{markup.signed_bar(signed)}</div>'
        + f"</div>{markup.DIALOG}",
    )
    return over(photo, body, tables=tables, tiles=weights.shape[4], **images)


def has_all_maps(trace: Trace) -> bool:
    """Whether `explore` shows every head of every query; of a base-size run it cannot, nor of one
    on several tiles."""
    tiles, heads, queries = _shape(trace)
    layers = len(explain.cross_layers(trace))
    return tiles == 1 and (trace.steps + 1) * (layers + 1) * (heads + 1) * (queries + 1) <= _MOST


def _shape(trace: Trace) -> tuple[int, int, int]:
    """(tiles, heads, queries)."""
    name = next(n for n in trace if n.endswith(".cross_attention"))
    return tuple(trace[name].shape[1:4])


def _values(count: int) -> list[str]:
    return [MEAN, *map(str, range(count))]


def _with_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over an axis, put in front of it."""
    return np.concatenate([values.mean(axis, keepdims=True), values], axis)


def _table(
    lot: _Lot, maps: NDArray, scale: Scale | Signed, says: Sequence[str], styles: Sequence[str]
) -> Table:
    """The maps of a lot as a table, each where its tile lies."""
    of_tiles = [tile for tile in lot.tiles if tile >= 0]
    if of_tiles:
        says = [f"tile {tile}, {said}" for tile, said in zip(of_tiles, says, strict=True)]
    boxes = [styles[tile] for tile in of_tiles]
    return Table(lot.blocks, says, sprites.map_sprite(maps, scale), boxes)


def _selections(
    trace: Trace, weights: np.ndarray, query: int | None, tile: int | None, image: int
) -> list[_Lot]:
    """Maps of every choice that can be made: of all tiles and, if there are several, of each."""
    n_steps, _, n_heads, n_queries, n_tiles = weights.shape[:5]
    layers = [MEAN, *map(str, explain.cross_layers(trace))]
    steps, tiles = ([str(i) for i in range(count)] for count in (n_steps, n_tiles))
    by = {"step": steps, "layer": layers, "head": _values(n_heads), "query": _values(n_queries)}
    whole, every = _Lot(), {} if n_tiles == 1 else {"tile": [ALL]}
    if has_all_maps(trace):
        for axis in (3, 2, 1):
            weights = _with_mean(weights, axis)
        whole.add(weights, by)
        return [whole]
    by_head = {key: by[key] for key in ("step", "layer", "head")}
    single = [(MEAN, weights.mean(3))]  # [step, layer, head, tile, …]
    single += [] if query is None else [(str(query), weights[:, :, :, query])]
    for name, chosen in single:
        maps = _with_mean(_with_mean(chosen, 2), 1)
        whole.add(maps, by_head, {"query": [name], **every})
    whole.add(weights.mean((1, 2)), {"step": steps, "query": by["query"][1:]}, every)
    if n_tiles == 1:
        return [whole]

    each, own = _Lot(), np.moveaxis(weights, 4, 1)  # [step, tile, layer, head, query, …]
    if tile is not None:
        for name, chosen in single:
            maps = _with_mean(_with_mean(chosen[:, :, :, tile], 2), 1)
            each.add(maps, by_head, {"tile": [str(tile)], "query": [name]})
    each.add(own.mean((2, 3, 4)), {"step": steps, "tile": tiles}, {"query": [MEAN], "tile": tiles})
    heads = {key: by[key] for key in ("layer", "head")}
    size = prod(weights.shape[5:])
    room = _PIXELS // (prod(map(len, heads.values())) * size)
    for number, (t, v, q) in enumerate(_assigned(trace, image, n_tiles, n_queries)):
        when = {"step": [str(t)], "tile": [str(v)], "query": [str(q)]}
        if number < room:
            each.add(_with_mean(_with_mean(own[t, v, :, :, q], 1), 0), heads, when)
        else:
            each.add(own[t, v, :, :, q].mean((0, 1)), {}, when)
    if n_steps * n_tiles * n_queries * size <= _PIXELS:
        by_query = {"step": steps, "tile": tiles, "query": by["query"][1:]}
        each.add(own.mean((2, 3)), by_query, {"tile": tiles})
    return [whole, each]


def _assigned(trace: Trace, image: int, tiles: int, queries: int) -> list[Place]:
    """The embeddings that texts are assigned or, of several words, give the most weight."""
    if "mim.assignment" not in trace:
        return []
    found = trace["mim.assignment"][image].tolist()
    if "mim.evidence" in trace:
        heaviest = trace["mim.evidence"][image].argmax(-1).tolist()
        found = [own if own >= 0 else other for own, other in zip(found, heaviest, strict=True)]
    return [place_of(index, tiles, queries) for index in dict.fromkeys(found) if index >= 0]


def _changes(trace: Trace, weights: np.ndarray, image: int) -> list[_Lot]:
    """What changed from step to step: of all tiles and, if there are several, of each."""
    n_steps, _, _, n_queries, n_tiles = weights.shape[:5]
    steps, tiles = ([str(i) for i in range(count)] for count in (n_steps, n_tiles))
    by_query = _with_mean(weights.mean((1, 2)), 1)  # [step, 1 + Q, tile, grid_h, grid_w]
    differing = _values(n_queries)
    pixels = prod(explain.canvas(trace, image)) if n_tiles > 1 else 0
    count = n_steps**2 * len(differing)
    if count > _MOST or count * pixels > _PIXELS:  # too tall a sprite is no picture for a browser
        by_query, differing = by_query[:, :1], [MEAN]
    laid = times_even(joined(trace, by_query, image))
    whole, every = _Lot(), {} if n_tiles == 1 else {"tile": [ALL]}
    by = {"step": steps, "against": steps}
    whole.add(laid[:, None] - laid[None], {**by, "query": differing}, every)
    if n_tiles == 1:
        return [whole]
    each, own = _Lot(), times_even(weights.mean((1, 2, 3)))  # [step, tile, …]
    each.add(own[:, None] - own[None], {**by, "tile": tiles}, {"tile": tiles})
    return [whole, each]


def _caption(trace: Trace, lots: Sequence[_Lot], query: int | None) -> str:
    caption = (
        "Where the model looked: choose a step, and whose attention to see; all maps share one "
        "colour range, so a pale map is weak attention and not another scale. The region of σ "
        "and the mask belong to the step as a whole."
    )
    if not has_all_maps(trace):
        caption += (
            " So many queries are shown as means over layers and heads, and single heads as means "
            "over queries"
        )
        caption += "." if query is None else f"; of query {query} all heads are there."
    if len(lots) > 1:
        caption += (
            f" The image was looked at in {explain.tile_count(trace)} tiles: maps of all are laid "
            "back onto the photograph, and a single tile is framed and has its own. To keep the "
            "page small, of a single tile"
        )
        complete = any(set(block.by) == {"step", "tile", "query"} for block in lots[1].blocks)
        caption += (
            " the single heads are left out but for queries that a text has."
            if complete
            else " the queries that no text has are left out."
        )
        caption += " Its differences are of the mean of its queries."
    return caption


def _controls(trace: Trace, shape: tuple[int, ...]) -> str:
    _, _, n_heads, n_queries, n_tiles = shape[:5]
    steps = {str(t): f"look {t}" for t in range(trace.steps + 1)}
    named = [("layer", explain.cross_layers(trace)), ("head", range(n_heads))]
    named.append(("query", range(n_queries)))
    menus = []
    if n_tiles > 1:
        tiles = {ALL: f"all {n_tiles}"}
        tiles |= {str(v): name.removeprefix("tile ") for v, name in enumerate(tile_names(n_tiles))}
        menus.append(markup.select("Tile", "tile", tiles))
    for key, values in named:
        options = {MEAN: f"mean of all {len(values)}"} | {str(v): f"{key} {v}" for v in values}
        within = "map part" if n_tiles > 1 else "map"
        menus.append(markup.select(key.capitalize(), key, options, within=within))
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
_START = dict.fromkeys(("layer", "head", "query"), MEAN) | {
    "step": "0", "against": "0", "tile": ALL,
}  # fmt: skip
#: Table -> the classes of its maps besides `mv-map`.
_CSS = {"map": "", "part": "mv-part", "change": "mv-change", "shift": "mv-change mv-shift"}


def _drawn(names: Sequence[str], tables: Mapping[str, Table], said: str, fixed: str = "") -> str:
    """The maps of these tables, of which at most one has something for a state."""
    return "".join(
        markup.chosen_map(name, tables[name], _START, said, fixed, _CSS[name])
        for name in names
        if name in tables
    )


def _stage(trace: Trace, image: int, tables: Mapping[str, Table]) -> str:
    """The large picture: photograph and, over it, whatever is chosen."""
    lacking = ""
    if "part" in tables:
        lacking = (
            '<span class="mv-none" data-lacks="map part" hidden>left out to keep the page small'
            "</span>"
        )
    return markup.stack(
        markup.photo_layer("The image as the model was given it.", grey=True),
        '<span class="mv-over" data-when="overlay:map">'
        + _drawn(("map", "part"), tables, "Attention; ")
        + f"{lacking}</span>",
        '<span class="mv-over" data-when="overlay:difference" hidden>'
        + _drawn(("change", "shift"), tables, "Difference in attention; ")
        + "</span>",
        *regions(trace, image),
    )


def _strip(queries: int, tables: Mapping[str, Table]) -> str:
    """All queries' maps, small, of the chosen step, tile, layer and head."""
    cells = "".join(
        "<li>"
        + markup.pick(
            f"Query {q}.",
            markup.stack(
                markup.photo_layer(grey=True),
                _drawn(("map", "part"), tables, f"Query {q}; ", f"query:{q}"),
            ),
        )
        + f"<b>{q}</b></li>"
        for q in range(queries)
    )
    chosen = "step, tile, layer and head" if "part" in tables else "step, layer and head"
    return (
        f'<p class="mv-name mv-above">Each query, at the chosen {chosen} '
        f'<small>(press to enlarge)</small></p><ol class="mv-strip">{cells}</ol>'
    )


def _read_out(trace, photo, words, lots: Sequence[_Lot], maps, image, tables) -> str:
    """Numbers beside the picture; adds their tables to `tables`."""
    blocks = [block for lot in lots for block in lot.blocks]
    peaks = [float(m.max()) for lot in maps for m in lot]
    before = np.ones((trace.steps + 1, *trace["pve.0.mask"].shape[1:]))
    for t in range(trace.steps):  # what each step found still neglected
        before[t + 1] = trace[f"pve.{t}.mask"][image].float().numpy()
    neglected = _masses(lots, before)
    rows = [
        ("Peak", "peak", [f"{peak:.1f} × even" for peak in peaks]),
        ("On what the looks before had left", "left", [f"{v:.0%}" for v in neglected]),
        (
            "On what they had already seen",
            "seen",
            [f"{v:.0%}" for v in (1 - neglected).clip(min=0)],
        ),
    ]
    for number, (word, polygon) in enumerate(words):
        covered = _covered(trace, photo, polygon, image)
        said = [f"{v:.0%}" for v in _masses(lots, covered[None].repeat(trace.steps + 1, 0))]
        area = covered[0].mean()  # tile 0 is the whole image
        rows.append((f"On “{word}” ({area:.0%} of the image)", f"word{number}", said))
    items = []
    for name, key, said in rows:
        tables[key] = Table(blocks, said)
        items.append(f"<div><dt>{text(name)}</dt><dd>{markup.filled(key, said[0])}</dd></div>")
    return (
        '<p class="mv-name">The chosen attention<br><small>shares of its sum</small></p>'
        f'<dl class="mv-read">{"".join(items)}</dl>'
    )


def _masses(lots: Sequence[_Lot], ground: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each entry's attention on some ground; of all tiles the mean.

    Args:
        ground: [T + 1, V, grid_h, grid_w], 0 … 1.
    """
    found = []
    for lot in lots:
        steps, tiles, shares = np.array(lot.steps), np.array(lot.tiles), np.concatenate(lot.maps)
        if shares.ndim == 4:  # of all tiles
            on_it = (shares * ground[steps]).sum((2, 3)) / shares.sum((2, 3))
            found.append(on_it.mean(1))
        else:
            on_it = (shares * ground[steps, tiles]).sum((1, 2))
            found.append(on_it / shares.sum((1, 2)))
    return np.concatenate(found)


def _covered(trace: Trace, photo: Image.Image, polygon: ArrayLike, image: int) -> NDArray:
    """How much of every token a polygon covers, [V, grid_h, grid_w]."""
    size = np.array([photo.width, photo.height])
    if explain.tile_count(trace) == 1:
        return coverage([polygon], (photo.height, photo.width), trace.grid)[None]
    found = []
    for left, top, right, bottom in trace.boxes[image].double().tolist():
        corner, (wide, high) = size * (left, top), size * (right - left, bottom - top)
        moved = np.asarray(polygon, dtype=float) - corner
        found.append(coverage([moved], (high, wide), trace.grid))
    return np.stack(found)
