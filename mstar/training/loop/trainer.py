"""The loop: one step after another through a recipe's stages, on one process or several."""

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm.auto import tqdm

from mstar import distributed, files
from mstar.data.lists.stream import Items, Stream
from mstar.errors import UserError
from mstar.io.bench import Bench
from mstar.model.assignment import NotFinite
from mstar.model.modeling import MstarModel
from mstar.training import reading
from mstar.training.loop.judge import due, judge
from mstar.training.loop.stage import loader, on_device, set_up, train_mode
from mstar.training.loop.state import (
    CHECKPOINT,
    Guard,
    Progress,
    RunFolder,
    TrainingStopped,
    write_checkpoint,
)
from mstar.training.loop.stopping import Stopping
from mstar.training.objectives import Objective, optimizer
from mstar.training.recipes import READING, Recipe, Stage, learning_rate
from mstar.training.start import resize_images

#: Steps whose speed turns a stage's minutes into steps, after one that warms up.
_REHEARSED = 6

Callback = Callable[[Bench, dict[str, object]], None]


class Trainer:
    """Runs a recipe, from the start or from the last checkpoint in `folder`.

    Each step draws its random numbers from the recipe's seed and its own number, and each image
    from its position, so a run that was killed goes on bit for bit, with any number of workers (on
    one CPU thread: with more, sums differ in their last bits now and then).

    Args:
        bench: what to train (see `start`), changed in place.
        folder: where the run is kept.
        history: how the given weights were made, `training_record` of their checkpoint.
        workers: processes that render or load; None = one on a CPU, four beside a GPU.
        save_every: steps.
        keep: checkpoints that stay.
        precision: `bf16` or `no`; None = bf16 on a GPU that has it.
        compiled: whether φ's layers are compiled, which takes a minute; a CPU gains nothing.
        skip_unreadable: whether an image that cannot be read is replaced and counted, instead of
            stopping the run.
        callback: called after every step with the bench and a row: `stage`, `step`, the losses,
            `learning rate`, now and then `exact_match` or `map`. It must change nothing.
    """

    def __init__(
        self,
        bench: Bench,
        recipe: Recipe,
        folder: str | Path,
        *,
        history: list[dict] | None = None,
        workers: int | None = None,
        save_every: int = 500,
        keep: int = 2,
        precision: str | None = None,
        compiled: bool = False,
        skip_unreadable: bool = False,
        callback: Callback | None = None,
    ):
        cuda = torch.cuda.is_available()
        if precision is None:
            precision = "bf16" if cuda and torch.cuda.is_bf16_supported() else "no"
        AcceleratorState._reset_state()  # one kernel may train twice, in another precision
        # which parts take part differs from step to step: L_m, phrases, the reading head
        uneven = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(
            mixed_precision=precision,
            cpu=not cuda and "LOCAL_RANK" in os.environ,  # or CPU processes do not find each other
            kwargs_handlers=[uneven],
        )
        self.bench, self.recipe = bench, recipe
        self.folder, self.history = Path(folder), history or []
        self.workers = (4 if cuda else 1) if workers is None else workers
        self.save_every = save_every
        self.skip_unreadable, self.callback = skip_unreadable, callback
        head = None
        if any(stage.objective == READING for stage in recipe.stages):
            torch.manual_seed(recipe.seed)
            head = reading.ReadingHead(bench.config.vision_config.hidden_size)
        for stage in recipe.stages:
            stage.check_shared(distributed.processes()[1])  # before the first has taken a day
        self.objective = Objective(bench.model, head, recipe.assigned_weight)
        if compiled:
            for layer in bench.model.vision.siglip.encoder.layers:
                layer.compile(dynamic=False)
        self.kept = RunFolder(self.folder, recipe.record(), keep)
        self.prepared: nn.Module | None = None
        self.progress = self.kept.resume() or Progress()
        self._go_on()

    def estimate(self) -> list[float]:
        """Minutes that each stage still to be run will take, by a few steps that teach nothing.

        Judging and saving come on top. Steps that no checkpoint holds yet are saved first.
        """
        if self.progress.total > self.kept.saved:
            self.kept.save(self.accelerator, self.progress)
        begun, kept = self.progress, copy.deepcopy(self.bench.model.state_dict())
        pixels, minutes = self.bench.config.vision_config.image_size, []
        for number, stage in enumerate(self.recipe.stages[begun.stage :], begun.stage):
            at = begun if number == begun.stage else Progress(number)
            self.progress = Progress(number)
            self._begin()
            items, seed = self._items(stage)
            steps = at.steps or stage.steps_of(items.count)
            seconds = self._seconds(stage, items, seed)
            minutes.append(stage.minutes if steps is None else (steps - at.step) * seconds / 60)
        resize_images(self.bench.model, pixels)
        self.bench.model.load_state_dict(kept)
        self.progress = begun
        self._go_on()
        return minutes

    def run(self) -> MstarModel:
        """Train to the end of the recipe; writes checkpoints on the way.

        Raises:
            TrainingStopped: the loss exploded or is no number, or the disk is full.
            UserError: an image cannot be read.
            KeyboardInterrupt: Ctrl-C; the step was finished, and what was learnt is saved.
        """
        while self.progress.stage < len(self.recipe.stages):
            with Stopping(self.accelerator.num_processes) as stop:
                self._run_stage(self.recipe.stages[self.progress.stage], stop)
                if self.accelerator.is_main_process:
                    self.save_checkpoint(self.folder / CHECKPOINT)
                self.progress.stage += 1
                self.progress.step, self.progress.steps = 0, None
                self._begin()
                self.kept.save(self.accelerator, self.progress)
            if stop.asked:
                raise KeyboardInterrupt
        return self.bench.model

    def _save(self) -> None:
        """A state to go on from, and beside it weights that can be used meanwhile."""
        self.kept.save(self.accelerator, self.progress)
        if self.accelerator.is_main_process:
            mean = self.kept.mean_weights(self.progress.stage)
            own = {name.removeprefix("model."): value for name, value in mean.items()}
            self.save_checkpoint(self.folder / CHECKPOINT, own)
        self.accelerator.wait_for_everyone()

    def save_checkpoint(self, folder: str | Path, weights: dict[str, Tensor] | None = None) -> Path:
        """What `from_pretrained` loads, in half precision, and `training.json`: how it was made.

        Args:
            weights: of the model, by name; None = as it stands.

        Raises:
            TrainingStopped: the disk is full; what was in the folder stays.
        """
        run, folder = {"recipe": self.recipe.record()} | asdict(self.progress), Path(folder)
        written = self.kept.written("the trained model", folder)
        with written, files.replacing_folder(folder) as made:
            write_checkpoint(made, self.bench, [*self.history, run], weights)
        return folder

    def _go_on(self) -> None:
        """Get ready where the run stands."""
        self._begin()
        self.kept.load(self.accelerator)

    def _begin(self) -> None:
        """Get ready for the present stage, or the last: what is trained, a fresh optimiser."""
        if not self.recipe.stages:
            return
        number = min(self.progress.stage, len(self.recipe.stages) - 1)
        stage = self.recipe.stages[number]
        sizes = [s.image_size for s in self.recipe.stages[: number + 1] if s.image_size]
        set_up(self.bench, stage, sizes[-1] if sizes else None)
        if self.prepared is not None:  # or each stage would wrap the last one's autocast
            self.accelerator.unwrap_model(self.prepared, keep_fp32_wrapper=False)
        self.accelerator.free_memory()
        self.prepared, self.optimizer = self.accelerator.prepare(
            self.objective, optimizer(self.objective, self.recipe)
        )
        self.accelerator.gradient_accumulation_steps = stage.accumulate

    def _run_stage(self, stage: Stage, stop: Stopping) -> None:
        items, seed = self._items(stage)
        progress = self.progress
        if progress.steps is None:
            progress.steps = stage.steps_of(items.count)
            if progress.steps is None:
                seconds = self._seconds(stage, items, seed)
                progress.steps = max(1, round(60 * stage.minutes / seconds))
                # or a resumed run might measure another length
                self.kept.save(self.accelerator, progress)
        guard = Guard(self.kept.losses(progress.step))
        train_mode(self.objective, self.bench, stage)
        per_epoch = items.count and -(-items.count // stage.batch_size)
        batches = self._batches(stage, items, seed, progress.step, progress.steps)
        named = dict(desc=stage.name, total=progress.steps, initial=progress.step)
        bar = tqdm(batches, **named, disable=not self.accelerator.is_main_process)
        if stage.judged and not progress.step:
            before = judge(stage, self.bench, self.objective.head, seed)
            self._log({"stage": stage.name, "step": 0} | before)
        clock = time.process_time()
        for micro in bar:
            rate = learning_rate(stage, progress.step, progress.steps, per_epoch)
            losses = self._step(stage, seed, micro, rate)
            if (problem := guard.problem(losses["loss"])) is not None:
                raise self._stopped(stage, problem, micro)
            progress.step, progress.total = progress.step + 1, progress.total + 1
            progress.cpu_seconds += time.process_time() - clock
            clock = time.process_time()
            bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})
            row: dict[str, Any] = {"stage": stage.name, "step": progress.step} | losses
            if self.accelerator.is_main_process:
                self.kept.note(row)
            if due(stage, progress.step, progress.steps):
                row |= judge(stage, self.bench, self.objective.head, seed)
                self._log(row)
            if self.callback is not None:
                self.callback(self.bench, row | {"learning rate": rate})
            if progress.step == progress.steps:
                break  # the stage is over, and saved as such
            if stop.asked or progress.step % self.save_every == 0:
                self._save()
            if stop.asked:
                raise KeyboardInterrupt

    def _items(self, stage: Stage) -> tuple[Items, int]:
        """The present stage's images, and its seed: every stage sees images of its own."""
        seed = self.recipe.seed * 1000 + self.progress.stage
        size = self.bench.config.vision_config.image_size
        return stage.data.open(seed, size, stage.tiles), seed

    def _batches(
        self, stage: Stage, items: Items, seed: int, start: int, stop: int
    ) -> Iterator[list[dict]]:
        """The micro-batches of each step."""
        stream = Stream(items, seed, self.skip_unreadable)
        cuda = self.accelerator.device.type == "cuda"
        loaded = loader(stage, stream, start, stop, self.workers, pinned=cuda)
        for _ in range(start, stop):
            yield [self._read(next(loaded)) for _ in range(stage.accumulate)]

    def _read(self, batch: dict) -> dict:
        if "error" in batch:
            raise UserError(
                f"{batch['error'].rstrip('.')}: repair or remove it, or let unreadable images be "
                f"skipped; {self.kept.last_good()}."
            )
        if not self.skip_unreadable:
            return batch
        skipped = [problem for problems in batch["skipped"] for problem in problems]
        for problem in distributed.gather_lists(skipped):
            if problem not in self.progress.skipped:
                self.progress.skipped.append(problem)
                if self.accelerator.is_main_process:
                    tqdm.write(f"skipped ({len(self.progress.skipped)} so far): {problem}")
        return batch

    def _step(self, stage: Stage, seed: int, micro: list[dict], rate: float) -> dict[str, float]:
        """One optimiser step; the losses, over micro-batches and processes."""
        step, rank = self.progress.step, distributed.processes()[0]
        torch.manual_seed((seed * 100_003 + step) * 1_009 + rank)  # dropout and drawn pairs
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(micro):
            rng = np.random.default_rng([seed, step, number])
            with self.accelerator.accumulate(self.prepared):
                try:
                    losses = self.prepared(**self._inputs(stage, batch, rng))
                except NotFinite as problem:  # alike on every process
                    raise self._stopped(stage, str(problem).rstrip("."), micro) from None
                self.accelerator.backward(losses["loss"])
                if self.accelerator.sync_gradients:
                    trained = [p for group in self.optimizer.param_groups for p in group["params"]]
                    norm = self.accelerator.clip_grad_norm_(trained, self.recipe.clip or math.inf)
                    if not torch.isfinite(norm):  # no weight has changed yet
                        what = f"the loss is {losses['loss']:.3g}, its gradient {norm:.3g} long"
                        raise self._stopped(stage, what, micro)
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach() / len(micro)
        if stage.objective == READING:  # the others are of all processes as they are
            count = self.accelerator.num_processes
            sums = {name: distributed.total(value) / count for name, value in sums.items()}
        return {name: value.item() for name, value in sums.items()}

    def _inputs(self, stage: Stage, batch: dict, rng: np.random.Generator) -> dict[str, Any]:
        given = on_device(self.bench, stage, batch, rng, self.accelerator.device)
        step, every = self.progress.step, stage.matching_every
        if stage.objective != READING:
            given["matching"] = every > 0 and step % every == 0
            # a stage of minutes is first measured
            given["hardness"] = stage.hardness_at(step, self.progress.steps or 1)
        return given

    def _seconds(self, stage: Stage, items: Items, seed: int) -> float:
        """Of a step, the mean of a few at a rate of zero, which change no weight."""
        kept = copy.deepcopy(self.bench.model.state_dict())  # the norm's running statistics
        train_mode(self.objective, self.bench, stage)
        every = max(1, stage.matching_every)  # L_m is dear: it has to have its share
        count = every * -(-_REHEARSED // every)
        for micro in self._batches(stage, items, seed, 0, count + 1):
            self._step(stage, seed, micro, 0.0)
            if self.progress.step == 0:  # the first warms up
                began = time.perf_counter()
            self.progress.step += 1
        mean = (time.perf_counter() - began) / count
        self.progress.step = 0
        self.bench.model.load_state_dict(kept)
        self._begin()  # an optimiser without a memory of this
        slowest = torch.tensor(mean, device=self.accelerator.device)
        return distributed.total(slowest).item() / self.accelerator.num_processes

    def _log(self, row: dict[str, object]) -> None:
        row = row | {"cpu_minutes": self.progress.cpu_seconds / 60}
        self.progress.log.append(row)
        if self.accelerator.is_main_process:
            rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
            tqdm.write(json.dumps(rounded))

    def _stopped(self, stage: Stage, problem: str, micro: list[dict]) -> TrainingStopped:
        sources = [name for batch in micro for name in batch["source"]]
        return TrainingStopped(
            f"stopped at step {self.progress.step + 1} of stage {stage.name}: {problem}; "
            f"{self.kept.last_good()}. The batch was {', '.join(sources)}."
        )
