"""The recipe for photographs on a few drawn ones: every stage runs, goes on and is judged."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.data.lists.photographs import is_held_out
from mstar.data.lists.stream import Mixed
from mstar.data.scenes import sandbox
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.training import Trainer, photographs, training_record
from mstar.training.loop import judge
from mstar.training.loop.state import CURVE
from tests.training.conftest import small

TILES = (1, 2)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """A complete list, an incomplete one and crops of words: scenes and strips of the sandbox."""
    folder = tmp_path_factory.mktemp("photographs")
    made = []
    for name, first in (("whole", 0), ("partly", 12)):
        entries = []
        for i in range(first, first + 12):
            scene = sandbox.scene(1, i, "train", sandbox.EASY)
            Image.fromarray(scene.image[:96]).save(folder / f"{i}.png")  # 4 : 3
            words = [t for t, s in zip(scene.texts, scene.styles, strict=True) if s == "word"]
            entries.append({"image": f"{i}.png", "text": words, "type": ["word"] * len(words)})
        (folder / f"{name}.json").write_text(json.dumps(entries))
        made.append(((str(folder / f"{name}.json"), str(folder)),))
    entries = []
    for i in range(6):
        strip = sandbox.strip(1, i)
        Image.fromarray(strip.image).save(folder / f"crop{i}.png")
        entries.append({"image": f"crop{i}.png", "text": [strip.word], "type": ["word"]})
    (folder / "crops.json").write_text(json.dumps(entries))
    return (*made, ((str(folder / "crops.json"), str(folder)),))


@pytest.fixture(scope="module")
def recipe(lists):
    """The stages as they are, but a step or two of four images, two levels, and small strips."""
    whole = photographs(*lists)
    quick = dict(batch_size=4, warmup=0, extra_words=4)  # a block of neighbours a step
    stages = [
        replace(s, **quick, steps=1 + (s.name == "open"), tiles=s.tiles[:2]) for s in whole.stages
    ]
    (half, drawn), (other, crops) = stages[0].data.parts
    strips = replace(drawn, strip_size=(32, 128)), replace(crops, size=(32, 128))
    stages[0] = replace(stages[0], data=Mixed(tuple(zip((half, other), strips, strict=True))))
    return replace(whole, stages=tuple(stages))


def trainer(folder, recipe, **options) -> Trainer:
    return Trainer(small(), recipe, folder, **{"workers": 0} | options)


def curve(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / CURVE).read_text().splitlines()]


def test_a_run_finishes_goes_on_and_saves_its_tiles(recipe, unjudged, one_thread, tmp_path):
    hardness, seen = [], []

    def stop(bench, row):
        seen.append((row["stage"], row["step"], bench.processor.tiles, bench.config.tiles))
        if len(seen) == 3:
            raise KeyboardInterrupt

    whole = trainer(tmp_path / "whole", recipe)
    inputs = whole._inputs

    def noted(stage, *rest):
        given = inputs(stage, *rest)
        hardness.append((stage.name, given.get("hardness"), given["pixel_values"].ndim))
        return given

    whole._inputs = noted
    whole.run()
    rows = curve(tmp_path / "whole")
    assert [(row["stage"], row["step"]) for row in rows] == [
        ("reread", 1), ("settle", 1), ("open", 1), ("open", 2), ("finer", 1), ("recycle", 1),
    ]  # fmt: skip
    assert all(np.isfinite(row["loss"]) for row in rows)
    for row in rows[1:]:
        assert ("L_m" in row) == (row["stage"] != "settle")
        parts = row["L_c"] + row["L_a"] + 10 * row.get("L_m", 0)
        assert row["loss"] == pytest.approx(parts, rel=1e-4)
    assert hardness[:2] == [("reread", None, 4), ("settle", 1.0, 5)]
    assert [one for _, one, _ in hardness[2:]] == [0.0, 0.5, 0.5, 1.0]

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "twice", recipe, save_every=1, callback=stop).run()
    assert seen[-1] == ("open", 1, TILES, TILES) and seen[0][2:] == ((1,), (1,))
    resumed = trainer(tmp_path / "twice", recipe, save_every=1)
    assert resumed.progress.total == 2 and resumed.bench.processor.tiles == TILES
    resumed.run()
    assert curve(tmp_path / "twice") == rows

    bench = load_checkpoint(resumed.save_checkpoint(tmp_path / "made"))
    model, processor = bench.model, bench.processor
    assert tuple(model.config.tiles) == processor.tiles == TILES
    (run,) = training_record(tmp_path / "made")
    assert run["recipe"] == recipe.record() and run["total"] == 6
    first, last = (dict(one.bench.model.named_parameters()) for one in (whole, resumed))
    assert all(torch.equal(first[name], value) for name, value in last.items())


def test_what_incomplete_lists_leave_out_is_no_wrong_answer(recipe, unjudged, tmp_path):
    """Of a batch of photographs of both lists: unknown to the incomplete one's images alone."""
    run = trainer(tmp_path, recipe)
    run.progress.stage = 2
    run._begin()
    stage = recipe.stages[2]
    items, seed = run._items(stage)
    seen = []
    for micro in run._batches(stage, items, seed, 0, 6):
        (batch,) = micro
        given = run._inputs(stage, batch, np.random.default_rng(0))
        unknown, own = given["unknown"], given["own"]
        assert not (unknown & given["positives"]).any()
        for row, photographed, complete in zip(
            unknown, batch["photographed"], batch["complete"], strict=True
        ):
            assert photographed or complete
            others = own[torch.tensor(batch["photographed"])].any(0)
            assert not row.any() or (photographed and not complete and others[row].all())
            seen.append(bool(row.any()))
        assert given["pixel_values"].shape == (4, 5, 3, 128, 128)
    assert any(seen) and not all(seen)


def test_photographs_judge_beside_scenes(recipe, monkeypatch):
    asked = []

    def ranked(bench, images, queries, pve_steps, batch_size):
        asked.append(([image.size for image in images], queries, pve_steps))
        return np.random.default_rng(0).random((len(queries), len(images)))

    monkeypatch.setattr(Bench, "scores", ranked)
    monkeypatch.setattr(judge, "quick_map", lambda *_, **__: 50.0)
    stage = recipe.stages[4]
    found = judge.judge(stage, small(), None, 0)
    held = [i for i in range(24) if is_held_out(f"{i}.png")]
    assert held, "of 24 names some are held out"
    ((sizes, queries, pve_steps),) = asked
    assert sizes == [(128, 96)] * len(held) and pve_steps == 1
    assert {query.style for query in queries} == {"word"}
    words = {w for i in held for w in sandbox.scene(1, i, "train", sandbox.EASY).texts}
    assert {query.text for query in queries} <= words
    assert all(len(query.text) >= 3 for query in queries)
    assert found["map"] == 50 and 0 < found["map_photographs"] <= 100
    held_out = [replace(data, held_out=False) for _, data in stage.data.parts[1:]]
    assert held_out[0].found()


def test_minutes_of_a_mixture_are_turned_into_steps(lists, unjudged, tmp_path):
    whole = photographs(lists[0], minutes=1.0)
    (stage,) = (s for s in whole.stages if s.name == "settle")
    stage = replace(stage, batch_size=2, minutes=0.0001, extra_words=4)
    run = trainer(tmp_path, replace(whole, stages=(stage,)))
    run.run()
    assert [row["step"] for row in curve(tmp_path)] == [1]
