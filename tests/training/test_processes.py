"""The loop on two processes is the loop on one."""

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import notebook_launcher

from mstar import distributed
from mstar.training import Trainer, batching
from mstar.training.loop.state import CURVE
from tests.conftest import ROOT
from tests.training.conftest import RECIPE, small

THIS = "tests.training.test_processes"
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def train(folder: str) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mstar.training.loop.trainer.judge", lambda *_: {})
        patch.setattr(batching, "similar", lambda lexicon: {})  # it takes seconds in each process
        # the reading stage and the two ways of looking; one more step shows one more update
        stages = tuple(replace(s, steps=3) for s in RECIPE.stages)
        Trainer(small(**STILL), replace(RECIPE, stages=stages), folder, workers=0).run()
    Path(folder, f"rank {distributed.processes()[0]}").touch()


def curve(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / CURVE).read_text().splitlines()]


def assert_alike(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs) == 12
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            expected = other[name]
            if isinstance(value, float):
                expected = pytest.approx(expected, rel=2e-4)  # rounding, grown over the steps
            assert value == expected, (one, other)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    # forked, as everything is imported already
    child = multiprocessing.get_context("fork").Process(target=train, args=(str(folder),))
    child.start()
    child.join()
    assert child.exitcode == 0
    return curve(folder)


def test_accelerate_launch(alone, tmp_path):
    # with --cpu it would be one process, whatever the number
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no"]
    # not the default, which the notebook on the paper's training may hold at the same moment
    command += ["--main_process_port", "29513", "--module", THIS, str(tmp_path)]
    no_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, check=True, cwd=ROOT, env=no_gpu, timeout=300)
    assert sorted(path.name for path in tmp_path.glob("rank *")) == ["rank 0", "rank 1"]
    assert_alike(curve(tmp_path), alone)


def test_notebook_launcher(alone, tmp_path):
    command = [sys.executable, "-m", THIS, str(tmp_path), "launcher"]
    subprocess.run(command, check=True, cwd=ROOT, timeout=300)
    assert sorted(path.name for path in tmp_path.glob("rank *")) == ["rank 0", "rank 1"]
    assert_alike(curve(tmp_path), alone)


if __name__ == "__main__":
    if sys.argv[2:] == ["launcher"]:
        notebook_launcher(train, (sys.argv[1],), num_processes=2, use_port="29512")
    else:
        train(sys.argv[1])
