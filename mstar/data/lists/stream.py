"""What training sees, as an endless row of positions: position p is always the same item.

The order, the crops and everything else that is drawn by lot follow from the seed and the position
alone, so a run is the same for any number of loader workers, and goes on in the middle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from mstar import distributed
from mstar.data.lists.photographs import Photographs
from mstar.data.lists.photos import tiled
from mstar.data.scenes import sandbox
from mstar.data.scenes.difficulty import BASE
from mstar.data.scenes.scene import BLOCK, TOPIC_SHARE
from mstar.errors import UserError
from mstar.io.decoding import UnreadableImage

#: image uint8 [size, size, 3] (of several tiles [V, size, size, 3]), texts, styles, source;
#: photographed: no rendering; complete: the texts are all that is written there.
Item = dict[str, Any]

#: Multiples of it, modulo 1, are spread evenly however many there are.
_GOLDEN_RATIO = (5**0.5 - 1) / 2
_TRIES = 20  # unreadable images in a row, after which something else is wrong


def which_of(shares: Iterable[float], index: int) -> int:
    """The kind of an index, where each kind has its share, 1 in all.

    Blocks stay together, for the sandbox keeps hard negatives in them; they are spread evenly.
    """
    place = index // BLOCK * _GOLDEN_RATIO % 1
    return sum(place >= end for end in [*accumulate(shares)][:-1])


class Items(Protocol):
    """What a stream draws from."""

    count: int | None  # None = without end

    def item(self, index: int, rng: np.random.Generator) -> Item: ...


class Data(Protocol):
    """What a stage trains on: a frozen dataclass, so that it can be recorded.

    Attributes:
        kind: for records.
        lexicon: words that further wrong answers may be made of.
    """

    kind: str
    lexicon: tuple[str, ...]

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> Items:
        """Images of `size` px, in the tiles of these levels (`mstar.tiles`)."""


@dataclass(frozen=True)
class Rendered:
    """Images of the sandbox's training split, EASY and HARD in a fixed ratio.

    Attributes:
        of: `strips` of one word, or full `scenes`.
        hard_share, street_share: of the blocks of images are HARD and STREET, the others EASY.
        backgrounds: a folder of photographs without text for STREET; None = procedural ones.
        strip_size: (height, width) of strips in px.
        topic_share: of the blocks of scenes hold hard negatives for each other.
        multi_word: whether phrases, combined and semantic queries are among the texts.
    """

    of: str = "scenes"
    hard_share: float = 0.0
    street_share: float = 0.0
    backgrounds: str | None = None
    strip_size: tuple[int, int] = (32, BASE)
    topic_share: float = TOPIC_SHARE
    multi_word: bool = True
    kind: str = field(default="rendered", init=False)

    def __post_init__(self) -> None:
        if self.of not in ("strips", "scenes"):
            raise UserError(f"of must be 'strips' or 'scenes'; got {self.of!r}.")
        for name in ("hard_share", "street_share", "topic_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be from 0 to 1; got {getattr(self, name)}.")

    @property
    def lexicon(self) -> tuple[str, ...]:
        """The words of the training split."""
        return sandbox.words("train")

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> Items:
        return _Rendered(self, seed, size, tiles)


_LEVELS = (sandbox.HARD, sandbox.STREET, sandbox.EASY)


class _Rendered:
    count = None

    def __init__(self, asked: Rendered, seed: int, size: int, tiles: Sequence[int]):
        self.asked, self.seed, self.size, self.tiles = asked, seed, size, tiles
        easy = 1 - asked.hard_share - asked.street_share
        self.shares = (asked.hard_share, asked.street_share, easy)
        for level, share in zip(_LEVELS, self.shares, strict=True):
            if share > 0:
                self._drawn(level, 0)  # wrong arguments show here, not in a worker

    def _drawn(
        self, level: sandbox.Difficulty, index: int
    ) -> tuple[NDArray[np.uint8], list[str], list[str]]:
        """Image, texts and styles."""
        asked, place = self.asked, (self.seed, index, "train", level)
        ground = asked.backgrounds if level is sandbox.STREET else None
        if asked.of == "strips":
            strip = sandbox.strip(*place, asked.strip_size, ground)
            return strip.image, [strip.word], ["word"]
        scene = sandbox.scene(*place, topic_share=asked.topic_share, backgrounds=ground)
        return scene.image, list(scene.texts), list(scene.styles)

    def item(self, index: int, rng: np.random.Generator) -> Item:
        level = _LEVELS[which_of(self.shares, index)]
        image, texts, styles = self._drawn(level, index)
        if self.asked.of == "scenes" and (self.tiles != (1,) or len(image) != self.size):
            image = tiled(Image.fromarray(image), self.size, self.tiles)
        if rng.random() < 0.5:
            image = 255 - image  # light text on dark is as common as the reverse
        if not self.asked.multi_word:
            texts = [text for text, style in zip(texts, styles, strict=True) if style == "word"]
            styles = ["word"] * len(texts)
        return {
            "image": torch.from_numpy(image),
            "texts": texts,
            "styles": styles,
            "photographed": False,
            "complete": True,
            "source": f"{level.name} {self.asked.of} {index} of seed {self.seed}",
        }


@dataclass(frozen=True)
class Mixed:
    """Blocks of neighbours from each of several kinds.

    Attributes:
        parts: (share, data) of each; shares are relative to their sum.
    """

    parts: tuple[tuple[float, Data], ...]
    kind: str = field(default="mixed", init=False)

    def __post_init__(self) -> None:
        if not self.parts or any(not share > 0 for share, _ in self.parts):
            raise UserError(f"a mixture needs parts with shares above 0; got {self.parts}.")

    @cached_property
    def lexicon(self) -> tuple[str, ...]:
        """The words of all parts."""
        return tuple(sorted({word for _, data in self.parts for word in data.lexicon}))

    @cached_property
    def lists_hold(self) -> frozenset[str]:
        """All words of photographs' lists."""
        lists = [data for _, data in self.parts if isinstance(data, Photographs)]
        return frozenset(word for data in lists for word in data.lexicon)

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> Items:
        return _Mixed(self, seed, size, tiles)


class _Mixed:
    count = None

    def __init__(self, asked: Mixed, seed: int, size: int, tiles: Sequence[int]):
        self.items = [data.open(seed, size, tiles) for _, data in asked.parts]
        total = sum(share for share, _ in asked.parts)
        self.shares = [share / total for share, _ in asked.parts]

    def item(self, index: int, rng: np.random.Generator) -> Item:
        items = self.items[which_of(self.shares, index)]
        # without an end: this very one; else any
        return items.item(index if items.count is None else int(rng.integers(items.count)), rng)


class Stream(Dataset):
    """Items by position.

    An item that cannot be read is a dict with `error` alone, or, with `skip_unreadable`, another
    item of the same epoch with the names of what was passed over in `skipped`.
    """

    def __init__(self, items: Items, seed: int, skip_unreadable: bool = False):
        self.items, self.seed, self.skip_unreadable = items, seed, skip_unreadable

    def __getitem__(self, position: int) -> Item:
        rng = np.random.default_rng([self.seed, position])
        index, skipped = self._index(position), []
        while True:
            try:
                return self.items.item(index, rng) | {"skipped": skipped}
            except (UnreadableImage, OSError) as problem:
                if not self.skip_unreadable or len(skipped) == _TRIES:
                    return {"error": str(problem)}
                skipped.append(str(problem))
                if self.items.count is not None:  # else the same place draws another by itself
                    index = int(rng.integers(self.items.count))

    def _index(self, position: int) -> int:
        if self.items.count is None:
            return position
        epoch, place = divmod(position, self.items.count)
        return int(_order(self.seed, epoch, self.items.count)[place])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, 1]).permutation(count)


def positions(size: int, start: int, stop: int) -> list[range]:
    """This process's positions in each micro-batch from `start` to `stop`.

    Args:
        size: images of a micro-batch over all processes.
    """
    part, firsts = distributed.share(size), range(start * size, stop * size, size)
    return [range(first + part.start, first + part.stop) for first in firsts]


def collate(items: list[Item]) -> Item:
    """A micro-batch: images stacked, everything else in lists; or the first `error`."""
    for item in items:
        if "error" in item:
            return item
    batch = {key: [item[key] for item in items] for key in items[0]}
    return batch | {"image": torch.stack(batch["image"])}
