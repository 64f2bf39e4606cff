"""Several kinds of training data in one stream, each with its share of every batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from mstar.data.lists.photographs import Photographs
from mstar.data.lists.stream import GOLDEN_RATIO, Data, Item, Items
from mstar.data.scenes.scene import BLOCK
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
        """Words that further wrong answers may be made of, of all parts."""
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
        self.ends = list(accumulate(share / total for share, _ in asked.parts))

    def item(self, index: int, rng: np.random.Generator) -> Item:
        # blocks stay together: the renderer keeps hard negatives in them; spread evenly
        place = index // BLOCK * GOLDEN_RATIO % 1
        which = next((i for i, end in enumerate(self.ends) if place < end), len(self.ends) - 1)
        items = self.items[which]
        # without an end: this very one; else any
        return items.item(index if items.count is None else int(rng.integers(items.count)), rng)
