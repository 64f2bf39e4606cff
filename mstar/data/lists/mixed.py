"""Several kinds of training data in one stream, each with its share of every batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mstar.data.lists.photographs import Photographs
from mstar.data.lists.stream import Data, Item, Items, which_of
from mstar.errors import UserError


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
