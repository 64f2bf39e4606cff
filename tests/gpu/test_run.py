"""The whole path of `run.sh` on a CPU, as small as can be, and what it packs and trains with."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from mstar.data.lists.annotations import Annotations
from mstar.io import embedded
from tests.gpu import pack_data, report, train

HERE = Path(__file__).parent

#: Names that every run has a row for, whatever the sizes.
ROWS = {
    "checks": [
        "the machine",
        "hooks that change nothing: equal bit for bit",
        "recording: equal bit for bit",
        "recording S's attention, too: largest error",
        *(
            f"{what}: {value}"
            for what in ("bf16 autocast against fp32", "the device against the CPU, fp32")
            for value in (
                "lowest cosine, look 0",
                "lowest cosine, look 1",
                "tokens on whose mask both agree",
                "lowest cosine, texts",
            )
        ),
        "golden vectors, on the device",
        "golden vectors, on the CPU",
    ],
    "learning": [
        *(
            f"a training step against the CPU, T = {pve_steps}: {value}"
            for pve_steps in (0, 1)
            for value in ("loss", "norm of the gradient", "norms one by one")
        ),
        "the fused optimiser against the plain one",
        "a run that is cut and goes on",
        "notebook 04's training",
        *(f"notebook 04, stage {name}: loss in its last quarter" for name in ("read", "find")),
    ],
    "throughput": [
        *(f"matrix product, {precision}" for precision in ("bf16", "fp32")),
        *(
            f"{before}{side} px, T = {pve_steps}{after}"
            for before, after in (
                ("operations an image, ", ""),
                ("", ", bf16"),
                ("", ", fp32"),
            )
            for side in (32, 64)
            for pve_steps in (0, 1, 3)
        ),
        *(f"32 px, T = {pve_steps}, bf16, compiled" for pve_steps in (0, 1, 3)),
        *(f"a PVE step, {side} px, {kind}" for side in (32, 64) for kind in ("bf16", "fp32")),
        "a PVE step, 32 px, bf16, compiled",
        "σ, 64 px",
        "64 queries, vectors on the device",
        "64 queries, `Gallery` on disk",
    ],
    "loading": [
        *(
            f"training, {what}{after}"
            for what in (
                "sandbox size, read",
                "sandbox size, T = 1",
                "base size, 64 px, T = 0",
                "base size, 64 px, T = 1, φ frozen",
            )
            for after in ("", ": the device works")
        ),
        "loading strips, 0 workers",
        "loading scenes, 0 workers",
        "loading 1024 px JPEG, cropped to 512 px, 0 workers",
    ],
    "train": ["training on photographs", "steps"],
}

#: Stands in for `mstar`: trains for a moment, then waits to be interrupted.
STUB = """
import json, pathlib, shutil, sys, time
given = sys.argv[1:]
run = pathlib.Path(given[given.index("--out") + 1])
run.mkdir(parents=True)
(run / "curve.jsonl").write_text("".join(json.dumps({"step": i}) + "\\n" for i in range(3)))
shutil.copytree(given[given.index("--init") + 1], run / "checkpoint")
"""


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess:
    command = [str(HERE / "run.sh"), *map(str, arguments)]
    # without the marks of this test run's own golden vectors: they take too long here
    kept = {k: v for k, v in os.environ.items() if k != "MSTAR_GOLDEN"}
    environment = kept | {"PYTHON": sys.executable} | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def packed(folder: Path, source: Path, *options: str) -> int:
    return pack_data.main([str(source), str(folder), *options])


def longest(path: Path) -> int:
    with Image.open(path) as image:
        return max(image.size)


@pytest.fixture
def source(tmp_path) -> Path:
    """Photographs of two sets, crops and backgrounds."""
    source, rows = tmp_path / "source", {"photographs": [], "words": []}
    for name, size, kind in [
        ("icdar2015/1.jpg", (1280, 720), "photographs"),
        ("svt_train/1.png", (900, 600), "photographs"),
        ("crops/1.jpg", (96, 32), "words"),
        ("backgrounds/1.jpg", (512, 384), None),
        ("unlisted/1.jpg", (512, 384), None),
    ]:
        path = source / name
        path.parent.mkdir(parents=True)
        Image.effect_noise(size, 80).convert("RGB").save(path)
        if kind:
            rows[kind].append({"image": name, "text": ["exit"], "type": ["word"]})
    for name, entries in rows.items():
        (source / f"{name}.json").write_text(json.dumps(entries))
    return source


def test_every_part_leaves_its_rows(tmp_path, source):
    data, out, stub = tmp_path / "data", tmp_path / "out", tmp_path / "stub.py"
    assert packed(data, source) == 0
    stub.write_text(STUB)
    done = run(out, "--tiny", "--train", "0.01", data, MSTAR_GPU_PROGRAM=str(stub))
    log = (out / "log.txt").read_text()
    found = report.rows(out)
    assert {part: [] for part in ROWS}.keys() == {row["part"]: [] for row in found}.keys(), log
    for part, names in ROWS.items():
        assert sorted(names) == sorted(row["name"] for row in found if row["part"] == part), log
    if not torch.cuda.is_available():
        assert [row for row in found if row["ok"] is False] == [], log
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("== checks") and "| the machine |" in done.stdout
    with tarfile.open(out / train.CHECKPOINT) as archive:
        assert "checkpoint/config.json" in archive.getnames()
    assert len((out / train.CURVE).read_text().splitlines()) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_refuses_in_a_sentence(tmp_path):
    done = run(tmp_path / "out")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "--tiny" in done.stderr


def test_bad_usage_is_refused(tmp_path):
    assert run().returncode == 2
    assert "no part nothing" in run(tmp_path, "--tiny", "--only", "nothing").stderr
    assert "train less" in run(tmp_path, "--tiny", "--train", "8", tmp_path).stderr


def test_a_failed_check_and_a_hanging_part_are_said(tmp_path):
    report.Results(tmp_path, "checks").add("one", 0.5, ok=False, note="beyond | its tolerance")
    command = [sys.executable, str(HERE / "start.py"), "report", str(tmp_path)]
    done = subprocess.run([*command, "--failed", "loading", "124"])
    table = (tmp_path / report.TABLE).read_text()
    assert done.returncode == 1
    assert "2 checks, 2 not passed" in table and "its time was up" in table


def test_data_is_packed_small_and_its_lists_are_valid(tmp_path, source, capsys):
    data = tmp_path / "data"
    assert packed(data, source) == 0
    for name, image, side in (
        ("photographs", "icdar2015/1.jpg", 768),
        ("incomplete", "svt_train/1.png.jpg", 512),
        ("words", "crops/1.jpg", 96),
    ):
        (found,) = Annotations(data / f"{name}.json", data)
        assert found.image == data / image and found.texts == ("exit",)
        assert longest(found.image) == side
    assert longest(data / "backgrounds/1.jpg") == 256
    assert not (data / "unlisted").exists()
    assert "MiB" in capsys.readouterr().out


def test_too_much_data_is_refused_with_the_number(tmp_path, source, capsys):
    data = tmp_path / "data"
    assert packed(data, source, "--limit", "0.1") == 2
    assert "over the limit of 0.1" in capsys.readouterr().err and not data.exists()


def test_the_command_names_what_was_packed(tmp_path, source):
    data, out = tmp_path / "data", tmp_path / "run"
    packed(data, source)
    given = train.command(data, Path("init"), out, 7.5, 14, "bf16")
    assert given == [
        "train", "--recipe", "photographs", "--init", "init",
        "--real", f"{data}/photographs.json", str(data),
        "--incomplete", f"{data}/incomplete.json", str(data),
        "--crops", f"{data}/words.json", str(data),
        "--backgrounds", f"{data}/backgrounds",
        "--minutes", "7.5", "--workers", "14", "--precision", "bf16", "--out", str(out),
    ]  # fmt: skip
    (data / "words.json").unlink()
    assert "--crops" not in train.command(data, Path("init"), out, 7.5, 14, "bf16")


def test_before_the_end_the_weights_so_far_are_kept(tmp_path, monkeypatch):
    from mstar.data.lists.stream import Rendered
    from mstar.io.checkpoints import load_checkpoint
    from mstar.training import Recipe, Stage, Trainer, batching

    monkeypatch.setattr(batching, "similar", lambda lexicon: {})  # it takes seconds
    init, run_folder, out = embedded.checkpoint(), tmp_path / "run", tmp_path / "out"
    out.mkdir()
    stage = Stage("find", Rendered("strips"), 4, 1e-3, steps=3, pve_steps=0, matching_every=0)
    recipe = Recipe((stage,))
    trainer = Trainer(load_checkpoint(init), recipe, run_folder, workers=0, save_every=2)
    trainer.run()
    assert train.keep(run_folder, out) == "the run's own checkpoint"
    with tarfile.open(out / train.CHECKPOINT) as archive:
        archive.extractall(tmp_path, filter="data")
    model = load_checkpoint(tmp_path / "checkpoint").model
    assert model.config.num_query_tokens == trainer.bench.config.num_query_tokens


def test_shell_scripts_parse():
    for script in ("run.sh", "pack.sh"):
        assert subprocess.run(["bash", "-n", str(HERE / script)]).returncode == 0
