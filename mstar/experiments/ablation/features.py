"""φ's tokens of rendered scenes, computed once and read from disk, as data to train on."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import BatchFeature

from mstar import files
from mstar.data.lists.stream import Item, Items, Rendered, Stream
from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.hooks.run import TiledRun
from mstar.io.bench import Bench
from mstar.io.processing import MstarProcessor
from mstar.model.vision import VisionEncoder

_TOKENS, _TEXTS = "tokens.npy", "texts.json"
_AT_ONCE = 50


@torch.no_grad()
def tokens_of(bench: Bench, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float16]:
    """f₀ of each image, float16 [images, N, D]."""
    parts = []
    with bench.evaluating():
        for start in tqdm(range(0, len(images), _AT_ONCE), desc="φ", leave=False):
            pixels = bench.pixels(images[start : start + _AT_ONCE], (1,))
            parts.append(bench.model.vision(pixels[:, 0])[0].half().cpu().numpy())
    return np.concatenate(parts)


def cache(folder: Path, bench: Bench, seed: int, images: int) -> None:
    """Write tokens and word lists of easy training scenes; nothing is done where they are."""
    if folder.exists():
        return
    stream = Stream(Rendered(multi_word=False).open(seed, 128), seed)
    with files.new_folder(folder) as made:
        texts, parts = [], []
        for start in tqdm(range(0, images, 10 * _AT_ONCE), desc="features"):
            items = [stream[i] for i in range(start, min(start + 10 * _AT_ONCE, images))]
            texts += [item["texts"] for item in items]
            parts.append(tokens_of(bench, [item["image"].numpy() for item in items]))
        np.save(made / _TOKENS, np.concatenate(parts))
        (made / _TEXTS).write_text(json.dumps(texts), encoding="utf-8")


def mosaics(tokens: NDArray[np.float16], side: int) -> list[NDArray[np.float16]]:
    """Of images' tokens [images, g², D] every side² laid side by side: [(side · g)², D] each.

    What is left over makes no mosaic.
    """
    grid, count = round(tokens.shape[1] ** 0.5), len(tokens) // side**2
    squares = tokens[: count * side**2].reshape(count, side, side, grid, grid, -1)
    return list(squares.swapaxes(2, 3).reshape(count, (side * grid) ** 2, -1))


@dataclass(frozen=True)
class Cached:
    """What `cache` wrote, as the data of a stage.

    Attributes:
        side: images along a side of a mosaic; 1 = single images. φ saw each image alone, so its
            letters are as large as it knows them, and the grid is `side` times as fine.
    """

    folder: str
    side: int = 1
    kind: str = field(default="cached", init=False)

    @property
    def lexicon(self) -> tuple[str, ...]:
        return sandbox.words("train")

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> Items:
        return _Cached(self)


class _Cached:
    def __init__(self, asked: Cached):
        self.side, self.count = asked.side, 0
        folder = Path(asked.folder)
        self.texts = files.read_json(folder / _TEXTS, list)
        whole = all(
            isinstance(words, list) and all(isinstance(word, str) for word in words)
            for words in self.texts
        )
        with suppress(Exception):  # what a broken array raises has no end
            self.tokens = np.load(folder / _TOKENS, mmap_mode="r")
            if whole and self.tokens.dtype == np.float16 and self.tokens.ndim == 3:
                self.count = len(self.tokens)
        if not self.count or self.count != len(self.texts) or self.count < self.side**2:
            raise UserError(
                f"{folder} does not hold what the model saw in as many scenes as it has word lists "
                "of: remove it, and it is made again."
            )

    def item(self, index: int, rng: np.random.Generator) -> Item:
        others = rng.choice(self.count, self.side**2 - 1, replace=False)
        chosen = [index, *map(int, others)]
        words = list(dict.fromkeys(word for i in chosen for word in self.texts[i]))
        return {
            "image": torch.from_numpy(mosaics(self.tokens[chosen], self.side)[0]),
            "texts": words,
            "styles": ["word"] * len(words),
            "photographed": False,
            "complete": True,
            "source": f"features {', '.join(map(str, chosen))}",
        }


class PrecomputedVision(nn.Module):
    """In the place of φ: what comes in as pixel values are its tokens already."""

    project = VisionEncoder.project

    def __init__(self, vision: VisionEncoder):
        super().__init__()
        self.siglip, self.mlp = vision.siglip, vision.mlp

    def forward(
        self, tokens: Tensor, run: TiledRun | None = None, window: tuple[int, int] | None = None
    ) -> tuple[Tensor, tuple[int, int]]:
        side = round(tokens.shape[1] ** 0.5)
        tokens = tokens.to(next(self.mlp.parameters()).dtype)
        return (tokens if run is None else run("vision.tokens", tokens)), (side, side)


class TokenProcessor:
    """A processor for images that are tokens already."""

    tiles = (1,)

    def __init__(self, processor: MstarProcessor):
        self.processor = processor

    def __call__(
        self,
        images: Sequence[NDArray[np.float16]] | None = None,
        tiles: Sequence[int] | None = None,
        **texts: object,
    ) -> BatchFeature:
        if images is None:
            return self.processor(**texts)
        return BatchFeature({"pixel_values": torch.from_numpy(np.stack(images)).float()})
