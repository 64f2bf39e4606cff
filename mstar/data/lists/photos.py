"""How photographs vary in training: a random crop, and the released code's small distortions.

Pillow's arithmetic, where the released code has OpenCV's; ranges and probabilities are its own
(official.md 1).
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from mstar.tiles import cut, tile_boxes

_SHEAR, _SHIFT, _TURN = 0.15, 5, 15  # level 5 of 10: a factor, pixels, degrees
_GREY = (128, 128, 128)
#: How much farther off a pixel comes from: the coefficients of x, y and 1, for its x and for its y.
_MOVED = {
    "shear_x": (0, _SHEAR, 0, 0, 0, 0),
    "shear_y": (0, 0, 0, _SHEAR, 0, 0),
    "translate_x": (0, 0, _SHIFT, 0, 0, 0),
    "translate_y": (0, 0, 0, 0, 0, _SHIFT),
}
OPERATIONS = ("identity", "autocontrast", "brightness", "sharpness", "equalize", *_MOVED, "rotate")


def random_resized_crop(
    photo: Image.Image, size: int, rng: np.random.Generator, area: tuple[float, float] = (0.8, 1.0)
) -> Image.Image:
    """A part of the photograph, resized to `size` × `size` (bicubic).

    Its width / height is from 3/4 to 4/3. Where ten draws do not fit, it is the photograph's own
    as far as it lies within.

    Args:
        area: least and largest share of the photograph that is kept.
    """
    box = _random_box(photo, rng, area, (3 / 4, 4 / 3))
    return photo.resize((size, size), Image.Resampling.BICUBIC, box=box)


def random_crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Nine tenths of the photograph or more as it is, with nearly its own width / height."""
    ratio = photo.width / photo.height
    return photo.crop(_random_box(photo, rng, (0.9, 1.0), (0.93 * ratio, 1.08 * ratio)))


def tiled(photo: Image.Image, size: int, tiles: Sequence[int]) -> np.ndarray:
    """The tiles of a photograph (`mstar.tiles`), each resized, uint8 [V, size, size, 3].

    Of the whole alone [size, size, 3].
    """
    # cut out first, as the processor does: resizing a box would also read what lies outside of it
    parts = cut(photo, tile_boxes(*photo.size, tiles))
    resized = [np.asarray(p.resize((size, size), Image.Resampling.BICUBIC)) for p in parts]
    return np.stack(resized) if len(parts) > 1 else np.array(resized[0])


def _random_box(
    photo: Image.Image,
    rng: np.random.Generator,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[int, int, int, int]:
    width, height = photo.size
    for _ in range(10):
        wanted = rng.uniform(*area) * width * height
        ratio = math.exp(rng.uniform(*np.log(aspect)))
        w, h = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            break
    else:
        ratio = min(max(width / height, aspect[0]), aspect[1])
        w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
        left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def random_distortions(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two of `OPERATIONS`, drawn with replacement, each applied with probability one half."""
    for operation in rng.choice(OPERATIONS, 2):
        if rng.random() < 0.5:
            photo = _distorted(photo, str(operation), 1 if rng.random() < 0.5 else -1)
    return photo


def _distorted(photo: Image.Image, operation: str, sign: int) -> Image.Image:
    grey = {"resample": Image.Resampling.BILINEAR, "fillcolor": _GREY}
    match operation:
        case "autocontrast":
            return ImageOps.autocontrast(photo)
        case "equalize":
            return ImageOps.equalize(photo)
        case "rotate":
            return photo.rotate(sign * _TURN, **grey)
        case "shear_x" | "shear_y" | "translate_x" | "translate_y":
            matrix = np.array((1, 0, 0, 0, 1, 0)) + sign * np.array(_MOVED[operation])
            return photo.transform(photo.size, Image.Transform.AFFINE, matrix.tolist(), **grey)
        case _:  # at level 5 brightness and sharpness have the factor 1: they change nothing
            return photo
