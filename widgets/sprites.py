"""Arrays and photographs as data URIs: colour maps, map sprites, contact sheets, outlines.

A sprite is one PNG that holds many maps side by side, coloured through one range, so that a page
carries thousands of values as a few kilobytes and no list of floats.
"""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Inferno at 17 even places: perceptually uniform, and its lightness alone tells low from high.
_INFERNO = (
    "#000004", "#0b0724", "#210c4a", "#3d0965", "#57106e", "#71196e", "#8a226a", "#a32c61",
    "#bc3754", "#d24644", "#e45a31", "#f1731d", "#f98e09", "#fcac11", "#f9cb35", "#f2ea69",
    "#fcffa4",
)  # fmt: skip


def inferno() -> np.ndarray:
    """The colour map of every attention map: uint8 [256, 3], dark = 0, bright = the top."""
    return ramp(_INFERNO)


def ramp(colours: Sequence[str], count: int = 256) -> np.ndarray:
    """Colours at even places and what lies between them: uint8 [count, 3]."""
    at = np.linspace(0, len(colours) - 1, count)
    places = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    table = np.stack([np.interp(at, range(len(places)), channel) for channel in places.T], axis=1)
    return table.round().astype(np.uint8)


def _css(colours: Sequence[str]) -> str:
    """A colour map, left to right."""
    return f"linear-gradient(to right, {', '.join(colours)})"


@dataclass(frozen=True)
class Scale:
    """The one colour range of maps that are compared: 0 … `top`, in multiples of even attention.

    Colour follows the square root: attention has a few high peaks, and on an even scale all that
    lies below them would be black.

    Attributes:
        top: value of the brightest colour.
        clipped: whether some values lie above it.
    """

    top: float
    clipped: bool

    @classmethod
    def of(cls, maps: np.ndarray, quantile: float = 0.999) -> "Scale":
        """From all maps that share it; a few outliers may lie above the top."""
        top = float(np.quantile(maps, quantile))
        digits = 10 ** math.floor(math.log10(max(top, 1e-9)))
        top = max(math.ceil(top / digits * 5) / 5 * digits, 1e-9)
        return cls(top, bool(maps.max() > top * 1.0001))

    def bytes(self, maps: np.ndarray) -> np.ndarray:
        return (255 * np.sqrt(np.clip(maps / self.top, 0, 1))).round().astype(np.uint8)

    @property
    def palette(self) -> np.ndarray:
        return inferno()

    @property
    def gradient(self) -> str:
        return _css(_INFERNO)

    def ticks(self) -> list[tuple[float, str]]:
        """(place on the colour bar 0 … 1, what to write there) of a few numbers."""
        top = f"{'≥ ' * self.clipped}{self.top:.3g}"
        return [(0, "0"), (0.25, f"{self.top / 16:.2g}"), (0.5, f"{self.top / 4:.2g}"), (1, top)]


# Blue, dark, orange: told apart by the colour-blind too, and dark is "no change" as in inferno.
_SIGNED = ("#7cc4ff", "#2f7fd1", "#123a66", "#0d0f12", "#6b3a08", "#d97b0f", "#ffc04d")


def signed() -> np.ndarray:
    """The colour map of every difference: uint8 [256, 3], 128 = none."""
    return ramp(_SIGNED)


@dataclass(frozen=True)
class Signed:
    """The one colour range of differences: −`top` … `top`, in multiples of even attention."""

    top: float

    @classmethod
    def of(cls, maps: np.ndarray, quantile: float = 0.999) -> "Signed":
        """From all maps that share it; of equal maps a range in which nothing shows."""
        return cls(max(Scale.of(np.abs(maps), quantile).top, 0.1))

    def bytes(self, maps: np.ndarray) -> np.ndarray:
        strength = np.sqrt(np.clip(np.abs(maps) / self.top, 0, 1))
        return (127.5 + 127.5 * np.sign(maps) * strength).round().astype(np.uint8)

    @property
    def palette(self) -> np.ndarray:
        return signed()

    @property
    def gradient(self) -> str:
        return _css(_SIGNED)

    def ticks(self) -> list[tuple[float, str]]:
        """As those of `Scale`."""
        return [(0, f"−{self.top:.3g}"), (0.5, "0"), (1, f"+{self.top:.3g}")]


@dataclass(frozen=True)
class Sprite:
    """Equal cells in one picture.

    Attributes:
        uri: data URI of the picture.
        columns, rows: of cells.
        cell: (height, width) of a cell in pixels of the sprite, without its frame.
        frame: pixels around each cell that repeat its edge, so that a browser which rounds to
            the neighbouring pixel shows nothing of the next cell.
    """

    uri: str
    columns: int
    rows: int
    cell: tuple[int, int]
    frame: int

    def style(self, index: int) -> str:
        """CSS that shows one cell in a box of any size (its background is the sprite)."""
        row, column = divmod(index, self.columns)
        parts = []
        for place, count, size in zip(
            (column, row), (self.columns, self.rows), self.cell[::-1], strict=True
        ):
            step = size + 2 * self.frame
            total, offset = count * step, place * step + self.frame
            share = 0 if total == size else 100 * offset / (total - size)
            parts.append((100 * total / size, share))
        (width, x), (height, y) = parts
        return f"background-size:{width:.6g}% {height:.6g}%;background-position:{x:.6g}% {y:.6g}%"


def map_sprite(maps: np.ndarray, scale: Scale | Signed) -> Sprite:
    """Maps [K, grid_h, grid_w], in multiples of even attention, as one palette PNG."""
    cells = np.pad(scale.bytes(maps), ((0, 0), (1, 1), (1, 1)), mode="edge")
    columns = min(len(cells), 12)
    picture = Image.fromarray(_tiled(cells, columns), "L")
    picture.putpalette(scale.palette.tobytes())
    rows = -(-len(cells) // columns)
    return Sprite(uri(picture, "PNG", optimize=True), columns, rows, maps.shape[1:], frame=1)


def sheet(images: Iterable[Image.Image], side: int = 96, ratio: float = 1.0) -> Sprite:
    """Thumbnails as one JPEG, each fitted into a box `side` pixels wide.

    Args:
        images: one at a time is needed whole.
        ratio: width over height of the box.
    """
    box = (side, round(side / ratio))
    cells = np.stack([_fitted(image, box) for image in images])
    columns = min(len(cells), 10)
    picture = Image.fromarray(_tiled(cells, columns), "RGB")
    return Sprite(
        uri(picture, "JPEG", quality=82), columns, -(-len(cells) // columns), box[::-1], frame=0
    )


def photo_uri(image: Image.Image, longest: int = 640) -> str:
    """An image as a JPEG, its longer side at most `longest` pixels."""
    image = image.convert("RGB")
    image.thumbnail((longest, longest))
    return uri(image, "JPEG", quality=84)


def outline(region: np.ndarray) -> str:
    """The border of a region, bool [grid_h, grid_w], as an SVG path in units of one token."""
    framed = np.pad(region, 1)
    lines = []
    for y, x in np.argwhere(framed[1:, 1:-1] != framed[:-1, 1:-1]):
        lines.append(f"M{x} {y}h1")
    for y, x in np.argwhere(framed[1:-1, 1:] != framed[1:-1, :-1]):
        lines.append(f"M{x} {y}v1")
    return "".join(lines)


def hatching(region: np.ndarray) -> str:
    """Diagonal strokes through every token of a region: they join up from cell to cell."""
    return "".join(f"M{x} {y + 1}l1 -1" for y, x in np.argwhere(region))


def filling(region: np.ndarray) -> str:
    """The tokens of a region as an SVG path of row-long boxes."""
    boxes = []
    for y, row in enumerate(np.pad(region, ((0, 0), (1, 1))).astype(int)):
        starts, ends = np.flatnonzero(np.diff(row) == 1), np.flatnonzero(np.diff(row) == -1)
        boxes += [f"M{x} {y}h{e - x}v1h{x - e}z" for x, e in zip(starts, ends, strict=True)]
    return "".join(boxes)


def _tiled(cells: np.ndarray, columns: int) -> np.ndarray:
    """[K, h, w, …] -> one array of rows of `columns` cells, the last row filled with zeros."""
    missing = -len(cells) % columns
    cells = np.concatenate([cells, np.zeros((missing, *cells.shape[1:]), cells.dtype)])
    height, width = cells.shape[1:3]
    grid = cells.reshape(-1, columns, *cells.shape[1:]).swapaxes(1, 2)
    return grid.reshape(len(grid) * height, columns * width, *cells.shape[3:])


def _fitted(image: Image.Image, box: tuple[int, int]) -> np.ndarray:
    image = image.convert("RGB")
    image.thumbnail(box)
    whole = Image.new("RGB", box, (32, 36, 42))
    whole.paste(image, ((box[0] - image.width) // 2, (box[1] - image.height) // 2))
    return np.asarray(whole)


def uri(picture: Image.Image, kind: str, **options: object) -> str:
    """A picture as a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{code}"
