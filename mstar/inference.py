"""A model at work: scores of a gallery, encoded images and texts, and the state to judge it in.

Everything runs under the model's hooks. What the scores are worth is the matter of `evaluation`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import hooks as hooking
from .modeling import MstarModel
from .outputs import ImageEncoding, TextEncoding
from .processing import MstarProcessor
from .queries import Query

_TEXTS_AT_ONCE = 256


@dataclass
class _Evaluating:
    """How many blocks a model is in, and which of its modules train outside of them."""

    blocks: int = 0
    training: list[nn.Module] = field(default_factory=list)


_LOCK = Lock()
_EVALUATING: WeakKeyDictionary[nn.Module, _Evaluating] = WeakKeyDictionary()


@contextmanager
def evaluating(model: MstarModel) -> Iterator[None]:
    """The model in evaluation mode inside the block, and as it was after it.

    The mode belongs to the model: of several threads inside such blocks the last to leave puts it
    back.
    """
    with _LOCK:
        inside = _EVALUATING.setdefault(model, _Evaluating())
        if not inside.blocks:
            # one by one: a frozen part may not be training
            inside.training = [module for module in model.modules() if module.training]
            model.eval()
        inside.blocks += 1
    try:
        yield
    finally:
        with _LOCK:
            inside.blocks -= 1
            if not inside.blocks:
                for module in inside.training:
                    module.training = True
                inside.training = []


@contextmanager
def computed_as(model: MstarModel, fields: Mapping[str, Any]) -> Iterator[None]:
    """The model with other fields of its configuration inside the block, and as it was after it.

    Unlike hooks they belong to the model: another thread that uses it meanwhile computes so too.

    Raises:
        ValueError: a value that the field cannot have.
    """
    config = model.config
    before = {name: getattr(config, name) for name in fields}
    try:
        for name, value in fields.items():
            setattr(config, name, value)
        config.check()
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)


def without_hooks(model: MstarModel, what: str) -> None:
    """Refuse to measure what hooks on `model` would only half change, as a copy hears none.

    Raises:
        ValueError: inside a block `with model.hooks(…)`.
    """
    if hooking.active(model) is not None:
        raise ValueError(f"{what} also runs a changed copy of the model, which hears no hooks: "
                         "call it outside of `with model.hooks(…)`.")  # fmt: skip


@torch.no_grad()
def rank_gallery(
    model: MstarModel,
    processor: MstarProcessor,
    images: Sequence[NDArray[np.uint8]],
    queries: Sequence[Query],
    steps: int | None = None,
    batch_size: int = 50,
) -> NDArray[np.float32]:
    """Score every image for every query by cosine, without re-ranking.

    Images pass through the model one batch at a time and are not kept. Hooks on the model are
    heard. The model is put into evaluation mode and back.

    Args:
        images: B images as the processor takes them, e.g. uint8 [H, W, 3].
        queries: Q texts with their styles.
        steps: T; None = the configuration's.

    Returns:
        scores [Q, B], higher is better.
    """
    scores = np.empty((len(queries), len(images)), dtype=np.float32)
    with evaluating(model):
        texts, is_word = encode_texts(model, processor, queries)
        starts = range(0, len(images), batch_size)
        for start in tqdm(starts, desc="gallery", unit="batch", leave=False):
            batch = images[start : start + batch_size]
            encoded = encode_images(model, processor, batch, steps)
            batch_scores = model.score(encoded, texts, is_word)
            scores[:, start : start + len(batch)] = batch_scores.float().cpu().numpy()
    return scores


@torch.no_grad()
def encode_images(
    model: MstarModel,
    processor: MstarProcessor,
    images: Sequence[Any],
    steps: int | None = None,
    tiles: Sequence[int] | None = None,
) -> ImageEncoding:
    """Images as the processor takes them, in one batch through the model; its hooks are heard.

    Args:
        steps, tiles: T and the levels of tiles; None = the checkpoint's.
    """
    return model(pixel_values=pixels_of(model, processor, images, tiles), steps=steps).images


def pixels_of(
    model: MstarModel,
    processor: MstarProcessor,
    images: Sequence[Any],
    tiles: Sequence[int] | None = None,
) -> Tensor:
    """Images as the processor takes them -> [B, V, 3, H, W], where and as the model wants them."""
    pixels = processor(images=list(images), tiles=tiles)["pixel_values"]
    return pixels.to(model.device, model.dtype)


@torch.no_grad()
def encode_texts(
    model: MstarModel, processor: MstarProcessor, queries: Sequence[Query]
) -> tuple[TextEncoding, Tensor]:
    """Q queries for `MstarModel.score`: their embeddings, and which are single words, bool [Q]."""
    parts, is_word = [], []
    for start in range(0, len(queries), _TEXTS_AT_ONCE):
        part = queries[start : start + _TEXTS_AT_ONCE]
        inputs = processor(text=[q.text for q in part], styles=[q.style for q in part])
        inputs = inputs.to(model.device)
        ids, attention = inputs["input_ids"], inputs["attention_mask"]
        parts.append(model(input_ids=ids, attention_mask=attention).texts)
        is_word.append(inputs["is_word"])
    embeddings = torch.cat([part.embeddings for part in parts])
    features = torch.cat([part.features for part in parts])
    return TextEncoding(embeddings, features), torch.cat(is_word)
