"""Pixels of the sandbox: backgrounds, warped lines of text, and paint that can be read.

Coordinates are (x, y) in pixels with (0, 0) at the outer corner of the top left pixel. Everything
here is Pillow and integer NumPy, so that the same numbers give the same pixels on every machine.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mstar.data.areas import corners
from mstar.data.scenes.draw import fonts

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
Colour = tuple[int, int, int]

MARGIN = 2  # px of nothing around a drawn line, for its blur and for soft edges when warped
WORD_GAP = 0.45  # between the words of a line, in units of the nominal size
_PLATE = 2  # px by which a plate is larger than its text


def luma(rgb: np.ndarray) -> np.ndarray:
    """Grey level 0..255 of colours `[..., 3]`, the unit in which contrast is counted."""
    return rgb[..., 0] * 0.299 + rgb[..., 1] * 0.587 + rgb[..., 2] * 0.114


def _bytes(values: np.ndarray) -> np.ndarray:
    """Integers cut off to 0..255, as uint8. (np.clip takes ten times as long on a few numbers.)"""
    return np.minimum(np.maximum(values, 0), 255).astype(np.uint8)


def random_colour(rng: np.random.Generator) -> Colour:
    return tuple(rng.integers(0, 256, 3).tolist())


def background(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """A flat, graded or noisy ground with 0 to 8 rectangles, ellipses and bars as clutter."""
    ground = rng.integers(0, 256, 3)
    kind = rng.integers(3)
    if kind == 0:
        image = Image.new("RGB", (width, height), tuple(ground.tolist()))
    elif kind == 1:
        corners = _bytes(ground + rng.integers(-70, 71, (2, 2, 3)))
        image = Image.fromarray(corners).resize(
            (width, height), Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5)
        )
    else:
        cells, grain = rng.integers((4, 10), (33, 50)).tolist()
        coarse = _bytes(ground + rng.integers(-grain, grain + 1, (cells, cells, 3)))
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    count = int(rng.integers(9))
    # Clutter in shades of the ground, or in any colour.
    reach = 60 if rng.random() < 0.6 else 255
    colours = _bytes(ground + rng.integers(-reach, reach + 1, (count, 3))).tolist()
    low, high = (-width // 8, -height // 8, 3, 3), (width, height, width // 2, height // 2)
    boxes = rng.integers(low, high, (count, 4)).tolist()
    shapes = rng.integers(0, 6, count).tolist()
    for colour, (x, y, w, h), shape in zip(colours, boxes, shapes, strict=True):
        colour = tuple(colour)
        if shape < 2:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif shape < 4:
            draw.ellipse((x, y, x + w, y + h), fill=colour)
        else:
            draw.line((x, y, x + w, y + h - height // 4), fill=colour, width=1 + w % 4)
    return image


def draw_line(
    words: tuple[str, ...], font: str, size: int, blur: float
) -> tuple[Image.Image, list[Box]]:
    """Words upright on one line: an 8-bit mask with a margin, and the ink of each word in it.

    Args:
        size: nominal, px.
        blur: of a Gaussian, px.
    """
    face = fonts.face(font, size)
    pieces, cursor = [], 0.0
    for word in words:
        piece, (dx, dy) = face.getmask2(word, mode="L", anchor="ls")
        ink = piece.getbbox()  # Pillow's mask also spans the pen's way before and after the ink
        piece, dx, dy = piece.crop(ink), dx + ink[0], dy + ink[1]
        pieces.append((piece, round(cursor) + dx, dy))
        # Hinting may have made the word wider than its letters' advance.
        cursor += max(fonts.advance(font, word) * size, dx + piece.size[0]) + WORD_GAP * size
    left = min(x for _, x, _ in pieces) - MARGIN
    top = min(y for _, _, y in pieces) - MARGIN
    right = max(x + piece.size[0] for piece, x, _ in pieces) + MARGIN
    bottom = max(y + piece.size[1] for piece, _, y in pieces) + MARGIN
    mask = Image.new("L", (right - left, bottom - top))
    boxes = []
    for piece, x, y in pieces:
        box = (x - left, y - top, x - left + piece.size[0], y - top + piece.size[1])
        mask.im.paste(255, box, piece)
        boxes.append(box)
    if blur:
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
    return mask, boxes


@dataclass(frozen=True)
class Pose:
    """How a line lies in the image: degrees of rotation, shear, and two keystones (fractions)."""

    angle: float = 0.0
    shear: float = 0.0
    keystone_x: float = 0.0
    keystone_y: float = 0.0


@dataclass(frozen=True)
class Patch:
    """A posed line in the smallest upright rectangle around it."""

    alpha: np.ndarray  # uint8 [height, width], 255 = ink
    outline: np.ndarray  # float [4, 2]: the line's ink, clockwise from its top left
    polygons: np.ndarray  # float [words, 4, 2]: each word's ink, the same way


def room(words: tuple[str, ...], font: str, size: int, pose: Pose) -> tuple[int, int]:
    """Width and height in px of the patch that `pose_line` will make, told without drawing it."""
    return _extent(_posed(words, font, size, pose))


def _posed(words: tuple[str, ...], font: str, size: int, pose: Pose) -> list[tuple[float, float]]:
    """Where the corners of a line come to lie, moved so that both least coordinates are 0.

    The keystones squeeze one end of the line (x) or its upper edge (y) around the middle axes, so
    the middle of the line keeps exactly the angle of the pose.
    """
    width, height = (side * size + 2 * MARGIN for side in fonts.ink(font, words, WORD_GAP))
    cos, sin = math.cos(math.radians(pose.angle)), math.sin(math.radians(pose.angle))
    moved = []
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        x = u * width * (1 + 2 * pose.keystone_y * v) - pose.shear * v * height
        y = v * height * (1 + 2 * pose.keystone_x * u)
        moved.append((x * cos - y * sin, x * sin + y * cos))
    left, top = min(x for x, _ in moved), min(y for _, y in moved)
    return [(x - left, y - top) for x, y in moved]


def _extent(corners: list[tuple[float, float]]) -> tuple[int, int]:
    return math.ceil(max(x for x, _ in corners)), math.ceil(max(y for _, y in corners))


def pose_line(words: tuple[str, ...], font: str, size: int, blur: float, pose: Pose) -> Patch:
    """Draw `words` at nominal `size` (px), then rotate, shear and foreshorten the line.

    Hinting rounds every letter to whole pixels, which makes small words up to a tenth wider than
    they ought to be. Posing takes that back, so that a line is as large as its room.
    """
    mask, boxes = draw_line(words, font, size, blur)
    posed = _posed(words, font, size, pose)
    matrix = _homography(*mask.size, posed)
    warped = mask.transform(
        _extent(posed), Image.Transform.PERSPECTIVE, _inverse(matrix), Image.Resampling.BILINEAR
    )
    inked = (MARGIN, MARGIN, mask.width - MARGIN, mask.height - MARGIN)
    outline, *polygons = (_project(matrix, box) for box in (inked, *boxes))
    return Patch(np.asarray(warped), outline, np.stack(polygons))


def _homography(width: float, height: float, corners: list[tuple[float, float]]) -> list[float]:
    """The nine numbers that take the rectangle (0, 0, width, height) to four corners.

    In closed form (Heckbert 1989): a linear solver's last bits depend on the processor.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    det = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det
    return [
        (x1 - x0 + g * x1) / width, (x3 - x0 + h * x3) / height, x0,
        (y1 - y0 + g * y1) / width, (y3 - y0 + h * y3) / height, y0,
        g / width, h / height, 1.0,
    ]  # fmt: skip


def _inverse(matrix: list[float]) -> tuple[float, ...]:
    """The eight coefficients with which Pillow looks up a target pixel in the source."""
    a, b, c, d, e, f, g, h, i = matrix
    last = a * e - b * d
    return (
        (e * i - f * h) / last, (c * h - b * i) / last, (b * f - c * e) / last,
        (f * g - d * i) / last, (a * i - c * g) / last, (c * d - a * f) / last,
        (d * h - e * g) / last, (b * g - a * h) / last,
    )  # fmt: skip


def _project(matrix: list[float], box: Box) -> np.ndarray:
    a, b, c, d, e, f, g, h, i = matrix
    x, y = corners(*box).T
    w = g * x + h * y + i
    return np.stack([(a * x + b * y + c) / w, (d * x + e * y + f) / w], 1)


def paint(
    rng: np.random.Generator,
    pixels: np.ndarray,
    patch: Patch,
    at: tuple[int, int],
    contrast: float,
    plate: bool,
    shadow: bool,
) -> float:
    """Paint `patch` into `pixels` (uint8 [h, w, 3], in place) with its corner `at` (x, y).

    The colour differs from the mean of what is under the text by more than `contrast` grey
    levels; where the ground is too restless for that, or when asked for, a plate comes first.
    Returns the contrast in grey levels.
    """
    x, y = at
    height, width = patch.alpha.shape
    view = pixels[y : y + height, x : x + width]
    ground = np.sort(luma(view[::2, ::2].astype(np.float32)), axis=None)
    low, high = ground[ground.size // 20], ground[-1 - ground.size // 20]
    if plate or high - low > 0.6 * contrast:
        colour = random_colour(rng)
        _fill_plate(pixels, patch.outline + at, colour)
        mean = low = high = float(luma(np.array(colour)))
    else:
        mean = float(ground.mean())
    ink = _ink(rng, mean, low, high, contrast)
    if shadow:
        _blend(pixels, patch.alpha // 2, (x + 1, y + 1), (0, 0, 0) if ink[1] > 127 else (255,) * 3)
    _blend(pixels, patch.alpha, at, ink)
    return abs(float(luma(np.array(ink))) - mean)


def _ink(rng: np.random.Generator, mean: float, low: float, high: float, contrast: float) -> Colour:
    """A random colour far enough in grey level from all of the ground, else black or white."""
    choices = rng.integers(0, 256, (12, 3))
    levels = luma(choices)
    far = np.abs(levels - mean) > contrast + 2
    # Between the darkest and the lightest of the ground there is no ink that shows everywhere.
    far &= (levels < low - 0.8 * contrast) | (levels > high + 0.8 * contrast)
    good = np.flatnonzero(far)
    if good.size:
        return tuple(choices[good[0]].tolist())
    return (0, 0, 0) if mean > 127 else (255, 255, 255)


def _fill_plate(pixels: np.ndarray, outline: np.ndarray, colour: Colour) -> None:
    middle = outline.mean(axis=0)
    towards = np.sign(outline - middle) * _PLATE
    corners = [tuple(corner) for corner in (outline + towards).tolist()]
    height, width = pixels.shape[:2]
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    pixels[np.asarray(mask) > 0] = colour


def _blend(pixels: np.ndarray, alpha: np.ndarray, at: tuple[int, int], colour: Colour) -> None:
    x, y = at
    view = pixels[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    weight = alpha[: view.shape[0], : view.shape[1], None].astype(np.int32)
    old = view.astype(np.int32)
    view[...] = old + ((np.array(colour, np.int32) - old) * weight + 127) // 255


_HALF = 1 - np.sqrt(1 - (np.arange(128) + 0.5) / 128)
_BELL = np.concatenate([-_HALF[::-1], _HALF])
"""256 equally likely values of triangular noise with peak amplitude 1, as float64."""


def weather(rng: np.random.Generator, pixels: np.ndarray, blur: float, noise: int) -> np.ndarray:
    """Blur by a Gaussian of `blur` px and add triangular noise of at most `noise` grey levels."""
    if blur:
        pixels = np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(blur)))
    if noise:
        # A table look-up of random bytes: a tenth of the time of drawing bounded numbers.
        table = np.round(_BELL * noise).astype(np.int16)
        grain = table[np.frombuffer(rng.bytes(pixels.size), np.uint8)].reshape(pixels.shape)
        pixels = _bytes(pixels + grain)
    return pixels
