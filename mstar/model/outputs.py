"""What the model returns: images and texts embedded, how they compare, and the whole pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils import ModelOutput

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
    pixel_values: Tensor | None,
    input_ids: Tensor | None,
    of_texts: Mapping[str, Tensor | None],
    of_pairs: Mapping[str, Tensor | None],
    pieces: int,
    longest: int,
) -> None:
    """See that what is given fits together, as broadcasting would hide what does not.

    Args:
        pieces, longest: the tokenizer's, and of a text.

    Raises:
        UserError: with what was expected and what came.
    """

    def check(name: str, value: Tensor | None, expected: tuple[int | None, ...]) -> None:
        if value is None:
            return
        if not isinstance(value, Tensor):
            raise UserError(f"{name} should be a tensor; got {type(value).__name__}.")
        if name in ("input_ids", "attention_mask"):
            if value.is_floating_point() and name == "input_ids":
                raise UserError(f"{name} should be whole numbers; got {value.dtype}.")
        elif value.dtype != torch.bool:
            raise UserError(f"{name} should be torch.bool; got {value.dtype}.")
        shape = tuple(value.shape)
        if len(shape) != len(expected) or any(
            e is not None and e != s for e, s in zip(expected, shape, strict=True)
        ):
            said = ", ".join("any" if size is None else str(size) for size in expected)
            raise UserError(f"{name} should have the shape [{said}]; got {list(shape)}.")

    if pixel_values is not None:
        if not isinstance(pixel_values, Tensor):
            kind = type(pixel_values).__name__
            raise UserError(f"pixel_values should be a tensor; got {kind}.")
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
    if input_ids.device.type == "cpu" and not 0 <= input_ids.min() <= input_ids.max() < pieces:
        raise UserError(
            f"input_ids should be from 0 to {pieces - 1}; got {int(input_ids.min())} to "
            f"{int(input_ids.max())}."
        )
    check("attention_mask", of_texts["attention_mask"], (texts, length))
    check("is_word", of_texts["is_word"], (texts,))
    for name, value in of_pairs.items():
        check(name, value, (None, texts))
