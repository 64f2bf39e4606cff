"""How much of each map lies where: the numbers beside the PVE explorer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mstar.evaluate.grounding import coverage
from mstar.explain import looks as explain
from mstar.hooks.trace import Trace

from ..tables import Block, Table

Region = tuple[str, ArrayLike]  # a word, and its polygon [points, 2] of (x, y) in px of the image


#: The value of `tile` that stands for all of them.
ALL = "all"


@dataclass
class Lot:
    """Maps of many states of the controls, in the order of a table.

    Attributes:
        maps: [K, V, grid_h, grid_w] of all tiles, or [K, grid_h, grid_w] of one each.
        blocks: how the K are laid out.
        looks, tiles: of each of the K; tile −1 = all.
    """

    maps: list[NDArray] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
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
        for key, found in (("look", self.looks), ("tile", self.tiles)):
            if key in by:
                values = [by[key][i] for i in places[list(by).index(key)]]
            else:
                values = [next(iter(when.get(key, [ALL])))] * prod(sizes)
            found += [-1 if value == ALL else int(value) for value in values]


def read_out(
    trace, photo, words, lots: Sequence[Lot], maps, image, tables
) -> list[tuple[str, str]]:
    """Numbers beside the picture: (name, table) of each; adds the tables to `tables`."""
    blocks = [block for lot in lots for block in lot.blocks]
    peaks = [float(m.max()) for lot in maps for m in lot]
    before = np.ones((trace.pve_steps + 1, *trace["pve.0.mask"].shape[1:]))
    for t in range(trace.pve_steps):  # what each look found still neglected
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
        said = [f"{v:.0%}" for v in _masses(lots, covered[None].repeat(trace.pve_steps + 1, 0))]
        area = covered[0].mean()  # tile 0 is the whole image
        rows.append((f"On “{word}” ({area:.0%} of the image)", f"word{number}", said))
    tables |= {key: Table(blocks, said) for _, key, said in rows}
    return [(name, key) for name, key, _ in rows]


def _masses(lots: Sequence[Lot], ground: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each entry's attention on some ground; of all tiles the mean.

    Args:
        ground: [T + 1, V, grid_h, grid_w], 0 … 1.
    """
    found = []
    for lot in lots:
        looks, tiles, shares = np.array(lot.looks), np.array(lot.tiles), np.concatenate(lot.maps)
        if shares.ndim == 4:  # of all tiles
            on_it = (shares * ground[looks]).sum((2, 3)) / shares.sum((2, 3))
            found.append(on_it.mean(1))
        else:
            on_it = (shares * ground[looks, tiles]).sum((1, 2))
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
