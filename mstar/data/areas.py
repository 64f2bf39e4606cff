"""Outlines of texts: of rectangles, how large they are, how much of an image they cover."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def corners(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    """Of an upright rectangle [4, 2], clockwise from its top left."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=float)


def polygon_area(points: ArrayLike) -> float:
    """Area within an outline, in px²; points [P, 2] of (x, y), one after the other either way."""
    x, y = np.asarray(points, dtype=float).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def share(area: float, of: int) -> float:
    """Part of `of` pixels, at most 1: outlines may reach beyond the picture."""
    return min(1.0, area / of)
