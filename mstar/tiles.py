"""Tiles: a photograph is more than its thumbnail. Imports no torch.

`tiles=(1, 2)` is the whole photograph, tile 0, and 2 × 2 parts of it that overlap, row by row;
`(1, 2, 3)` has 3 × 3 smaller ones as well, 14 tiles in all. Each is resized to the model's square
and passes through φ and PVE by itself, so small text is seen at a useful size.

The whole is squeezed into a square, as the released code does it. Parts are cut as square as the
photograph allows: of a 4 : 3 photograph they are square, at 16 : 9 a third wider than high; of a
photograph more than about twice as wide as high (or the reverse) the n × n parts lie in one row (or
column), since n × n of them would be squeezed nearly as much as the whole.
"""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstar.errors import UserError

#: Share of its side by which a part at least overlaps the next: a word of that width at most that
#: stands on a border stands whole in one of them.
OVERLAP = 1 / 3
#: Parts along a side; more than anybody needs, a guard against a mistyped number.
MOST = 8


def check_tiles(tiles: Sequence[int]) -> tuple[int, ...]:
    """The levels as a tuple.

    Raises:
        UserError: they do not begin with the whole, do not rise, or ask for too many parts.
    """
    levels = tuple(tiles) if isinstance(tiles, (list, tuple)) else ()
    whole = all(type(level) is int for level in levels)
    if not whole or levels[:1] != (1,) or sorted(set(levels)) != list(levels):
        raise UserError(
            "tiles are parts along a side, level by level, rising from the whole: (1,), (1, 2) or "
            f"(1, 2, 3); got {tiles!r}."
        )
    if levels[-1] > MOST:
        raise UserError(f"tiles cut a side into {MOST} parts at most; got {levels[-1]}.")
    return levels


def tile_count(tiles: Sequence[int]) -> int:
    """V, how many tiles the levels make."""
    return sum(level * level for level in tiles)


def tile_boxes(width: int, height: int, tiles: Sequence[int]) -> NDArray[np.int64]:
    """Where the tiles of a photograph lie.

    Args:
        width, height: of the photograph in px.
        tiles: levels, see the module.

    Returns:
        [V, 4]: left, top, right, bottom of each in whole px; level after level, row by row.
    """
    boxes = [box for level in tiles for box in _level(width, height, level)]
    return np.array(boxes, dtype=np.int64)


def _level(width: int, height: int, level: int) -> list[tuple[int, int, int, int]]:
    layouts = {(level, level), (1, level * level), (level * level, 1)}
    sides = {layout: _sides(width, height, *layout) for layout in layouts}
    # the squarest parts, and n × n where another layout would be no squarer
    stretch = {one: round(abs(log(wide / high)), 9) for one, (wide, high) in sides.items()}
    rows, columns = min(layouts, key=lambda one: (stretch[one], one[0] != one[1]))
    wide, high = sides[rows, columns]
    lefts, tops = _starts(width, wide, columns), _starts(height, high, rows)
    return [(x, y, x + wide, y + high) for y in tops for x in lefts]


def _sides(width: int, height: int, rows: int, columns: int) -> tuple[int, int]:
    """(width, height) of the parts of a layout: the least that overlap enough.

    Of n × n parts the shorter side grows towards a square, but not so far that rows (or columns)
    all but repeat each other.
    """
    wide, high = _share(columns) * width, _share(rows) * height
    if rows == columns:
        most = (1 + _share(rows)) / 2
        wide, high = min(max(wide, high), most * width), min(max(wide, high), most * height)
    return min(width, max(1, round(wide))), min(height, max(1, round(high)))


def _share(parts: int) -> float:
    """Of a side, what each of its parts takes."""
    return 1 / (parts - (parts - 1) * OVERLAP)


def _starts(length: int, part: int, count: int) -> list[int]:
    """Where `count` parts begin, evenly from one end to the other."""
    spare = (length - part) / max(1, count - 1)
    return [round(spare * index) for index in range(count)]


def cut(image: Image.Image, boxes: NDArray[np.int64]) -> list[Image.Image]:
    """The tiles of a photograph; what is the whole is not copied."""
    whole = (0, 0, *image.size)
    return [image if tuple(box) == whole else image.crop(tuple(box)) for box in boxes.tolist()]


def shares(boxes: NDArray[np.int64], width: int, height: int) -> NDArray[np.float32]:
    """Boxes in px as shares of the photograph's sides, [V, 4]."""
    return (boxes / np.array([width, height, width, height])).astype(np.float32)


def canvas_grid(boxes: NDArray, grid: tuple[int, int]) -> tuple[int, int]:
    """Cells of a grid over the whole photograph that is as fine as its smallest tile's tokens.

    Args:
        boxes: shares [V, 4] of one photograph.
        grid: (grid_h, grid_w) of each tile.
    """
    wide, high = (boxes[:, 2:] - boxes[:, :2]).min(axis=0)
    return round(grid[0] / float(high)), round(grid[1] / float(wide))


def laid_back(
    maps: NDArray, boxes: NDArray, canvas: tuple[int, int], mean: bool = False
) -> NDArray[np.float64]:
    """Maps of tiles on a grid over the whole photograph.

    Args:
        maps: [..., V, grid_h, grid_w].
        boxes: shares [V, 4].
        canvas: (rows, columns) of the photograph's grid.
        mean: of what a cell covers, for masks; otherwise a token's value is shared out among the
            cells it lies in, so that sums stay, as for attention.

    Returns:
        [..., V, rows, columns]; 0 outside of a tile.
    """
    grid = maps.shape[-2:]
    if len(boxes) == 1 and canvas == grid:
        return np.asarray(maps, dtype=float)
    found = np.empty((*maps.shape[:-2], *canvas))
    for tile, (left, top, right, bottom) in enumerate(np.asarray(boxes, dtype=float)):
        down = _overlap(canvas[0], top, bottom, grid[0], mean)
        across = _overlap(canvas[1], left, right, grid[1], mean)
        found[..., tile, :, :] = down @ maps[..., tile, :, :] @ across.T
    return found


def in_tiles(region: NDArray, boxes: NDArray, size: tuple[int, int]) -> NDArray:
    """A region of the photograph in the pixels of each of its tiles.

    Args:
        region: [..., rows, columns] of a grid over the whole photograph.
        boxes: shares [V, 4].
        size: (height, width) of a tile in px.

    Returns:
        [..., V, height, width], for each pixel the value of the cell in which its middle lies.
    """
    found = []
    for left, top, right, bottom in np.asarray(boxes, dtype=float):
        rows = _cells(top, bottom, size[0], region.shape[-2])
        columns = _cells(left, right, size[1], region.shape[-1])
        found.append(region[..., rows[:, None], columns])
    return np.stack(found, axis=-3)


def _cells(begin: float, end: float, pixels: int, cells: int) -> NDArray[np.int64]:
    """[pixels]: the cell of 0 … 1 in which the middle of each pixel of `begin` … `end` lies."""
    middles = begin + (end - begin) * (np.arange(pixels) + 0.5) / pixels
    return (middles * cells).astype(np.int64).clip(0, cells - 1)


def _overlap(cells: int, begin: float, end: float, tokens: int, mean: bool) -> NDArray[np.float64]:
    """[cells, tokens]: the share of each token that lies in each cell, or of the cell in the token.

    Cells divide 0 … 1 and tokens `begin` … `end` evenly.
    """
    cell, token = np.arange(cells) / cells, begin + (end - begin) / tokens * np.arange(tokens)
    cell_end, token_end = cell + 1 / cells, token + (end - begin) / tokens
    common = np.minimum(cell_end[:, None], token_end) - np.maximum(cell[:, None], token)
    return common.clip(min=0) * (cells if mean else tokens / (end - begin))
