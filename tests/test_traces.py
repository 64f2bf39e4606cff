"""`mstar trace`: runs on many photographs as files and tables."""

import csv
import json
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import Trace, load
from mstar.cli.__main__ import main
from mstar.errors import UserError
from mstar.explain.assignment import explain_words
from mstar.explain.looks import summarise_looks
from mstar.explain.traces import trace_photographs
from mstar.io.bench import Bench
from mstar.texts import as_queries

TEXTS = ["exit", "phrase:way out"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        noise = np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


def table(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def traced(photos, out, *more: str) -> int:
    return main(["trace", str(photos), "--out", str(out), "--texts", *TEXTS, *more])


def test_files_and_tables_hold_what_a_trace_does(photos, tmp_path, tiny_checkpoint):
    out, checkpoint = tmp_path / "out", str(tiny_checkpoint)
    assert traced(photos, out, "--checkpoint", checkpoint) == 0
    scores, looks = table(out / "scores.csv"), table(out / "looks.csv")
    bench = load(checkpoint)
    for number in range(5):
        expected = bench.trace(photos / f"{number}.png", TEXTS)
        name = scores[2 * number]["trace"]
        kept = Trace.load(out / "traces" / name)
        assert set(kept) == set(expected) and kept.queries == as_queries(TEXTS)
        assert all(torch.equal(kept[point], expected[point]) for point in expected)
        for row, evidence in zip(scores[2 * number :], explain_words(expected), strict=False):
            assert row["image"].endswith(f"{number}.png") and row["text"] == evidence.text
            assert float(row["score"]) == evidence.score and int(row["look"]) == evidence.look
        of_image = [row for row in looks if row["trace"] == name]
        summaries = summarise_looks(expected)
        assert [float(row["entropy"]) for row in of_image] == [one.entropy for one in summaries]
    assert len(scores) == 10


def test_a_run_that_was_stopped_goes_on(photos, tmp_path, tiny_checkpoint, monkeypatch, capsys):
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ("--checkpoint", str(tiny_checkpoint))
    assert traced(photos, whole, *options) == 0
    run, calls = Bench.trace, []

    def stopped(*args, **named):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(*args, **named)

    monkeypatch.setattr(Bench, "trace", stopped)
    assert traced(photos, out, *options) == 130
    assert len(table(out / "scores.csv")) == 4  # what was finished is there
    assert traced(photos, out, *options) == 0 and len(calls) == 3 + 3
    for name in ("scores.csv", "looks.csv", "about.json"):
        assert (out / name).read_text() == (whole / name).read_text()
    capsys.readouterr()
    assert traced(photos, out, "--json", *options) == 0
    assert json.loads(capsys.readouterr().out) == {"made": 0, "kept": 5, "unreadable": {}}
    photos.joinpath("0.png").write_bytes(photos.joinpath("1.png").read_bytes())
    assert traced(photos, out, "--json", *options) == 0  # a changed photograph is another one
    assert json.loads(capsys.readouterr().out)["made"] == 1


def test_one_photograph_at_a_time_is_in_memory(photos, tmp_path, tiny, monkeypatch):
    alive, run = [], Bench.trace

    def watched(*args, **named):
        assert not [one for one in alive if one() is not None]
        trace = run(*args, **named)
        alive.append(weakref.ref(trace.tensors["pve.0.attention_map"]))
        return trace

    monkeypatch.setattr(Bench, "trace", watched)
    paths = sorted(photos.iterdir())
    assert trace_photographs(tiny, paths, [], tmp_path / "out").made == 5 == len(alive)
    assert not (tmp_path / "out/scores.csv").exists()


def test_what_is_recorded_can_be_chosen(photos, tmp_path, tiny_checkpoint):
    out = tmp_path / "out"
    points = ("--record", "vision.tokens", "pve.*.features")
    assert traced(photos / "0.png", out, *points, "--checkpoint", str(tiny_checkpoint)) == 0
    (folder,) = (out / "traces").iterdir()
    kept = set(Trace.load(folder))
    assert {"vision.tokens", "pve.0.features", "scores"} <= kept
    assert not any("cross_attention" in name for name in kept)
    assert len(table(out / "scores.csv")) == 2


def test_what_cannot_be_read_is_left_out(photos, tmp_path, tiny_checkpoint, capsys):
    (photos / "2.png").write_bytes(b"no picture")
    assert traced(photos, tmp_path / "out", "--checkpoint", str(tiny_checkpoint)) == 0
    assert "4 traces made now, 0 there already, 1 photographs unreadable" in capsys.readouterr().out
    assert traced(photos / "2.png", tmp_path / "none", "--checkpoint", str(tiny_checkpoint)) == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "more, why",
    [
        (["--texts", "stop"], "were made with texts"),
        (["--pve-steps", "0"], "were made with pve_steps = 1, not 0"),
        (["--record", "scores"], "were made with record = None"),
        (["--record", "scroes"], "were made with record"),
    ],
)
def test_traces_of_another_kind_are_not_mixed(more, why, photos, tmp_path, tiny_checkpoint, capsys):
    options = ("--checkpoint", str(tiny_checkpoint), "--pve-steps", "1")
    assert traced(photos / "0.png", tmp_path / "out", *options) == 0
    assert traced(photos / "0.png", tmp_path / "out", *options, *more) == 2
    assert why in capsys.readouterr().err


def test_what_is_wrong_is_said_and_nothing_is_left(photos, tmp_path, tiny, capsys):
    assert main(["trace", "nowhere.jpg", "--out", str(tmp_path / "out")]) == 2
    assert "no photograph or folder nowhere.jpg" in capsys.readouterr().err
    assert main(["trace", str(photos), "--out", str(photos)]) == 2
    assert "is not empty and holds no traces" in capsys.readouterr().err
    with pytest.raises(UserError, match="no hook point is called 'scroes'"):
        trace_photographs(tiny, [photos / "0.png"], [], tmp_path / "out", ["scroes"])
    assert not (tmp_path / "out").exists()
