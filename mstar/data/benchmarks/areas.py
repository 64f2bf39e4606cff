"""How much of a photograph a text covers, from its outline and the size of the file."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from mstar.images import UnreadableImage


def polygon_area(points: ArrayLike) -> float:
    """Area within an outline, in px²; points [P, 2] of (x, y), one after the other either way."""
    x, y = np.asarray(points, dtype=float).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def pixels(path: Path) -> int:
    """Width times height of a picture, as its header says; nothing is unpacked.

    Raises:
        UnreadableImage: it is no picture.
    """
    try:
        with warnings.catch_warnings():
            # how large a picture may be is for those to say who open it
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                count = image.width * image.height
    except (OSError, SyntaxError, Image.DecompressionBombError) as problem:
        raise UnreadableImage(f"{path} should be a picture: {problem}") from problem
    if not count:
        raise UnreadableImage(f"{path} should be a picture; it has no pixels.")
    return count


def share(area: float, of: int) -> float:
    """Part of `of` pixels, at most 1: outlines may reach beyond the picture."""
    return min(1.0, area / of)
