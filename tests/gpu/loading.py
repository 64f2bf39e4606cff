"""How fast training steps are, and whether the loaders keep the device busy.

A step with batches from the loaders is timed beside a step with images that are in memory already:
the second over the first is the share of the time in which the device works.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.data.lists.stream import Data, Item, Items, Rendered
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.training import Recipe, Stage, Trainer, fresh
from mstar.training.recipes import READING
from tests import measure_training

from .common import Part, hurry


@dataclass(frozen=True)
class Cached:
    """The first images of other data, made once."""

    data: Data
    images: int
    kind: str = field(default="cached", init=False)

    @property
    def lexicon(self) -> tuple[str, ...]:
        return self.data.lexicon

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> Items:
        items = self.data.open(seed, size, tiles)
        count = min(self.images, items.count or self.images)
        return _Made([items.item(i, np.random.default_rng(i)) for i in range(count)])


class _Made:
    count = None

    def __init__(self, items: list[Item]):
        self.items = items

    def item(self, index: int, rng: np.random.Generator) -> Item:
        return dict(self.items[index % len(self.items)])


class _Enough(Exception):
    """Steps were timed: nothing is judged and nothing saved."""


def _step(part: Part, stage: Stage, model: Callable, workers: int, seconds: float = 2) -> float:
    """Seconds of a step, the mean over the second half of so many seconds."""
    times: list[float] = []

    def clock(*_: object) -> None:
        part.wait()
        times.append(time.perf_counter())
        if len(times) > 3 and (part.tiny or times[-1] - times[1] > seconds):
            raise _Enough

    recipe = Recipe((stage,))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model(recipe), recipe, folder, workers=workers, callback=clock)
        with suppress(_Enough):
            trainer.run()
    half = times[len(times) // 2 :]
    return (half[-1] - half[0]) / (len(half) - 1)


def _both(part: Part, name: str, stage: Stage, model: Callable, workers: int) -> None:
    """Steps a second with the loaders, and the share of the time in which the device works."""
    loaded = _step(part, stage, model, workers, 6)  # the loaders are ahead at first
    cached = _step(part, replace(stage, data=Cached(stage.data, _images(part))), model, 0)
    note = f"batch {stage.batch_size}: {stage.batch_size / loaded:.0f} images/s; {workers} workers"
    part.results.add(f"training, {name}", 1 / loaded, "steps/s", note=note, cached=1 / cached)
    note = f"{1 / cached:.3g} steps/s with images in memory"
    part.results.add(f"training, {name}: the device works", 100 * cached / loaded, "%", note=note)


def _workers(part: Part) -> int:
    return 0 if part.tiny else 12


def _images(part: Part) -> int:
    return 4 if part.tiny else 48


def loaders(part: Part) -> None:
    """What loaders deliver."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "strips": Rendered("strips"),
            "scenes": Rendered(),
            "1024 px JPEG, cropped to 512 px": measure_training.photographs(
                Path(folder), 4 if part.tiny else 48
            ),
        }
        for kind, data in kinds.items():
            for workers in (0,) if part.tiny else (4, 12):
                size = {"batch": 4, "batches": 1} if part.tiny else {"batches": 16}
                rate = measure_training.loading(data, workers, **size)
                part.results.add(f"loading {kind}, {workers} workers", rate, "images/s")


def sandbox_size(part: Part) -> None:
    """Training steps, sandbox size."""
    scenes, batch = Rendered(), 4 if part.tiny else 24
    stages = {
        "read": Stage("read", Rendered("strips"), batch, 1e-4, steps=10_000, objective=READING),
        "T = 1": Stage("T = 1", scenes, batch, 1e-4, steps=10_000),
    }
    for name, stage in stages.items():
        _both(part, f"sandbox size, {name}", stage, fresh, _workers(part))
    if not part.tiny:  # what the device could do if batches were larger
        larger = replace(stages["T = 1"], batch_size=192, data=Cached(scenes, 192))
        seconds = _step(part, larger, fresh, 0)
        note = f"batch 192, images in memory: {192 / seconds:.0f} images/s"
        part.results.add("training, sandbox size, T = 1, larger", 1 / seconds, "steps/s", note=note)


def base_size(part: Part) -> None:
    """Training steps, base size."""
    side, most = (64, 2) if part.tiny else (512, 24)

    def made(recipe: Recipe) -> Bench:
        """Random weights; it reads characters, as word pieces would have to travel."""
        torch.manual_seed(recipe.seed)
        config = MstarConfig.tiny() if part.tiny else MstarConfig.base(image_size=side)
        processor = MstarProcessor.for_config(config, character_tokenizer())
        return Bench(MstarModel(config), processor)

    with tempfile.TemporaryDirectory() as folder:
        data = measure_training.photographs(Path(folder), 4 if part.tiny else 48)
        options = {"steps": 10_000, "extra_words": 0, "matching_every": 1}
        stage = Stage("512", data, most, 1e-5, pve_steps=0, **options)
        made_once = replace(stage, data=Cached(data, _images(part)))

        def few(batch: int) -> float:
            return _step(part, replace(made_once, batch_size=batch), made, 0, 0)

        stage = replace(stage, batch_size=part.fitting(most, few))
        _both(part, f"base size, {side} px, T = 0", stage, made, _workers(part))
        later = replace(stage, pve_steps=1, frozen=("vision.siglip",))
        _both(part, f"base size, {side} px, T = 1, φ frozen", later, made, _workers(part))


if __name__ == "__main__":
    this = Part("loading")
    if this.tiny:
        hurry()
    this.run(sandbox_size, base_size, loaders)
