"""TrainingMonitor: a training run, watched while it goes on."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets

from mstar.hooks.trace import as_picture
from mstar.io.bench import Bench
from mstar.io.images import opened
from mstar.training.batching import normalise

from . import figures
from .view import View

#: Share of the training time that drawing may take; beyond it the next picture waits.
BUDGET = 0.02


class TrainingMonitor(View):
    """Losses, learning rate, MAP, and the attention of a few probe images, live.

    >>> monitor = TrainingMonitor(probes)
    >>> display(monitor)
    >>> Trainer(bench, recipe, folder, callback=monitor).run()

    It is called after every step, draws every `every` seconds at most and less often where that
    would cost more than `BUDGET` of the time since training began. `share` is what it has cost.
    What was last drawn stays in the page when the kernel stops.
    """

    KEYS = ("probe",)

    probe = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self,
        probes: Sequence[Any] = (),
        every: float = 2.0,
        probe_every: float = 20.0,
        window: tuple[int, int] | None = None,
    ):
        """The probe images, and how often.

        Args:
            probes: any images, see `Bench.inputs`; with `window`, strips, all of one size.
            every, probe_every: seconds between pictures, and between maps of the probes.
            window: where strips are laid on the position table, see `VisionEncoder.forward`; None =
                the probes are resized to the model's image.
        """
        self.photos, self.window = list(map(as_picture, opened(probes))), window
        self.every, self.probe_every = every, probe_every
        self.curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.maps: list[tuple[int, np.ndarray]] = []
        self.seconds = 0.0
        self._began = self._drawn = self._probed = None
        self._steps, self._stage = 0, ""
        super().__init__(figures.training({}, "Waiting for the first step."))

    @property
    def share(self) -> float:
        """Of the time since the first step, what the monitor took."""
        return 0.0 if self._began is None else self.seconds / (time.monotonic() - self._began)

    def __call__(self, bench: Bench, row: Mapping[str, Any]) -> None:
        """One step went by.

        Args:
            row: `stage`, `step`, and numbers by name (losses, `learning rate`, now and then `map`).
        """
        now = time.monotonic()
        if self._began is None:
            self._began = self._drawn = self._probed = now
        self._steps, self._stage = self._steps + 1, str(row["stage"])
        for name, value in row.items():
            if name not in ("stage", "step"):
                self.curves[name].append((self._steps, float(value)))
        affordable = self.seconds <= BUDGET * (now - self._began)
        if now - self._drawn >= self.every and affordable:
            self.draw(bench)
        self.seconds += time.monotonic() - now

    def draw(self, bench: Bench) -> None:
        """Draw now, with new maps of the probes if the last are old enough."""
        now = time.monotonic()
        if self.photos and (not self.maps or now - self._probed >= self.probe_every):
            seen = self._first_look(bench)
            if self.maps and self.maps[-1][1].shape != seen.shape:
                self.maps = []  # a stage with larger images: its maps have more tokens
            self.maps.append((self._steps, seen))
            self._probed = now
        said = f"Stage {self._stage}, {self._steps:,} steps in this run."
        if self.seconds:
            said += f" Watching took {self.share:.1%} of the time so far."
        at = self.maps[self.probe][0] if self.probe < len(self.maps) else self._steps
        follow = self.probe >= len(self.maps) - 2  # whoever looks at the last wants the newest
        self.maps = _thinned(self.maps)
        self.show(figures.training(self.curves, said, self.photos, self.maps))
        if self.maps:
            kept = [abs(step - at) for step, _ in self.maps]
            self.probe = len(self.maps) - 1 if follow else kept.index(min(kept))
        self._drawn = time.monotonic()

    @torch.no_grad()
    def _first_look(self, bench: Bench) -> np.ndarray:
        """C₀ of each image, [photos, grid_h, grid_w], without a mark on the training run."""
        state = torch.get_rng_state()
        if self.window is None:
            pixels = bench.pixels(self.photos, (1,))
        else:
            strips = np.stack([np.asarray(photo.convert("RGB")) for photo in self.photos])
            pixels = normalise(torch.from_numpy(strips))
        with bench.evaluating():
            seen = bench.model.encode_images(
                pixels.to(bench.device), pve_steps=0, window=self.window
            )
        torch.set_rng_state(state)
        return seen.looks[0].attention_map[:, 0].float().cpu().numpy()


def _thinned(maps: list, most: int = 24) -> list:
    """Every second one dropped when there are too many, so that the slider spans the whole run."""
    return maps if len(maps) <= most else [*maps[:-1:2], maps[-1]]
