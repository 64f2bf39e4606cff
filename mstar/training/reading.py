"""The box-free reading warm-up: φ learns letters from single words and their transcriptions.

A from-scratch φ must be able to read before a contrastive loss can start; SigLIP's pretraining
does that for the full-size model. Here a CTC head on φ's token columns does it: strips with one
word each, rendered alone, and what is written on them. No position is ever given.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mstar.model.vision import VisionEncoder

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_BLANK = 0
#: Letters can be narrower than a token: each column of tokens speaks twice.
FRAMES = 2


class ReadingHead(nn.Module):
    """CTC logits from image tokens; thrown away after the warm-up."""

    def __init__(self, dim: int):
        super().__init__()
        self.classify = nn.Linear(dim, FRAMES * (len(ALPHABET) + 1))

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """f₀ [B, N, D] -> log probabilities [B, FRAMES · grid_w, 1 + letters]."""
        columns = tokens.unflatten(1, grid).amax(dim=1)  # [B, grid_w, D]
        logits = self.classify(columns).unflatten(-1, (FRAMES, -1)).flatten(1, 2)
        return logits.log_softmax(dim=-1)


def reading_loss(
    vision: VisionEncoder,
    head: ReadingHead,
    pixel_values: Tensor,
    words: Sequence[str],
    window: tuple[int, int] | None = None,
) -> Tensor:
    """CTC loss of transcriptions of a-z and 0-9; mean over strips."""
    log_probabilities = head(*vision(pixel_values, window=window))
    codes = [[ALPHABET.index(letter) + 1 for letter in word] for word in words]
    frames = torch.full((len(words),), log_probabilities.shape[1])
    return F.ctc_loss(
        log_probabilities.transpose(0, 1),
        torch.tensor([code for word in codes for code in word]),
        frames,
        torch.tensor([len(word) for word in words]),
        blank=_BLANK,
        zero_infinity=True,
    )


@torch.no_grad()
def read(vision: VisionEncoder, head: ReadingHead, pixel_values: Tensor) -> list[str]:
    """Greedy transcriptions of strips laid in the middle of the position table."""
    row = (vision.siglip.config.image_size - pixel_values.shape[-2]) // 2
    window = (row // vision.siglip.config.patch_size, 0)
    best = head(*vision(pixel_values, window=window)).argmax(dim=-1)
    words = []
    for frames in best:
        kept = torch.unique_consecutive(frames)
        words.append("".join(ALPHABET[code - 1] for code in kept.tolist() if code != _BLANK))
    return words
