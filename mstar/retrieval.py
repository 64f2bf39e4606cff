"""Searching a gallery: ranking scores, and re-ranking the best of them."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor


def rerank_count(images: int, ratio: float) -> int:
    """How many of a gallery's best images are re-ranked: max(2, ⌈ratio · images⌉), if there are.

    The released scripts take ⌊ratio · images⌋, which is nothing in a small gallery.
    """
    rounding = 1e-9  # 0.07 · 100 is a little more than 7
    return min(images, max(2, ceil(ratio * images - rounding)))


def rerank(
    scores: Tensor, probability: Tensor | Callable[[int, Tensor], Tensor], ratio: float
) -> Tensor:
    """Add the matching probability to each text's best images (official.md 12).

    Args:
        scores: [N, B], texts by images.
        probability: softmax of the matching logits, class 1, as [N, B]; or a function of a text's
            index and the indices of its k best images, best first, that computes them, [k].
        ratio: share of the gallery that is re-ranked, see `rerank_count`.

    Returns:
        [N, B]; the scores of all other images are unchanged.
    """
    best = scores.topk(rerank_count(scores.shape[1], ratio), dim=1).indices  # [N, k]
    if isinstance(probability, Tensor):
        added = probability.gather(1, best)
    else:
        added = torch.stack([probability(text, images) for text, images in enumerate(best)])
    return scores.scatter_add(1, best, added.to(scores))
