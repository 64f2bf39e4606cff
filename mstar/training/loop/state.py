"""What a run keeps on disk, so that nothing is lost whenever it is killed.

    RUN/checkpoints/step-00001500/   weights, optimiser, random numbers and `progress.json`
    RUN/curve.jsonl                  one line a step: stage, step, losses
    RUN/checkpoint/                  what can be loaded: the mean of the present stage's weights

A checkpoint is written beside its place and then moved into it, and only then the oldest goes.
"""

import copy
import json
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mstar import files
from mstar.errors import UserError, check_range
from mstar.io.bench import Bench
from mstar.io.checkpoints import quiet
from mstar.training.recipes import same_recipe

CHECKPOINTS, CURVE, PROGRESS = "checkpoints", "curve.jsonl", "progress.json"
#: In a checkpoint: how it was made.
RECORD = "training.json"
#: What can be loaded, made anew after every save.
CHECKPOINT = "checkpoint"


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message says where it stands and what to do."""


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        stage, step: the next step to make.
        total: optimiser steps made in all.
        steps: of the present stage; None where they are not yet known.
        cpu_seconds: of this process, rendering apart.
        skipped: files that could not be read and were passed over.
        log: how the run was judged now and then.
    """

    stage: int = 0
    step: int = 0
    total: int = 0
    steps: int | None = None
    cpu_seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)


def _progress(found: dict[str, Any], stages: int) -> Progress:
    """As `save` wrote it; raises ValueError or TypeError if it is anything else."""
    progress = Progress(**found)
    check_range("stage", progress.stage, 0, stages)
    for name in ("step", "total", *(("steps",) if progress.steps is not None else ())):
        check_range(name, getattr(progress, name), 0, sys.maxsize)
    check_range("cpu_seconds", progress.cpu_seconds, 0, inf)
    for listed, kind in ((progress.skipped, str), (progress.log, dict)):
        if not isinstance(listed, list) or not all(isinstance(one, kind) for one in listed):
            raise ValueError("skipped lists files and log objects")
    return progress


@contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """Inside the block its files are read; raises UserError where they are broken."""
    try:
        yield
    except Exception as why:  # what a broken file makes its reader raise has no end
        first = str(why).partition("\n")[0].rstrip(".")
        raise UserError(
            f"{checkpoint} is broken ({first}): delete it, to go on from what was before it."
        ) from why


class RunFolder:
    """The folder of one run.

    Args:
        recipe: its record; a folder that holds a run of another one is refused.
        keep: checkpoints that stay, the newest.
    """

    def __init__(self, folder: Path, recipe: dict[str, Any], keep: int):
        if keep < 1:
            raise UserError(f"keep must be 1 or more; got {keep}.")
        self.folder, self.recipe, self.keep = folder, recipe, keep
        self.checkpoints, self.curve = folder / CHECKPOINTS, folder / CURVE
        self.saved = 0  # optimiser steps that the newest checkpoint knows
        newest = self.newest()
        if newest is None:
            return
        try:
            found = files.read_json(newest / PROGRESS)
            self.found = _progress(found["progress"], len(recipe.get("stages", ())))
            same = same_recipe(found["recipe"], recipe)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise UserError(f"{newest} is no checkpoint of a run: {problem!r}.") from problem
        self.saved = self.found.total
        if not same:
            raise UserError(
                f"{folder} holds a run of another recipe: choose another folder or remove it."
            )

    def newest(self) -> Path | None:
        """The last checkpoint that was finished."""
        return max(self.checkpoints.glob("step-*"), default=None)

    def resume(self) -> Progress | None:
        """Where the newest checkpoint stands; the curve is cut back to it. None = a new run."""
        if self.newest() is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.curve.unlink(missing_ok=True)
            return None
        lines = self.curve.read_bytes().splitlines(keepends=True) if self.curve.exists() else []
        with files.replacing(self.curve) as path:
            path.write_bytes(b"".join(lines[: self.found.total]))
        return self.found

    def load(self, accelerator: Accelerator) -> None:
        """The state of the newest checkpoint, if there is one."""
        if (newest := self.newest()) is not None:
            with _reading(newest):
                accelerator.load_state(str(newest))

    def note(self, row: dict[str, Any]) -> None:
        """Add one step to the curve.

        Raises:
            TrainingStopped: as `save`.
        """
        with (
            self.written(f"the line of step {row['step']}", self.curve),
            self.curve.open("a", encoding="utf-8") as file,
        ):
            file.write(json.dumps(row) + "\n")

    def losses(self, count: int, most: int = 100) -> list[float]:
        """Of the last `count` steps, `most` at most."""
        if not count or not self.curve.exists():
            return []
        lines = self.curve.read_bytes().splitlines()
        try:
            return [float(json.loads(line)["loss"]) for line in lines[-min(count, most) :]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(
                f"{self.curve} should have an object with a loss in each line: remove it to go on "
                "without."
            ) from None

    def save(self, accelerator: Accelerator, progress: Progress) -> None:
        """Write a checkpoint; every process takes part.

        Raises:
            TrainingStopped: it could not be written; those before it stay as they are.
        """
        place = self.checkpoints / f"step-{progress.total:08}"
        part = self.checkpoints / f".{place.name}.part"
        try:
            with self.written(f"the checkpoint of step {progress.total}", self.checkpoints):
                if accelerator.is_main_process:
                    shutil.rmtree(part, ignore_errors=True)
                    part.mkdir(parents=True)
                accelerator.wait_for_everyone()
                accelerator.save_state(str(part))
                accelerator.wait_for_everyone()
                if accelerator.is_main_process:
                    record = {"progress": asdict(progress), "recipe": self.recipe}
                    (part / PROGRESS).write_text(json.dumps(record), encoding="utf-8")
                    while place.exists():  # a stage's length may become known at the same step
                        place = place.with_name(f"{place.name}+")
                    os.replace(part, place)
                    for old in sorted(self.checkpoints.glob("step-*"))[: -self.keep]:
                        shutil.rmtree(old)
        except TrainingStopped:
            shutil.rmtree(part, ignore_errors=True)
            raise
        self.saved = progress.total
        accelerator.wait_for_everyone()

    @contextmanager
    def written(self, what: str, where: Path) -> Iterator[None]:
        """Inside the block `what` is written; where that fails, the run stops with a sentence."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as problem:
            # torch and safetensors have errors of their own for a full disk
            raise TrainingStopped(
                f"{what} could not be written to {where} ({str(problem).splitlines()[0]}): if "
                "the disk is full, free some space; then run the same command again; "
                f"{self.last_good()}."
            ) from problem

    def mean_weights(self, stage: int) -> dict[str, Tensor]:
        """The mean of the objective's weights over the checkpoints that stay, of this stage alone.

        While the rate is high the mean of weights is better than each of them (Izmailov et al.
        2018, "Averaging weights leads to wider optima"). Counters are those of the newest.
        """
        found = []
        for place in sorted(self.checkpoints.glob("step-*")):
            record = files.read_json(place / PROGRESS)
            if record["progress"]["stage"] == stage:
                with _reading(place):
                    found.append(load_file(place / "model.safetensors"))
        return {
            name: torch.stack([one[name] for one in found]).mean(0)
            if newest.is_floating_point()
            else newest
            for name, newest in found[-1].items()
        }

    def last_good(self) -> str:
        """A clause that names the checkpoint to go on from."""
        newest = self.newest()
        if newest is None:
            return "there is no earlier checkpoint, it starts again"
        return f"the last good checkpoint is {newest}"


class Guard:
    """Notices a loss that has exploded.

    That is ten times the median of the last hundred losses, and ten at least: below that a
    loss of the kinds here says nothing.

    Args:
        losses: of the steps before, for a run that goes on.
    """

    factor, least, memory = 10.0, 10.0, 100

    def __init__(self, losses: Iterable[float] = ()):
        self.recent: deque[float] = deque(losses, maxlen=self.memory)

    def problem(self, loss: float) -> str | None:
        """What is wrong with the next loss, if anything."""
        ordered = sorted(self.recent)
        self.recent.append(loss)
        if len(ordered) < 20:
            return None
        median = ordered[len(ordered) // 2]
        if loss > max(self.factor * median, self.least):
            return f"the loss is {loss:.3g}, after a median of {median:.3g}"
        return None


def write_checkpoint(
    folder: Path, bench: Bench, history: list[dict], weights: dict[str, Tensor] | None
) -> None:
    """What `load_checkpoint` reads, in half precision, and how it was made.

    Args:
        weights: of the model, by name; None = as it stands.
    """
    model = copy.deepcopy(bench.model)
    if weights is not None:
        model.load_state_dict({name: weights[name] for name in model.state_dict()})
    with quiet():  # the bar is the stage's
        model.half().save_pretrained(folder)
    bench.processor.save_pretrained(folder)
    record = json.dumps(history, indent=1)
    (folder / RECORD).write_text(record + "\n", encoding="utf-8")


def training_record(folder: str | Path) -> list[dict]:
    """The runs that made a checkpoint, first to last: recipe, CPU seconds, log."""
    if not Path(folder).is_dir():
        files.restored(folder)
    path = Path(folder, RECORD)
    files.check_regular(path, "checkpoint")
    runs = files.read_json(path, list) if path.is_file() else []
    if not all(isinstance(run, dict) for run in runs):
        raise UserError(f"{path} should list runs, each an object.")
    return runs
