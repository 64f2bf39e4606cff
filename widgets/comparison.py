"""Compare: two runs side by side, live."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets

from mstar import load
from mstar.hooks.trace import Trace
from mstar.texts import Texts

from . import figures
from .view import Mean, View


class Compare(View):
    """Two runs side by side on one colour range: checkpoints, T, masks, paper and released.

    See `figures.compare`. Traits: `overlay` (`map`, `salient`, `mask`), `look`, `query_token`.
    """

    KEYS = ("overlay", "look", "query_token")

    overlay = traitlets.Enum(["map", "salient", "mask"], "map").tag(sync=True)
    look = traitlets.Int(0, min=0).tag(sync=True)
    query_token = Mean().tag(sync=True)
    known = traitlets.validate("look", "query_token")(View.known)

    def __init__(
        self, traces: tuple[Trace, Trace], names: tuple[str, str], image: int = 0, **state: Any
    ):
        super().__init__(figures.compare(traces, names, image), **state)

    @classmethod
    def of(
        cls,
        checkpoints: tuple[str | Path, str | Path],
        image: Any,
        texts: Texts,
        pve_steps: int | None = None,
        **state: Any,
    ) -> "Compare":
        """Two checkpoints on the same photograph, called by what tells their folders apart.

        Args:
            checkpoints: their folders; "embedded" = the one of this package.
            image, texts: as for `Bench.trace`.

        Raises:
            UserError: no checkpoint there, or their grids differ.
        """
        folders = [None if str(one) == "embedded" else one for one in checkpoints]
        traces = tuple(load(one).trace(image, texts, pve_steps=pve_steps) for one in folders)
        return cls(traces, _told_apart([Path(one) for one in checkpoints]), **state)


def _told_apart(folders: Sequence[Path]) -> tuple[str, str]:
    """Of `runs/a/checkpoint` and `runs/b/checkpoint` a and b; of `x` and `y` these."""
    parts = [folder.parts for folder in folders]
    for first, second in zip(*map(reversed, parts), strict=False):
        if first != second:
            return first, second
    return tuple(map(str, folders))
