"""Tables: what a picture shows by the state of its controls, without a line of script of its own.

A view's state is a value for each control's key (`look` = "1"). A table lists what to show for
every combination, row by row; `view.js` looks it up. Where all combinations would be too many, a
table has several blocks, and the first whose conditions hold is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from mstar.errors import UserError

from .sprites import Sprite


@dataclass(frozen=True)
class Block:
    """Some combinations of a table.

    Attributes:
        by: key -> its values, the last key running fastest.
        when: key -> the values for which this block is meant.
    """

    by: Mapping[str, Sequence[str]]
    when: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return prod(len(values) for values in self.by.values())


@dataclass(frozen=True)
class Table:
    """What to show: cells of a sprite, with what is said of each, or texts alone.

    Attributes:
        blocks: the combinations; their entries follow one another.
        says: one text an entry.
        sprite: one cell an entry.
        boxes: CSS of where in the photograph each cell lies; empty = all of it.
    """

    blocks: Sequence[Block]
    says: Sequence[str]
    sprite: Sprite | None = None
    boxes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if (entries := sum(map(len, self.blocks))) != len(self.says):
            raise UserError(f"a table of {entries} entries was given {len(self.says)} texts.")

    def at(self, state: Mapping[str, str], fixed: str = "") -> int | None:
        """The entry of a state, as `view.js` finds it; None where no block is meant for it.

        Args:
            fixed: `key:value`, as if the state had it.
        """
        key, _, value = fixed.partition(":")
        state, first, meant = {**state, key: value}, 0, self.block({**state, key: value})
        for block in self.blocks:
            if block is meant:
                index = 0
                for key, values in block.by.items():
                    index = index * len(values) + list(values).index(state[key])
                return first + index
            first += len(block)
        return None

    def block(self, state: Mapping[str, str]) -> Block | None:
        """The block that is meant for a state; None where there is none."""
        fits = (one for one in self.blocks if all(state.get(k) in of for k, of in one.when.items()))
        return next(fits, None)

    def plain(self) -> dict:
        """For JSON."""
        blocks, first = [], 0
        for block in self.blocks:
            by = [[key, list(values)] for key, values in block.by.items()]
            when = {key: list(values) for key, values in block.when.items()}
            blocks.append({"when": when, "by": by, "first": first})
            first += len(block)
        made = {"blocks": blocks, "says": list(self.says)}
        if self.sprite:
            sprite = self.sprite
            made["sprite"] = {
                "columns": sprite.columns,
                "rows": sprite.rows,
                "cell": list(sprite.cell),
                "frame": sprite.frame,
            }
        if self.boxes:
            made["boxes"] = list(dict.fromkeys(self.boxes))
            number = {box: i for i, box in enumerate(made["boxes"])}
            made["box"] = [number[box] for box in self.boxes]
        return made
