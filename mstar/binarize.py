"""σ of Eq. 1: from an attention map to the region that has been looked at.

All variants work on one map at a time, on the CPU, without a gradient. `released` is the released
routine to the letter (official.md 7), with its absolute constants; the others take fractions of
the grid, so that a 16×16 grid means the same as a 50×50 one.
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from .configuration import MstarConfig

_BACKGROUND, _UNKNOWN, _FIRST_SEED = 1, 0, 2


def salient_region(attention_map: Tensor, config: MstarConfig) -> Tensor:
    """σ(C): which tokens an attention map calls salient.

    Args:
        attention_map: C [B, grid_h, grid_w], not negative.
        config: `sigma` chooses the variant; `sigma_low`, `sigma_high`, `sigma_min_area` its
            constants.

    Returns:
        bool [B, grid_h, grid_w] on the map's device, True = salient.
    """
    maps = attention_map.detach().float().cpu().numpy()
    sigma = _VARIANTS[config.sigma]
    regions = np.stack([sigma(one, config) for one in maps])
    return torch.from_numpy(regions).to(attention_map.device)


def _none(attention: np.ndarray, config: MstarConfig) -> np.ndarray:
    return np.zeros(attention.shape, bool)


def _threshold(attention: np.ndarray, config: MstarConfig) -> np.ndarray:
    """The low threshold, then connected components."""
    return _large_components(_above(attention, config.sigma_low), config.sigma_min_area)


def _watershed(attention: np.ndarray, config: MstarConfig) -> np.ndarray:
    """The low threshold, marker-based watershed, then connected components (the paper's σ).

    Each connected peak (above `sigma_high`) floods the candidates (above `sigma_low`) against the
    background's flood; what the peaks win is salient. So a candidate region without a peak of its
    own is lost, and a peak's region ends where the map is steepest.
    """
    candidates = _above(attention, config.sigma_low)
    count, peaks = cv2.connectedComponents(_above(attention, config.sigma_high).astype(np.uint8))
    if count < 2:
        return np.zeros(attention.shape, bool)
    markers = np.where(candidates, _UNKNOWN, _BACKGROUND).astype(np.int32)
    markers[peaks > 0] = peaks[peaks > 0] + (_FIRST_SEED - 1)
    # OpenCV overwrites a frame of one pixel: give it one that is not ours.
    padded = cv2.copyMakeBorder(markers, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=_BACKGROUND)
    image = np.pad(_as_bytes(attention), 1, mode="edge")
    labels = cv2.watershed(cv2.merge([image] * 3), padded)[1:-1, 1:-1]
    # A line between basins is one pixel wide, which on a small grid is not little: a candidate
    # that became a line still belongs to what was looked at.
    won = (labels >= _FIRST_SEED) | ((labels == -1) & candidates)
    return _large_components(won, config.sigma_min_area)


def _released(attention: np.ndarray, config: MstarConfig) -> np.ndarray:
    """Boxes around the watershed lines between the 20 largest tokens and the rest."""
    flat = attention.ravel()
    threshold = np.sort(flat)[int(flat.size * 0.9)]
    markers = np.where(attention > threshold, _UNKNOWN, _BACKGROUND).astype(np.int32)
    markers.ravel()[np.argsort(-flat)[:20]] = _FIRST_SEED
    labels = cv2.watershed(cv2.merge([_as_bytes(attention)] * 3), markers)
    lines = np.zeros(attention.shape, np.uint8)
    lines[1:-1, 1:-1] = labels[1:-1, 1:-1] == -1
    region = np.zeros(attention.shape, bool)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    for x, y, width, height, area in boxes[1:]:
        if area >= 3:
            region[y : y + height, x : x + width] = True
    return region


_VARIANTS: dict[str, Callable[[np.ndarray, MstarConfig], np.ndarray]] = {
    "none": _none,
    "threshold": _threshold,
    "watershed": _watershed,
    "released": _released,
}


def _above(attention: np.ndarray, quantile: float) -> np.ndarray:
    """Tokens strictly above the order statistic at this fraction of the grid."""
    flat = np.sort(attention, axis=None)
    return attention > flat[int(flat.size * quantile)]


def _as_bytes(attention: np.ndarray) -> np.ndarray:
    return (255 * attention / max(attention.max(), np.finfo(np.float32).tiny)).astype(np.uint8)


def _large_components(region: np.ndarray, min_area: float) -> np.ndarray:
    """Drop 8-connected components smaller than `min_area` of the grid (and single tokens)."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    kept = boxes[:, cv2.CC_STAT_AREA] >= max(2, min_area * region.size)
    kept[0] = False  # the background
    return kept[labels]
