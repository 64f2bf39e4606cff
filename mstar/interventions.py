"""Ready-made interventions: what to change in a run, to see what follows from it.

Each function returns hooks for `model.hooks`, except `cover`, which changes the image itself:

>>> with model.hooks(force_mask(0, seen) | ablate_queries([2])):
...     out = model(**inputs)
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from .hooks import Hook


def force_mask(step: int, seen: Tensor) -> dict[str, Hook]:
    """Say what counts as seen after look `step`: M_t is 0 there and 1 elsewhere.

    Args:
        step: t < T. The mask of the last look is not used by any other.
        seen: bool [grid_h, grid_w], or [batch, grid_h, grid_w].
    """

    def forced(mask: Tensor, *, point: str) -> Tensor:
        if seen.shape[-2:] != mask.shape[-2:]:
            raise ValueError(
                f"the mask of {point} has the grid {list(mask.shape[-2:])}; "
                f"got one of {list(seen.shape[-2:])}."
            )
        return (~seen.bool()).to(mask).expand_as(mask).clone()

    return {f"pve.{step}.mask": forced}


def ablate_queries(queries: Iterable[int]) -> dict[str, Hook]:
    """Silence learnable queries of ψ in every look: their embeddings are zero.

    A silenced query still looks, so it takes part in C_t, but nothing of what it saw is compared
    with a text: its cosine with any text is 0.
    """
    chosen = sorted(set(queries))

    def silenced(value: Tensor, *, point: str) -> Tensor:
        count = value.shape[1]
        if chosen and not 0 <= chosen[0] <= chosen[-1] < count:
            raise ValueError(f"queries are numbered 0 to {count - 1}; got {chosen}.")
        value = value.clone()
        value[:, chosen] = 0
        return value

    return {"pve.*.embeddings": silenced, "pve.*.features": silenced}


def cover(pixel_values: Tensor, region: Tensor) -> Tensor:
    """Images with a region painted over in the colour that surrounds it.

    The paper's salience experiment (fig. 1b) covers the salient text and scores the rest again.

    Args:
        pixel_values: float [B, 3, H, W].
        region: bool [grid_h, grid_w] in image tokens; H and W are multiples of its sides.

    Returns:
        a changed copy. The colour is the mean of the tokens that touch the region (of the whole
        image where it has no surroundings), so that it adds as little as possible.
    """
    height, width = pixel_values.shape[-2:]
    if height % region.shape[0] or width % region.shape[1]:
        raise ValueError(
            f"an image of {height}×{width} px does not divide into {list(region.shape)} tokens."
        )
    token = (height // region.shape[0], width // region.shape[1])
    inside = region.bool().repeat_interleave(token[0], 0).repeat_interleave(token[1], 1)
    grown = torch.nn.functional.max_pool2d(region[None, None].float(), 3, 1, 1)[0, 0].bool()
    around = (grown & ~region.bool()).repeat_interleave(token[0], 0).repeat_interleave(token[1], 1)
    if not around.any():
        around = torch.ones_like(inside)
    colour = pixel_values[..., around.to(pixel_values.device)].mean(-1)  # [B, 3]
    return torch.where(inside.to(pixel_values.device), colour[..., None, None], pixel_values)
