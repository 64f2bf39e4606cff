"""Progressive Vision Embedding: look, mask what was seen, shift attention, look again.

One look is a pure function of (f, C, history); nothing is kept on a module between looks.

σ of Eq. 1 goes from an attention map to the region that has been looked at. All its variants work
on one map at a time, on the CPU, without a gradient. `released` is the released routine to the
letter (official.md 7), with its absolute constants; the others take fractions of the grid, so that
a 16×16 grid means the same as a 50×50 one.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mstar.hooks.run import TiledRun
from mstar.model.configuration import MstarConfig
from mstar.model.multimodal import HIDDEN, MultimodalEncoder
from mstar.model.vision import VisionEncoder


class SalientAttentionShift(nn.Module):
    """S of Eq. 2: self-attention over the image tokens that cannot read attended tokens.

    Attended tokens are masked as keys only: they still ask, and keep their own residual, so all N
    tokens come out. Post-norm, no feed-forward (the released LatePooler, official.md 6.4).
    """

    def __init__(self, config: MstarConfig):
        super().__init__()
        vision = config.vision_config
        self.heads = config.sas_heads
        self.query = nn.Linear(vision.hidden_size, vision.hidden_size)
        self.key = nn.Linear(vision.hidden_size, vision.hidden_size)
        self.value = nn.Linear(vision.hidden_size, vision.hidden_size)
        self.dense = nn.Linear(vision.hidden_size, vision.hidden_size)
        self.layernorm = nn.LayerNorm(vision.hidden_size, eps=1e-12)
        self.attention_dropout = config.qformer_config.attention_probs_dropout_prob
        self.dropout = nn.Dropout(config.qformer_config.hidden_dropout_prob)

    def forward(self, tokens: Tensor, mask: Tensor, t: int, run: TiledRun | None = None) -> Tensor:
        """f_{t-1} [B, N, D] and M_{t-1} [B, N] (1 = neglected) -> f_t [B, N, D].

        If every token was attended the mask hides nothing: all keys are then equally far down.
        """
        heads = (*tokens.shape[:2], self.heads, -1)
        query, key, value = (
            project(tokens).view(heads).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )  # [B, heads, N, D / heads]
        bias = (1 - mask[:, None, None, :].to(query.dtype)) * HIDDEN
        dropout = self.attention_dropout if self.training else 0.0
        name = f"pve.{t}.sas_attention"
        if run is not None and run.wants(name):
            # in full precision, as SDPA does inside: half has no room for logits beside the bias
            logits = query.float() @ key.float().transpose(-1, -2) * query.shape[-1] ** -0.5
            weights = run(name, (logits + bias.float()).softmax(-1).to(query.dtype))
            mixed = nn.functional.dropout(weights, dropout) @ value
        else:
            mixed = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=bias, dropout_p=dropout
            )
        mixed = mixed.transpose(1, 2).reshape(tokens.shape)
        return self.layernorm(self.dropout(self.dense(mixed)) + tokens)


@dataclass
class Look:
    """What look t saw and left behind."""

    tokens: Tensor  # f_t [B, N, D]
    embeddings: Tensor  # E_V^t [B, Q, d]
    attention_map: Tensor  # C_t [B, grid_h, grid_w]
    salient: Tensor  # σ(C_t), bool [B, grid_h, grid_w]
    mask: Tensor  # M_t with the history folded in, float [B, grid_h, grid_w], 1 = neglected

    def of_tiles(self, tiles: int) -> "Look":
        """The same with an axis of tiles after the batch's; B counted tiles before."""
        return Look(*(getattr(self, f.name).unflatten(0, (-1, tiles)) for f in fields(self)))


def look(
    tokens: Tensor,
    history: Tensor,
    t: int,
    last: bool,
    vision: VisionEncoder,
    multimodal: MultimodalEncoder,
    config: MstarConfig,
    run: TiledRun | None = None,
) -> Look:
    """Look t at image features f_t, given the history of masks M_{t-1} [B, grid_h, grid_w]."""
    embeddings, attention = multimodal.look(vision.project(tokens), f"pve.{t}", run)
    attention_map = attention.view(history.shape)
    if run is not None:
        embeddings = run(f"pve.{t}.embeddings", embeddings)
        attention_map = run(f"pve.{t}.attention_map", attention_map)
    salient = salient_region(attention_map, config)
    if run is not None:
        salient = run(f"pve.{t}.salient", salient)
    mask = (~salient).to(history.dtype) * history
    if run is not None:
        unused = f"it is look T = {t}, and no look comes after it to use the mask"
        mask = run(f"pve.{t}.mask", mask, readonly=unused if last else None)
    return Look(tokens, embeddings, attention_map, salient, mask)


def progressive_vision_embedding(
    tokens: Tensor,
    grid: tuple[int, int],
    pve_steps: int,
    vision: VisionEncoder,
    multimodal: MultimodalEncoder,
    sas: SalientAttentionShift,
    config: MstarConfig,
    run: TiledRun | None = None,
) -> list[Look]:
    """The loop: f₀ [B, N, D] -> looks t = 0 … T. φ has run once; a look costs one S and one ψ."""
    history = torch.ones(tokens.shape[0], *grid, device=tokens.device)
    looks = []
    for t in range(pve_steps + 1):
        if t > 0:
            tokens = sas(tokens, history.flatten(1), t, run)
        if run is not None:
            tokens = run(f"pve.{t}.tokens", tokens)
        seen = look(tokens, history, t, t == pve_steps, vision, multimodal, config, run)
        tokens, history = seen.tokens, seen.mask
        looks.append(seen)
    return looks


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
