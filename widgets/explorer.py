"""PveExplorer: the looks of one run, live."""

from collections.abc import Sequence
from typing import Any

import traitlets
from PIL import Image

from mstar.trace import Trace

from . import figures
from .figures.explore import Region
from .view import Mean, View


class PveExplorer(View):
    """Image, attention, σ's region and mask, by step, layer, head and query.

    >>> PveExplorer(trace, photo)

    Traits: `overlay` (`map`, `salient`, `mask`, `difference`), `step`, `against`, `layer`, `head`,
    `query`. See `figures.explore`.
    """

    KEYS = ("overlay", "step", "against", "layer", "head", "query")

    overlay = traitlets.Enum(["map", "salient", "mask", "difference"], "map").tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)
    against = traitlets.Int(0, min=0).tag(sync=True)
    layer = Mean().tag(sync=True)
    head = Mean().tag(sync=True)
    query = Mean().tag(sync=True)

    def __init__(
        self,
        trace: Trace,
        photo: Image.Image,
        words: Sequence[Region] = (),
        image: int = 0,
        **state: Any,
    ):
        self.trace = trace
        super().__init__(figures.explore(trace, photo, words, image), **state)

    @traitlets.validate("step", "against")
    def _within(self, proposal: traitlets.Bunch) -> int:
        if proposal.value > self.trace.steps:
            raise traitlets.TraitError(
                f"this run has looks 0 to {self.trace.steps}; got {proposal.value}."
            )
        return proposal.value
