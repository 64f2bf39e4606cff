"""A run that is killed, with SIGKILL and at any moment, goes on as if nothing had happened."""

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from tqdm.auto import tqdm

from mstar.training import Trainer
from mstar.training.batching import similar
from mstar.training.loop import state
from mstar.training.loop.state import CURVE, RunFolder
from tests.training.conftest import RECIPE, small

#: Three steps a stage, so that there are kills between two checkpoints of one stage as well.
LONGER = replace(RECIPE, stages=tuple(replace(s, steps=3) for s in RECIPE.stages))

SECONDS = "seconds"  # of the uninterrupted run, beside it


def train(folder: Path) -> None:
    # tqdm's own lock is shared with forks: one that is killed holding it would stop all others
    tqdm.set_lock(threading.RLock())
    torch.set_num_threads(1)
    Trainer(small(), LONGER, folder, workers=0, save_every=2).run()


def in_a_child(folder: Path, prepare=None) -> multiprocessing.Process:
    """Forked, as everything is imported already; `prepare` plants what kills it."""

    def run() -> None:
        if prepare is not None:
            prepare()
        train(folder)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    return child


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner, name: str, when=lambda *_: True):
    """Plant a kill in front of a function, the first time that `when` says so."""

    def plant() -> None:
        real = getattr(owner, name)

        def killed(*arguments, **named):
            if when(*arguments):
                die()
            return real(*arguments, **named)

        setattr(owner, name, killed)

    return plant


def at_total(total: int):
    return lambda self, *_: self.progress.total == total


def plant_half_a_line() -> None:
    """The curve's seventh line is cut in the middle."""
    real, lines = RunFolder.note, []

    def note(self, row):
        lines.append(None)
        if len(lines) == 7:
            with self.curve.open("a") as file:
                file.write('{"stage": "lo')
            die()
        real(self, row)

    RunFolder.note = note


def plant_after_weights() -> None:
    """The third checkpoint has its weights and nothing else."""
    real, saved = Accelerator.save_state, []

    def save_state(self, folder, **named):
        saved.append(None)
        if len(saved) == 3:
            Path(folder, "model.safetensors").write_bytes(b"half of it")
            die()
        return real(self, folder, **named)

    Accelerator.save_state = save_state


MOMENTS = {
    "before the first step": before(Trainer, "_step"),
    "within a stage": before(Trainer, "_step", at_total(5)),
    "at the first step of a stage": before(Trainer, "_step", at_total(6)),
    "in the last stage": before(Trainer, "_step", at_total(11)),
    "half a line of the curve": plant_half_a_line,
    "half a checkpoint": plant_after_weights,
    "before a checkpoint is moved": before(state.os, "replace", lambda a, b: "step-" in str(b)),
    "before an old one is removed": before(
        state.shutil, "rmtree", lambda path, *_: Path(path).name == "step-00000002"
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run: its curve and its last weights."""
    patch = pytest.MonkeyPatch()
    patch.setattr("mstar.training.loop.trainer.judge", lambda *_: {})
    folder = tmp_path_factory.mktemp("whole")
    for stage in LONGER.stages:
        similar(stage.data.lexicon)  # takes seconds; the children inherit it
    clock = time.monotonic()
    child = in_a_child(folder)
    child.join()
    assert child.exitcode == 0
    (folder / SECONDS).write_text(str(time.monotonic() - clock))
    yield folder
    patch.undo()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").glob("step-*")) / "model.safetensors")


def assert_as_whole(folder: Path, whole: Path) -> None:
    assert (folder / CURVE).read_bytes() == (whole / CURVE).read_bytes()
    ours, expected = weights(folder), weights(whole)
    assert [name for name in expected if not torch.equal(ours[name], expected[name])] == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_a_chosen_moment(whole, tmp_path, moment):
    killed = in_a_child(tmp_path, MOMENTS[moment])
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, "the run was not killed"
    resumed = in_a_child(tmp_path)
    resumed.join()
    assert resumed.exitcode == 0
    assert_as_whole(tmp_path, whole)


def test_a_run_killed_again_and_again_by_the_clock(whole, tmp_path):
    seconds = float((whole / SECONDS).read_text())
    kills = []
    for share in np.random.default_rng(1).uniform(0.1, 0.6, size=4):
        child = in_a_child(tmp_path)
        child.join(timeout=share * seconds)
        if child.exitcode is None:
            child.kill()
            child.join()
            kills.append(share)
    assert kills, "no run was killed"
    child = in_a_child(tmp_path)
    child.join()
    assert child.exitcode == 0
    assert_as_whole(tmp_path, whole)
