"""Where in a photograph an answer stands: a box around what one vision embedding looked at."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter, label

from mstar.explain.looks import cross_attention, tile_count
from mstar.hooks.trace import Trace
from mstar.model.assignment import place_of

#: Of the largest value of a map, smoothed by most of a token: what lies above it belongs to the
#: region. The best of some on rendered scenes, which are not what it is measured on.
_ABOVE, _SMOOTH = 0.2, 0.8


class Region(NamedTuple):
    """A box of a photograph, and the place that was looked at most, in shares of its sides."""

    left: float
    top: float
    right: float
    bottom: float
    x: float
    y: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self[:4]


def around(values: ArrayLike, tile: ArrayLike = (0, 0, 1, 1)) -> Region:
    """The connected part of a map around its largest value.

    Args:
        values: [grid_h, grid_w], of one tile.
        tile: left, top, right and bottom of the tile in shares of the photograph.
    """
    values = gaussian_filter(np.asarray(values, dtype=float), _SMOOTH)
    y, x = np.unravel_index(values.argmax(), values.shape)
    parts, _ = label(values >= _ABOVE * values.max())
    rows, columns = np.nonzero(parts == parts[y, x])
    left, top, right, bottom = np.asarray(tile, dtype=float)
    across = (
        left
        + (right - left) * np.array([columns.min(), columns.max() + 1, x + 0.5]) / (values.shape[1])
    )
    down = top + (bottom - top) * np.array([rows.min(), rows.max() + 1, y + 0.5]) / values.shape[0]
    found = (across[0], down[0], across[1], down[1], across[2], down[2])
    return Region(*(float(one) for one in found))


def region(trace: Trace, embedding: int, image: int = 0) -> Region:
    """What a vision embedding looked at, mean over layers and heads.

    Args:
        trace: with ψ's cross-attention.
        embedding: its index, in the order of `mim.similarity`: look, tile, query token.
    """
    maps = cross_attention(trace, image)  # [look, layer, tile, head, query_token, h, w]
    look, tile, query_token = place_of(embedding, tile_count(trace), maps.shape[4])
    box = [0, 0, 1, 1] if trace.boxes is None else trace.boxes[image, tile].tolist()
    return around(maps[look, :, tile, :, query_token].mean((0, 1)), box)


def best_embeddings(trace: Trace, image: int = 0) -> torch.Tensor:
    """The vision embedding that counts most for each text, int64 [N], as a search takes it."""
    return trace["mim.evidence"][image].argmax(1)
