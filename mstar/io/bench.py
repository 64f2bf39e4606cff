"""A model with its processor, as one object: from photographs and texts to embeddings and scores.

Everything runs under the model's hooks. What the scores are worth is the matter of `evaluate`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import BatchFeature

from mstar.errors import UserError
from mstar.hooks.points import Names
from mstar.hooks.record import BUDGET, NEEDED
from mstar.hooks.run import Hooks, Run, active
from mstar.hooks.trace import Trace
from mstar.io.images import IMAGES_AT_ONCE, listed, opened
from mstar.io.processing import MstarProcessor
from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel
from mstar.model.outputs import ImageEncoding, TextEncoding
from mstar.texts import Texts, as_queries

#: Texts that pass through the model together, everywhere.
TEXTS_AT_ONCE = 256


class Bench:
    """A model and its processor: what every measurement of the package is made with.

    The face is `mstar.Workbench`, which is one. T and the levels of tiles are the checkpoint's
    wherever they are not given.

    Attributes:
        model, processor: neither is changed by what is measured.
    """

    def __init__(self, model: MstarModel, processor: MstarProcessor):
        self.model, self.processor = model, processor

    @property
    def config(self) -> MstarConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    def hooks(self, functions: Hooks) -> AbstractContextManager[Run]:
        """`with bench.hooks({"pve.0.mask": fn}):`; see `mstar.hooks.points`."""
        return self.model.hooks(functions)

    def evaluating(self) -> AbstractContextManager[None]:
        """The model in evaluation mode inside the block; see `evaluating`."""
        return evaluating(self.model)

    def computed_as(self, fields: Mapping[str, Any]) -> AbstractContextManager[None]:
        """The model with other fields of its configuration in the block; see `computed_as`."""
        return computed_as(self.model, fields)

    def inputs(
        self,
        images: Sequence[Any] | None = None,
        texts: Texts | None = None,
        tiles: Sequence[int] | None = None,
    ) -> BatchFeature:
        """What `model(**inputs)` takes, where and as the model wants it.

        Args:
            images: paths, PIL images or uint8 arrays [H, W, 3].
            texts: N texts, see `as_queries`.
        """
        given: dict[str, Any] = {}
        if images is not None:
            given = {"images": opened(images), "tiles": tiles}
        if texts is not None:
            queries = as_queries(texts)
            given["text"], given["styles"] = map(list, zip(*queries, strict=True))
        made = self.processor(**given).to(self.device)
        if images is not None:
            made["pixel_values"] = made["pixel_values"].to(self.model.dtype)
        return made

    def pixels(self, images: Sequence[Any], tiles: Sequence[int] | None = None) -> Tensor:
        """[B, V, 3, H, W] of images, see `inputs`."""
        return self.inputs(images, tiles=tiles)["pixel_values"]

    @torch.no_grad()
    def encode_images(
        self,
        images: Sequence[Any],
        pve_steps: int | None = None,
        tiles: Sequence[int] | None = None,
    ) -> ImageEncoding:
        """Images in one batch through the model."""
        return self.model(pixel_values=self.pixels(images, tiles), pve_steps=pve_steps).images

    @torch.no_grad()
    def encode_texts(self, texts: Texts) -> tuple[TextEncoding, Tensor]:
        """N texts for `MstarModel.score`: embeddings, and which are single words, bool [N]."""
        queries, parts, is_word = as_queries(texts), [], []
        for start in range(0, len(queries), TEXTS_AT_ONCE):
            inputs = self.inputs(texts=queries[start : start + TEXTS_AT_ONCE])
            is_word.append(inputs.pop("is_word"))
            parts.append(self.model(**inputs).texts)
        embeddings = torch.cat([part.embeddings for part in parts])
        features = torch.cat([part.features for part in parts])
        return TextEncoding(embeddings, features), torch.cat(is_word)

    def trace(
        self,
        images: Any,
        texts: Texts | None = None,
        names: Names | None = None,
        *,
        pve_steps: int | None = None,
        tiles: Sequence[int] | None = None,
        budget: int = BUDGET,
        seed: int | None = None,
    ) -> Trace:
        """One recorded run, with the photographs and texts that the pictures show.

        Args:
            images: one or several.
            texts: one or several, all compared with every image; None = the looks alone.
            names: points to record, see `hooks.select`; None = what the pictures need. Where some
                begin with `itm`, every image is matched with every text too, image by image.
            pve_steps, tiles: T and the levels of tiles; None = the checkpoint's.
            budget: bytes that the values may take.
            seed: seeds torch before the run, and is recorded.
        """
        photos, queries = opened(listed(images)), [] if texts is None else as_queries(texts)
        inputs = {**self.inputs(photos, queries or None, tiles), "pve_steps": pve_steps}
        named = [names] if isinstance(names, str) else () if callable(names) else names or ()
        if queries and any(name.startswith("itm") for name in named):
            every = torch.arange(len(photos)), torch.arange(len(queries))
            inputs["pairs"] = torch.cartesian_prod(*every).to(self.device)
        if names is None:
            names = [name for name in NEEDED if queries or name.startswith("pve.")]
        with self.evaluating():
            _, trace = self.model.run_with_trace(inputs, names, budget=budget, seed=seed)
        trace.photos, trace.queries = photos, queries
        return trace

    @torch.no_grad()
    def scores(
        self,
        images: Any,
        texts: Texts,
        pve_steps: int | None = None,
        batch_size: int = IMAGES_AT_ONCE,
    ) -> NDArray[np.float32]:
        """Score every image for every text by cosine, without re-ranking.

        Images pass through the model one batch at a time and are not kept.

        Args:
            images: B images, see `inputs`, or one; files are opened one batch at a time.
            texts: Q texts, see `as_queries`.

        Returns:
            scores [Q, B], higher is better.
        """
        images, queries = listed(images), as_queries(texts)
        scores = np.empty((len(queries), len(images)), dtype=np.float32)
        with self.evaluating():
            encoded, is_word = self.encode_texts(queries)
            starts = range(0, len(images), batch_size)
            for start in tqdm(starts, desc="gallery", unit="batch", leave=False):
                batch = images[start : start + batch_size]
                vision = self.encode_images(batch, pve_steps)
                of_batch = self.model.score(vision, encoded, is_word)
                scores[:, start : start + len(batch)] = of_batch.float().cpu().numpy()
        return scores


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
        UserError: a value that the field cannot have.
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
        UserError: inside a block `with model.hooks(…)`.
    """
    if active(model) is not None:
        raise UserError(f"{what} also runs a changed copy of the model, which hears no hooks: "
                         "call it outside of `with model.hooks(…)`.")  # fmt: skip
