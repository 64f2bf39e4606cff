"""MaskLab: draw, intervene, run again, and see before and after."""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from PIL import Image

from mstar.errors import UserError
from mstar.explain.looks import canvas, query_token_count, tile_count
from mstar.hooks import interventions
from mstar.hooks.record import NEEDED
from mstar.hooks.trace import Trace, as_picture
from mstar.io.bench import Bench
from mstar.io.images import opened
from mstar.texts import Texts, as_queries
from mstar.tiles import in_tiles

from . import figures
from .picture import Picture
from .view import Mean, View

_FIRST = "Nothing has been changed yet."


class MaskLab(View):
    """An image to draw on: cover, force a mask, stop early, silence query tokens; before and after.

    >>> lab = MaskLab(bench, photo, ["exit", "stop"])
    >>> lab.action, lab.region = "cover", [17, 18, 19]
    >>> lab.run()

    Traits: `action` (`cover`, `mask`, `stop`, `ablate`), `tool`, `region` (numbers of image
    tokens, row by row; of several tiles, of cells of the canvas over the whole photograph), `stop`
    (the last look), `ablate` (numbers of query tokens); and `overlay`, `look`, `query_token` of the
    comparison. `before` and `after` are the traces, `after` is None until `run`.
    """

    KEYS = ("action", "tool", "region", "stop", "ablate", "overlay", "look", "query_token")

    action = traitlets.Enum(list(figures.ACTIONS), "cover").tag(sync=True)
    tool = traitlets.Enum(list(figures.TOOLS), "brush").tag(sync=True)
    region = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    stop = traitlets.Int(0, min=0).tag(sync=True)
    ablate = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    overlay = traitlets.Enum(["map", "salient", "mask"], "map").tag(sync=True)
    look = traitlets.Int(0, min=0).tag(sync=True)
    query_token = Mean().tag(sync=True)

    def __init__(self, bench: Bench, photo: Any, texts: Texts, **state: Any):
        self.bench, self.photo = bench, as_picture(opened([photo])[0])
        self.queries = as_queries(texts)
        self._inputs = dict(bench.inputs([self.photo], self.queries))
        self.before, self.after = self._trace(self._inputs, self.photo), None
        self._compared: Picture | None = None
        super().__init__(self._drawn(_FIRST), **state)

    def run(self) -> Trace:
        """Apply the intervention that the traits describe; returns its trace."""
        inputs, hooks, pve_steps = dict(self._inputs), {}, self.before.pve_steps
        photo = self.photo
        if self.action == "cover":
            region = self._region()
            inputs["pixel_values"] = interventions.cover(
                inputs["pixel_values"], region, inputs["tile_boxes"]
            )
            photo = self._covered(region)
            said = f"{_tokens(self.region)} covered."
        elif self.action == "mask":
            if pve_steps == 0:
                raise UserError("a model with T = 0 has no second look that a mask could steer.")
            hooks = interventions.force_mask(0, self._in_tiles(self._region()))
            said = f"{_tokens(self.region)} counted as seen after look 0, and no others."
        elif self.action == "stop":
            if self.stop > pve_steps:
                raise UserError(f"the run has the looks 0 to {pve_steps}; got {self.stop}.")
            said = f"The run stopped after look {self.stop}"
            said += ", as it does by itself." if self.stop == pve_steps else "."
            pve_steps = self.stop
        else:
            hooks = interventions.ablate_query_tokens(self.ablate)
            said = f"Silenced: {', '.join(map(str, self.ablate)) or 'no query token'}."
        if self.region and self.action not in ("cover", "mask"):
            said += " The drawing was not used."
        if self.ablate and self.action != "ablate":
            said += " No query token was silenced."
        with self.bench.hooks(hooks):
            self.after = self._trace(inputs, photo, pve_steps)
        self._compared = figures.compare((self.before, self.after), ("Before", "After"))
        self.show(self._drawn(said))
        return self.after

    def clear(self) -> None:
        """Forget the drawing and the last run."""
        self.region, self.ablate, self.after, self._compared = [], [], None, None
        self.show(self._drawn(_FIRST))

    def asked(self, name: str) -> None:
        try:
            {"run": self.run, "clear": self.clear}[name]()
        except ValueError as problem:  # a kernel would say it where nobody looks
            self.show(self._drawn(str(problem)))

    def _trace(self, inputs: dict, photo: Image.Image, pve_steps: int | None = None) -> Trace:
        with self.bench.evaluating():
            trace = self.bench.model.run_with_trace(
                inputs | {"pve_steps": pve_steps}, list(NEEDED)
            )[1]
        trace.photos, trace.queries = [photo], self.queries
        return trace

    def _region(self) -> torch.Tensor:
        height, width = canvas(self.before)
        if self.region and max(self.region) >= height * width:
            raise UserError(
                f"the image has the tokens 0 to {height * width - 1}; got {max(self.region)}."
            )
        region = torch.zeros(height * width, dtype=torch.bool)
        region[self.region] = True
        return region.view(height, width)

    def _in_tiles(self, region: torch.Tensor) -> torch.Tensor:
        """The region in the tokens of each tile, [V, grid_h, grid_w]."""
        if tile_count(self.before) == 1:
            return region
        boxes = self.before.boxes[0].numpy()
        return torch.from_numpy(in_tiles(region.numpy(), boxes, self.before.grid))

    def _covered(self, region: torch.Tensor) -> Image.Image:
        """The photograph as it is shown beside the run after: the region in grey."""
        mask = Image.fromarray(region.numpy()).convert("L")
        mask = mask.resize(self.photo.size, Image.Resampling.NEAREST)
        return Image.composite(Image.new("RGB", self.photo.size, "grey"), self.photo, mask)

    def _drawn(self, said: str) -> Picture:
        queries = query_token_count(self.before)
        return figures.lab(
            self.photo, canvas(self.before), self.before.pve_steps, queries, said, self._compared
        )


def _tokens(region: Sequence[int]) -> str:
    return "1 token was" if len(region) == 1 else f"{len(region) or 'no'} tokens were".capitalize()
