"""How large a text is, from its outline, and how much of an image it covers."""

import numpy as np
from numpy.typing import ArrayLike


def polygon_area(points: ArrayLike) -> float:
    """Area within an outline, in px²; points [P, 2] of (x, y), one after the other either way."""
    x, y = np.asarray(points, dtype=float).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def share(area: float, of: int) -> float:
    """Part of `of` pixels, at most 1: outlines may reach beyond the picture."""
    return min(1.0, area / of)
