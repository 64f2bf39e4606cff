"""A checkpoint that goes on in minutes, with one's own photographs; a run that is stopped."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mstar import load
from mstar.cli.__main__ import main
from mstar.data.lists.photographs import Few
from mstar.data.scenes import sandbox
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.training import Recipe, Trainer, training_record, tuned, within
from mstar.training.loop import judge
from mstar.training.loop.judge import due

from .conftest import RECIPE, SCENES, small, stage


@pytest.fixture
def own(tmp_path):
    """A dozen photographs and their list, as one begins it with `mstar labels`."""
    folder = tmp_path / "own"
    folder.mkdir()
    scenes = [sandbox.scene(5, i, "train", sandbox.EASY) for i in range(12)]
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.image).save(folder / f"{number}.png")
    assert main(["labels", str(folder)]) == 0
    path = folder / "labels.json"
    entries = json.loads(path.read_text())
    for entry in entries:
        entry["text"] = list(scenes[int(entry["image"][:-4])].texts)[:3]
    path.write_text(json.dumps(entries))
    return str(path), str(folder)


def short(recipe: Recipe) -> Recipe:
    return replace(recipe, stages=tuple(replace(s, minutes=None, steps=4) for s in recipe.stages))


def test_a_fifth_of_a_short_list_judges(own):
    held, trained = (
        [entry.image.name for entry, _ in Few((own,), held_out=out).found()]
        for out in (True, False)
    )
    assert len(held) == 2 and len(trained) == 10 and not set(held) & set(trained)
    assert len(Few((own,), held_out=True, judging=0.01).found()) == 1


def test_the_recipe_looks_as_its_checkpoint_does(own):
    config = small().config
    config.pve_steps, config.tiles = 2, (1, 2, 3)
    recipe = tuned(config, (own,), minutes=2, lr=0.01, share=0.25, pve_only=True)
    (one,) = recipe.stages
    assert (one.pve_steps, one.tiles, one.minutes, one.lr) == (2, (1, 2), 2, 0.01)
    assert one.search_tiles == (1, 2, 3)
    assert one.frozen == ("vision.siglip",) and one.judged == 3
    assert [(share, data.kind) for share, data in one.data.parts] == [
        (0.25, "photographs"), (0.75, "rendered")
    ]  # fmt: skip
    assert [data.kind for _, data in tuned(config, (own,), share=1).stages[0].data.parts] == [
        "photographs"
    ]
    assert within(RECIPE, 8).stages[0].minutes == 2


def test_photographs_are_found_among_those_that_were_trained_on(own, monkeypatch):
    lists = [Few((own,))]
    held = [entry for entry, _ in Few((own,), held_out=True).found()]
    asked = []

    def scores(bench, images, queries, pve_steps, batch_size):
        """Every photograph that shows a word lies above all others, those by heart first."""
        asked.extend(queries)
        entries = {e.image: set(e.texts) for e, _ in [*Few((own,)).every()]}
        heart = np.arange(len(images)) * 0.01
        return np.array([[query.text in entries[i] for i in images] for query in queries]) + heart

    monkeypatch.setattr(Bench, "scores", scores)
    assert judge.few_map(small(), lists, 1) == 100
    words = {w for e in held for w, s in zip(e.texts, e.styles, strict=True) if s == "word"}
    assert {query.text for query in asked} == words


def test_a_stage_is_judged_as_often_as_it_says():
    often = stage("tune", SCENES, judged=3)
    assert [step for step in range(1, 21) if due(often, step, 20)] == [7, 13, 20]
    assert [step for step in range(1, 2501) if due(stage("x", SCENES), step, 2500)] == [
        1000, 2000, 2500
    ]  # fmt: skip


def test_a_run_on_own_photographs_says_how_well_they_are_found(own, tmp_path):
    recipe = short(tuned(small().config, (own,)))
    trainer = Trainer(small(), recipe, tmp_path / "run", workers=0)
    trainer.run()
    found = [(row["step"], row["map_photographs"]) for row in trainer.progress.log]
    assert [step for step, _ in found] == [0, 1, 3, 4] and all(0 < m <= 100 for _, m in found)
    load_checkpoint(tmp_path / "run/checkpoint")  # of its end, without being asked for


def test_a_tuned_checkpoint_looks_with_the_tiles_it_had(own, tmp_path):
    bench = small()
    bench.config.tiles = bench.processor.tiles = (1, 2, 3)
    Trainer(bench, short(tuned(bench.config, (own,))), tmp_path / "run", workers=0).run()
    kept = load_checkpoint(tmp_path / "run/checkpoint")
    assert tuple(kept.config.tiles) == tuple(kept.processor.tiles) == (1, 2, 3)


def test_phi_stays_as_it_is_where_only_what_looks_is_trained(own, tmp_path):
    bench, before = small(), small().model.state_dict()
    recipe = short(tuned(bench.config, (own,), lr=0.01, pve_only=True))
    after = Trainer(bench, recipe, tmp_path / "run", workers=0).run().state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("vision.siglip.")} <= same
    assert not any(
        name.startswith("multimodal.qformer") for name in same - {"x"} if "query" in name
    )


@pytest.mark.parametrize("step", [3, 4, 5])
def test_a_stopped_run_saves_what_it_learnt_and_goes_on_bit_for_bit(
    step, unjudged, one_thread, tmp_path
):
    """Steps 3 and 5 are in the middle of a stage of two, 4 is the end of one."""
    data = Recipe(tuple(replace(one, steps=2) for one in RECIPE.stages[1:]))
    whole = Trainer(small(), data, tmp_path / "whole", workers=0).run().state_dict()
    count = []

    def stop(bench, row):
        count.append(row)
        if len(count) == step:
            signal.raise_signal(signal.SIGINT)

    run = tmp_path / "run"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    with pytest.raises(KeyboardInterrupt):
        Trainer(small(), data, run, workers=0, callback=stop).run()
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler and len(count) == step
    load_checkpoint(run / "checkpoint")
    kept = load_file(sorted((run / "checkpoints").iterdir())[-1] / "model.safetensors")
    assert kept and len((run / "curve.jsonl").read_text().splitlines()) == step
    again = Trainer(small(), data, run, workers=0).run().state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_every_stage_leaves_a_checkpoint(unjudged, tmp_path, monkeypatch):
    seen = []
    saved = Trainer.save_checkpoint

    def watched(self, folder, weights=None):
        path = saved(self, folder, weights)
        seen.append(tuple(load_checkpoint(path).config.tiles))
        return path

    monkeypatch.setattr(Trainer, "save_checkpoint", watched)
    stages = stage("a", SCENES), stage("b", SCENES, tiles=(1, 2))
    Trainer(small(), Recipe(stages), tmp_path / "run", workers=0).run()
    assert seen == [(1,), (1, 2)]


def test_the_embedded_checkpoint_goes_on_by_one_command(
    own, unjudged, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("mstar.training.tuned", lambda *a: short(tuned(*a)))
    out = tmp_path / "run"
    command = ["train", "--real", *own, "--out", str(out), "--workers", "0", "--threads", "1"]
    assert main([*command, "--minutes", "1", "--lr", "0.001"]) == 0
    assert str(out / "checkpoint") in capsys.readouterr().out
    runs, before = training_record(out / "checkpoint"), training_record(load().checkpoint)
    assert runs[:-1] == before and runs[-1]["recipe"]["stages"][0]["lr"] == 0.001
    assert load(out / "checkpoint").scores(own[1] + "/0.png", "exit").shape == (1, 1)


def test_a_list_is_begun_and_kept(own, capsys):
    path, folder = own
    Image.new("RGB", (9, 9)).save(folder + "/new é.jpg")
    before = json.loads(Path(path).read_text("utf-8"))
    assert main(["labels", folder]) == 0
    assert "13 photographs, 1 of them new, 1 still without a text" in capsys.readouterr().out
    lines = Path(path).read_text("utf-8").splitlines()
    assert json.loads("".join(lines)) == [*before, {"image": "new é.jpg", "text": []}]
    assert len(lines) == 13  # a photograph a line
    assert main(["train", "--real", path, folder]) == 2
    assert "line 13: text of 'new é.jpg' should be a list with at least one text; got []" in (
        capsys.readouterr().err
    )
