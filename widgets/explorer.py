"""PveExplorer: the looks of one run, live."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import traitlets
from PIL import Image

from mstar.trace import Trace

from . import figures
from .figures.explore import Region, has_all_maps
from .view import Mean, View


class PveExplorer(View):
    """Image, attention, σ's region and mask, by step, layer, head and query.

    >>> PveExplorer(trace, photo)

    Traits: `overlay` (`map`, `salient`, `mask`, `difference`), `step`, `against`, `layer`, `head`,
    `query`. See `figures.explore`. Of a base-size run the single heads of the chosen query are
    drawn when it is chosen.
    """

    KEYS = ("overlay", "step", "against", "layer", "head", "query")

    overlay = traitlets.Enum(["map", "salient", "mask", "difference"], "map").tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)
    against = traitlets.Int(0, min=0).tag(sync=True)
    layer = Mean().tag(sync=True)
    head = Mean().tag(sync=True)
    query = Mean().tag(sync=True)
    known = traitlets.validate("step", "against", "layer", "head", "query")(View.known)

    def __init__(
        self,
        trace: Trace,
        photo: Image.Image,
        words: Sequence[Region] = (),
        image: int = 0,
        **state: Any,
    ):
        self.trace = trace
        self._draw = partial(figures.explore, trace, photo, words, image)
        super().__init__(self._draw(_number(state.get("query"))), **state)
        if not has_all_maps(trace):
            self.observe(lambda change: self.show(self._draw(_number(change.new))), "query")


def _number(query: int | str | None) -> int | None:
    """The trait `query` as `figures.explore` takes it: `mean` is no query."""
    return query if isinstance(query, int) else None
