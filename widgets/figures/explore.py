"""The PVE explorer: every map of a run over its image, by look, tile, layer, head, query token."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from mstar.explain import looks as explain
from mstar.hooks.trace import Trace
from mstar.model.assignment import Place, place_of

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale, Signed
from ..tables import Table
from .parts import areas, joined, look_names, over, tile_names, tile_styles, times_even
from .read_out import ALL, Lot, Region, read_out

#: More maps than this, and all but one query token are shown as means over layers and heads only.
_MOST = 4000
#: More pixels than this in the maps of single tiles, and they are those of texts' embeddings only.
_PIXELS = 300_000
MEAN = "mean"


def explore(
    trace: Trace,
    words: Sequence[Region] = (),
    image: int = 0,
    query_token: int | None = None,
    tile: int | None = None,
) -> Picture:
    """One image, what each look saw of it, and how much lies where.

    The state: `overlay` (`map`, `salient`, `mask`, `difference`), `look`, `against` (the look that
    a difference is taken from), `layer`, `head`, `query_token` (numbers, or `mean`) and, of an
    image of several tiles, `tile` (a number, or `all`).

    Args:
        trace: with the points of `mstar.hooks.record.NEEDED`.
        words: words of the image with their polygons, for the read-out.
        query_token, tile: whose single heads are shown where all maps would be too many
            (`has_all_maps`); None = of the mean.
    """
    # [look, layer, head, query_token, tile, grid_h, grid_w]
    weights = np.moveaxis(explain.cross_attention(trace, image).numpy(), 2, 4)
    lots = _selections(trace, weights, query_token, tile, image)
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
    overlays = {"map": "Attention", "salient": "Region σ", "mask": "Mask"}
    if trace.pve_steps:
        overlays["difference"] = "Difference"
    body = draw(
        "explore.html",
        caption=_caption(trace, lots, query_token),
        overlays=overlays,
        looks=look_names(trace.pve_steps),
        menus=_menus(trace, weights.shape),
        against={str(t): f"look {t}" for t in range(trace.pve_steps + 1)},
        areas=areas(trace, image),
        numbers=read_out(trace, photo, words, lots, maps, image, tables),
        query_tokens=weights.shape[3],
        tables=tables,
        state=_START,
        scale=scale,
        signed=signed,
    )
    return over(photo, body, tables=tables, tiles=weights.shape[4], **images)


def has_all_maps(trace: Trace) -> bool:
    """Whether `explore` shows all heads of all query tokens; of a base-size run it cannot, nor of
    one on several tiles."""
    tiles, heads, query_tokens = _shape(trace)
    layers = len(explain.cross_layers(trace))
    return (
        tiles == 1
        and (trace.pve_steps + 1) * (layers + 1) * (heads + 1) * (query_tokens + 1) <= _MOST
    )


def _shape(trace: Trace) -> tuple[int, int, int]:
    """(tiles, heads, query tokens)."""
    name = next(n for n in trace if n.endswith(".cross_attention"))
    return tuple(trace[name].shape[1:4])


def _values(count: int) -> list[str]:
    return [MEAN, *map(str, range(count))]


def _with_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over an axis, put in front of it."""
    return np.concatenate([values.mean(axis, keepdims=True), values], axis)


def _table(
    lot: Lot, maps: NDArray, scale: Scale | Signed, says: Sequence[str], styles: Sequence[str]
) -> Table:
    """The maps of a lot as a table, each where its tile lies."""
    of_tiles = [tile for tile in lot.tiles if tile >= 0]
    if of_tiles:
        says = [f"tile {tile}, {said}" for tile, said in zip(of_tiles, says, strict=True)]
    boxes = [styles[tile] for tile in of_tiles]
    return Table(lot.blocks, says, sprites.map_sprite(maps, scale), boxes)


def _selections(
    trace: Trace, weights: np.ndarray, query_token: int | None, tile: int | None, image: int
) -> list[Lot]:
    """Maps of every choice that can be made: of all tiles and, if there are several, of each."""
    n_looks, _, n_heads, n_query_tokens, n_tiles = weights.shape[:5]
    layers = [MEAN, *map(str, explain.cross_layers(trace))]
    looks, tiles = ([str(i) for i in range(count)] for count in (n_looks, n_tiles))
    by = {
        "look": looks,
        "layer": layers,
        "head": _values(n_heads),
        "query_token": _values(n_query_tokens),
    }
    whole, every = Lot(), {} if n_tiles == 1 else {"tile": [ALL]}
    if has_all_maps(trace):
        for axis in (3, 2, 1):
            weights = _with_mean(weights, axis)
        whole.add(weights, by)
        return [whole]
    by_head = {key: by[key] for key in ("look", "layer", "head")}
    single = [(MEAN, weights.mean(3))]  # [look, layer, head, tile, …]
    single += [] if query_token is None else [(str(query_token), weights[:, :, :, query_token])]
    for name, chosen in single:
        maps = _with_mean(_with_mean(chosen, 2), 1)
        whole.add(maps, by_head, {"query_token": [name], **every})
    whole.add(weights.mean((1, 2)), {"look": looks, "query_token": by["query_token"][1:]}, every)
    if n_tiles == 1:
        return [whole]

    each, own = Lot(), np.moveaxis(weights, 4, 1)  # [look, tile, layer, head, query_token, …]
    if tile is not None:
        for name, chosen in single:
            maps = _with_mean(_with_mean(chosen[:, :, :, tile], 2), 1)
            each.add(maps, by_head, {"tile": [str(tile)], "query_token": [name]})
    each.add(
        own.mean((2, 3, 4)), {"look": looks, "tile": tiles}, {"query_token": [MEAN], "tile": tiles}
    )
    heads = {key: by[key] for key in ("layer", "head")}
    size = prod(weights.shape[5:])
    room = _PIXELS // (prod(map(len, heads.values())) * size)
    for number, (t, v, q) in enumerate(_assigned(trace, image, n_tiles, n_query_tokens)):
        when = {"look": [str(t)], "tile": [str(v)], "query_token": [str(q)]}
        if number < room:
            each.add(_with_mean(_with_mean(own[t, v, :, :, q], 1), 0), heads, when)
        else:
            each.add(own[t, v, :, :, q].mean((0, 1)), {}, when)
    if n_looks * n_tiles * n_query_tokens * size <= _PIXELS:
        by_query_token = {"look": looks, "tile": tiles, "query_token": by["query_token"][1:]}
        each.add(own.mean((2, 3)), by_query_token, {"tile": tiles})
    return [whole, each]


def _assigned(trace: Trace, image: int, tiles: int, query_tokens: int) -> list[Place]:
    """The embeddings that texts are assigned or, of several words, give the most weight."""
    if "mim.assignment" not in trace:
        return []
    found = trace["mim.assignment"][image].tolist()
    if "mim.evidence" in trace:
        heaviest = trace["mim.evidence"][image].argmax(-1).tolist()
        found = [own if own >= 0 else other for own, other in zip(found, heaviest, strict=True)]
    return [place_of(index, tiles, query_tokens) for index in dict.fromkeys(found) if index >= 0]


def _changes(trace: Trace, weights: np.ndarray, image: int) -> list[Lot]:
    """What changed from look to look: of all tiles and, if there are several, of each."""
    n_looks, _, _, n_query_tokens, n_tiles = weights.shape[:5]
    looks, tiles = ([str(i) for i in range(count)] for count in (n_looks, n_tiles))
    by_query_token = _with_mean(weights.mean((1, 2)), 1)  # [look, 1 + Q, tile, grid_h, grid_w]
    differing = _values(n_query_tokens)
    pixels = prod(explain.canvas(trace, image)) if n_tiles > 1 else 0
    count = n_looks**2 * len(differing)
    if count > _MOST or count * pixels > _PIXELS:  # too tall a sprite is no picture for a browser
        by_query_token, differing = by_query_token[:, :1], [MEAN]
    laid = times_even(joined(trace, by_query_token, image))
    whole, every = Lot(), {} if n_tiles == 1 else {"tile": [ALL]}
    by = {"look": looks, "against": looks}
    whole.add(laid[:, None] - laid[None], {**by, "query_token": differing}, every)
    if n_tiles == 1:
        return [whole]
    each, own = Lot(), times_even(weights.mean((1, 2, 3)))  # [look, tile, …]
    each.add(own[:, None] - own[None], {**by, "tile": tiles}, {"tile": tiles})
    return [whole, each]


def _caption(trace: Trace, lots: Sequence[Lot], query_token: int | None) -> str:
    caption = (
        "Where the model looked: choose a look, and whose attention to see; all maps share one "
        "colour range, so a pale map is weak attention and not another scale. The region of σ "
        "and the mask belong to the look as a whole."
    )
    if not has_all_maps(trace):
        caption += (
            " So many query tokens are shown as means over layers and heads, and single heads as "
            "means over query tokens"
        )
        caption += (
            "." if query_token is None else f"; of query token {query_token} all heads are there."
        )
    if len(lots) > 1:
        caption += (
            f" The image was looked at in {explain.tile_count(trace)} tiles: maps of all are laid "
            "back onto the photograph, and a single tile is framed and has its own. To keep the "
            "page small, of a single tile"
        )
        complete = any(set(block.by) == {"look", "tile", "query_token"} for block in lots[1].blocks)
        caption += (
            " the single heads are left out but for query tokens that a text has."
            if complete
            else " the query tokens that no text has are left out."
        )
        caption += " Its differences are of the mean of its query tokens."
    return caption


def _menus(trace: Trace, shape: tuple[int, ...]) -> list[tuple[str, str, Mapping[str, str], str]]:
    """(label, key, value -> name, the tables that it chooses within) of each."""
    _, _, n_heads, n_query_tokens, n_tiles = shape[:5]
    menus, within = [], "map part" if n_tiles > 1 else "map"
    if n_tiles > 1:
        tiles = {ALL: f"all {n_tiles}"}
        tiles |= {str(v): name.removeprefix("tile ") for v, name in enumerate(tile_names(n_tiles))}
        menus.append(("Tile", "tile", tiles, ""))
    named = {"layer": explain.cross_layers(trace), "head": range(n_heads)}
    for key, values in {**named, "query_token": range(n_query_tokens)}.items():
        options = {MEAN: f"mean of all {len(values)}"} | {str(v): f"{key} {v}" for v in values}
        menus.append((key.replace("_", " ").capitalize(), key, options, within))
    return menus


#: What the markup shows.
_START = dict.fromkeys(("layer", "head", "query_token"), MEAN) | {
    "look": "0", "against": "0", "tile": ALL,
}  # fmt: skip
