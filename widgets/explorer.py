"""PveExplorer: the looks of one run, live."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import traitlets

from mstar.hooks.trace import Trace

from . import figures
from .figures.explore import Region, has_all_maps
from .view import Mean, View


class PveExplorer(View):
    """Attention, σ's region and mask by look, tile, layer, head, query token; what lies where.

    >>> PveExplorer(bench.trace(photo, ["exit", "phrase:way out"]))

    Traits: `overlay` (`map`, `salient`, `mask`, `difference`), `look`, `against`, `tile` (a number,
    or `all`), `layer`, `head`, `query_token`. See `figures.explore`. Of a base-size run, or one on
    several tiles, the single heads of the chosen query token and tile are drawn when it is chosen.
    """

    KEYS = ("overlay", "look", "against", "tile", "layer", "head", "query_token")

    overlay = traitlets.Enum(["map", "salient", "mask", "difference"], "map").tag(sync=True)
    look = traitlets.Int(0, min=0).tag(sync=True)
    against = traitlets.Int(0, min=0).tag(sync=True)
    tile = Mean("all").tag(sync=True)
    layer = Mean().tag(sync=True)
    head = Mean().tag(sync=True)
    query_token = Mean().tag(sync=True)
    known = traitlets.validate("look", "against", "tile", "layer", "head", "query_token")(
        View.known
    )

    def __init__(self, trace: Trace, words: Sequence[Region] = (), image: int = 0, **state: Any):
        self.trace = trace
        self._draw = partial(figures.explore, trace, words, image)
        chosen = (_number(state.get(key)) for key in ("query_token", "tile"))
        super().__init__(self._draw(*chosen), **state)
        if not has_all_maps(trace):
            self.observe(self._redraw, ["query_token", "tile"])

    def _redraw(self, _: traitlets.Bunch) -> None:
        self.show(self._draw(_number(self.query_token), _number(self.tile)))


def _number(chosen: int | str | None) -> int | None:
    """The trait `query_token` or `tile` as `figures.explore` takes it: `mean`, `all` are none."""
    return chosen if isinstance(chosen, int) else None
