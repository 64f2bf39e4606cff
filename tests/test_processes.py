"""`mstar index` and `mstar evaluate benchmark` by two processes: what one makes, said once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstar import distributed
from mstar.cli import __main__ as cli
from mstar.io.bench import Bench
from mstar.search.store import read_shards
from tests.conftest import ROOT

OPTIONS = ["--batch-size", "4", "--json"]


def launch(module: str, *arguments: object, port: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2"]
    # the option that starts several processes on CPUs too: with --cpu it is one
    command += ["--multi_gpu", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--main_process_port", str(port), "--module", module]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command += map(str, arguments)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def photos(tmp_path) -> Path:
    """Sixty pictures, every tenth broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(60):
        draw_one(folder / f"{seed:02}.png", seed)
    return folder


def draw_one(path: Path, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    if seed % 10 == 3:
        path.write_bytes(b"nothing")


def files_of(gallery: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in gallery.iterdir() if path.name != ".lock"}


def test_two_processes_write_what_one_writes(photos, tiny_checkpoint, tmp_path, capsys):
    """Some is there already, some has changed, some is gone, and a whole shard is unreadable."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = ["--checkpoint", str(tiny_checkpoint), *OPTIONS]
    assert cli.main(["index", str(photos), str(one), *options]) == 0
    shutil.copytree(one, two)
    (photos / "00.png").unlink()
    draw_one(photos / "01.png", 70)
    for seed in range(100, 150):
        draw_one(photos / f"{seed}.png", seed)
    for seed in range(114, 130):  # the second shard of what is to do
        (photos / f"{seed}.png").write_bytes(b"nothing")
    capsys.readouterr()
    assert cli.main(["index", str(photos), str(one), *options]) == 0
    printed = capsys.readouterr().out
    found = launch("mstar.cli", "index", photos, two, *options, port=29514)
    assert found.returncode == 0, found.stderr
    assert found.stdout == printed and json.loads(printed)["embedded"] == 57 - 26
    written = [f"{number:05}.safetensors" for number in (0, 1, 2, 3, 4, 6, 7)]
    assert sorted(files_of(one)) == sorted(files_of(two)) == [*written, "gallery.json"]
    assert files_of(one) == files_of(two)
    # the bar of the first counts what both did
    assert "57/57" in found.stderr and found.stderr.count(" 0/57") == 1

    found = launch("mstar.cli", "index", tmp_path / "none", two, port=29514)
    assert found.returncode != 0 and found.stderr.count("there is no folder of images") == 1


def test_two_processes_judge_as_one(tiny_checkpoint, capsys):
    arguments = ["evaluate", "benchmark", "sandbox-easy", "--scenes", "40", "--peers", "parts"]
    arguments += ["--checkpoint", str(tiny_checkpoint), "--json"]
    assert cli.main(arguments) == 0
    found = launch("mstar.cli", *arguments, port=29516)
    assert found.returncode == 0, found.stderr
    judged = [json.loads(printed) for printed in (capsys.readouterr().out, found.stdout)]
    for row in (row for result in judged for row in result["sections"]["best"]):
        row.pop("rate")  # images a second
    assert judged[0] == judged[1]


def test_a_killed_process_costs_its_unfinished_shard(photos, tiny_checkpoint, tmp_path, capsys):
    gallery = tmp_path / "gallery"
    found = launch("tests.test_processes", photos, gallery, tiny_checkpoint, port=29515)
    assert found.returncode != 0 and "RuntimeError" not in found.stderr
    names = [entry.name for shard in read_shards(gallery) for entry in shard.entries]
    readable = [f"{seed:02}.png" for seed in range(60) if seed % 10 != 3]
    assert set(names) >= set(readable[:14]) and not set(names) & set(readable[14:29])
    options = ["--checkpoint", str(tiny_checkpoint), *OPTIONS]
    assert cli.main(["index", str(photos), str(gallery), *options]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["images"], done["kept"]) == (54, len(names))


def index_until_killed(photos: str, gallery: str, checkpoint: str) -> int:
    """The second process is killed in the second batch of its shard, when the first has its own."""
    encode, calls = Bench.encode_images, []

    def killed(*arguments: object) -> object:
        calls.append(arguments)
        if distributed.processes()[0] == 1 and len(calls) == 2:
            while not Path(gallery, "00000.safetensors").exists():
                pass
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(*arguments)

    Bench.encode_images = killed
    return cli.main(["index", photos, gallery, "--checkpoint", checkpoint, *OPTIONS])


if __name__ == "__main__":
    sys.exit(index_until_killed(*sys.argv[1:]))
