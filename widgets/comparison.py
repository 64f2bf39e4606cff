"""Compare: two runs side by side, live."""

from typing import Any

import traitlets

from mstar.hooks.trace import Trace

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
