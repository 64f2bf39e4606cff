"""What the model returns: images and texts embedded, how they compare, and the whole pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from mstar import distributed
from mstar.errors import UserError
from mstar.model.recycling import Look


@dataclass
class VisionEmbeddings:
    """What texts are compared with.

    Attributes:
        embeddings: E_V [B, S, d], S = (T+1)·V·Q: look after look, in it tile after tile, in it the
            queries. None where it was not kept, as only the multi-word branch asks for it.
        features: E_V projected and of unit length, [B, S, embed_dim].
        tiles: V.
    """

    embeddings: Tensor | None
    features: Tensor
    tiles: int


@dataclass
class ImageEncoding(VisionEmbeddings):
    """Images, embedded once and for every query.

    Attributes:
        tokens: f₀ [B, V, N, D]; the matching pass looks at these.
        grid: (grid_h, grid_w) of a tile, N = grid_h · grid_w.
        looks: t = 0 … T, each value [B, V, …].
    """

    tokens: Tensor
    grid: tuple[int, int]
    looks: list[Look]


@dataclass
class TextEncoding:
    """Texts: E_T [N, d] and its projection of unit length [N, embed_dim]."""

    embeddings: Tensor
    features: Tensor

    def of(self, rows: Tensor | slice) -> "TextEncoding":
        """Some of the texts, by a bool [N], indices or a slice."""
        return TextEncoding(self.embeddings[rows], self.features[rows])


@dataclass
class Similarity:
    """Texts against images.

    Attributes:
        cosine: every text with every vision embedding, [B, N, (T+1)·V·Q].
        assignment: int64 [B, N], the embedding assigned to a word, −1 elsewhere.
        v2t, t2v: the two directions of the training logits, [B, N] each and over τ; equal in
            value but for multi-word texts of the released semantics, with gradients of their own.
        scores: [N, B], what ranks the gallery.
    """

    cosine: Tensor
    assignment: Tensor
    v2t: Tensor
    t2v: Tensor
    scores: Tensor


@dataclass
class MstarOutput(ModelOutput):
    """What a forward pass returns; parts whose inputs were not given are None."""

    loss: Tensor | None = None
    contrastive_loss: Tensor | None = None
    matching_loss: Tensor | None = None
    scores: Tensor | None = None
    similarity: Similarity | None = None
    itm_logits: Tensor | None = None
    images: ImageEncoding | None = None
    texts: TextEncoding | None = None


def check_shapes(
    model: PreTrainedModel,
    pixel_values: Tensor | None,
    input_ids: Tensor | None,
    of_texts: Mapping[str, Tensor | None],
    truth: Mapping[str, Tensor | None],
    pairs: Tensor | None,
) -> None:
    """See that what is given fits together, as broadcasting would hide what does not.

    Args:
        model: its device, its word pieces and the length of its texts are what is expected.
        truth: of the images of all processes.

    Raises:
        UserError: with what was expected and what came.
    """

    config, device = model.config.qformer_config, model.device
    longest = config.max_position_embeddings

    def check(
        name: str, value: Tensor | None, expected: tuple[int | None, ...] | None = None
    ) -> None:
        if value is None:
            return
        if not isinstance(value, Tensor):
            raise UserError(f"{name} should be a tensor; got {type(value).__name__}.")
        if value.device != device:
            raise UserError(
                f"{name} should be on the model's device, {device}; got {value.device}."
            )
        if name in ("input_ids", "pairs"):
            if value.dtype not in (torch.int64, torch.int32):
                raise UserError(f"{name} should be whole numbers; got {value.dtype}.")
        elif name not in ("pixel_values", "attention_mask") and value.dtype != torch.bool:
            raise UserError(f"{name} should be torch.bool; got {value.dtype}.")
        shape = tuple(value.shape)
        if expected is None:
            return
        if len(shape) != len(expected) or any(
            e is not None and e != s for e, s in zip(expected, shape, strict=True)
        ):
            said = ", ".join("any" if size is None else str(size) for size in expected)
            raise UserError(f"{name} should have the shape [{said}]; got {list(shape)}.")

    def check_range(name: str, values: Tensor, count: int) -> None:
        if device.type == "cpu" and len(values) and not 0 <= values.min() <= values.max() < count:
            raise UserError(
                f"{name} should be from 0 to {count - 1}; got {int(values.min())} to "
                f"{int(values.max())}."
            )

    if pixel_values is not None:
        check("pixel_values", pixel_values)
        if not len(pixel_values):
            raise UserError("pixel_values hold no image.")
    if input_ids is None:
        return
    check("input_ids", input_ids, (None, None))
    texts, length = input_ids.shape
    if not texts or not 0 < length <= longest:
        raise UserError(
            f"input_ids should hold a text at least, of 1 to {longest} tokens; got "
            f"{list(input_ids.shape)}."
        )
    check_range("input_ids", input_ids, config.vocab_size)
    check("attention_mask", of_texts["attention_mask"], (texts, length))
    check("is_word", of_texts["is_word"], (texts,))
    if pixel_values is None:
        return
    for name, value in truth.items():
        check(name, value, (len(pixel_values) * distributed.processes()[1], texts))
    if pairs is not None:
        check("pairs", pairs, (None, 2))
        check_range("images of pairs", pairs[:, 0], len(pixel_values))
        check_range("texts of pairs", pairs[:, 1], texts)
