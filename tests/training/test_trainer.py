"""The loop: stages, what is trained, how it is judged, what stops it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import distributed
from mstar.data.lists.photographs import Annotated
from mstar.data.scenes import sandbox
from mstar.io.bench import evaluating
from mstar.io.checkpoints import load_checkpoint
from mstar.training import Recipe, Trainer, TrainingStopped, training_record
from mstar.training.loop import judge
from mstar.training.loop.state import CURVE, Guard
from mstar.training.loop.trainer import optimizer
from mstar.training.objectives import Objective
from mstar.training.recipes import READING
from tests.training.conftest import RECIPE, SCENES, STRIPS, small, stage


def trainer(folder, recipe=RECIPE, **options) -> Trainer:
    return Trainer(small(), recipe, folder, **{"workers": 0} | options)


def curve(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / CURVE).read_text().splitlines()]


def interrupt(after: int):
    """A callback that stands for Ctrl-C in that step."""
    heard = []

    def callback(*row):
        heard.append(row)
        if len(heard) == after:
            raise KeyboardInterrupt

    return callback


@pytest.fixture
def photos(tmp_path):
    """Ten photographs of the sandbox in a list, with words of it."""
    entries = []
    for i in range(10):
        made = sandbox.scene(1, i, "train", sandbox.EASY)
        Image.fromarray(made.image).save(tmp_path / f"{i}.png")
        entries.append({"image": f"{i}.png", "text": list(made.texts), "type": list(made.styles)})
    (tmp_path / "list.json").write_text(json.dumps(entries))
    return Annotated(((str(tmp_path / "list.json"), str(tmp_path)),))


def test_every_kind_of_stage_runs_and_is_judged(monkeypatch, tmp_path):
    full = sandbox.gallery
    monkeypatch.setattr(
        judge.sandbox, "gallery", lambda *a, **_: full(*a, images=40, seen=12, unseen=12)
    )
    heard = []
    run = trainer(tmp_path, callback=lambda bench, row: heard.append(dict(row)))
    before = {name: value.clone() for name, value in run.bench.model.state_dict().items()}
    after = run.run().state_dict()
    assert [row["stage"] for row in run.progress.log] == ["read", "find", "look", "recycle"]
    assert "exact_match" in run.progress.log[0] and "map" not in run.progress.log[1]
    assert all("map" in row for row in run.progress.log[2:])
    for part in ("vision.mlp.0.weight", "sas.value.weight", "aggregator.value.weight"):
        assert not torch.equal(before[part], after[part]), part
    assert all(torch.isfinite(value).all() for value in after.values())
    rows = curve(tmp_path)
    assert [(row["stage"], row["step"]) for row in rows] == [
        (name, step) for name in ("read", "find", "look", "recycle") for step in (1, 2)
    ]
    assert [row["loss"] for row in heard] == [row["loss"] for row in rows]
    assert "L_m" in rows[4] and "L_m" in rows[6] and "L_m" not in rows[7]
    assert "L_i" not in rows[5] and "H_C" not in rows[5]
    last = rows[7]
    parts = last["L_c"] + last["L_a"] + 0.5 * last["L_i"] + 0.25 * last["H_C"]
    assert last["loss"] == pytest.approx(parts, rel=1e-5)
    assert heard[0]["learning rate"] == 0 and heard[1]["learning rate"] == 1e-3 / 2 * 2


def test_a_callback_changes_nothing(unjudged, one_thread, tmp_path):
    trainer(tmp_path / "plain").run()
    torch.manual_seed(99)
    trainer(tmp_path / "watched", callback=lambda *_: torch.rand(3)).run()
    assert curve(tmp_path / "watched") == curve(tmp_path / "plain")


def test_workers_change_nothing(unjudged, one_thread, tmp_path):
    recipe = replace(RECIPE, stages=RECIPE.stages[2:3])
    for workers in (0, 2):
        trainer(tmp_path / str(workers), recipe, workers=workers).run()
    assert curve(tmp_path / "0") == curve(tmp_path / "2")


def test_a_frozen_part_stays_as_it_is(unjudged, tmp_path):
    run = trainer(tmp_path, replace(RECIPE, stages=RECIPE.stages[1:2]))
    before = {name: value.clone() for name, value in run.bench.model.named_parameters()}
    statistics = {n: value.clone() for n, value in run.bench.model.vision.siglip.named_buffers()}
    assert any("running_mean" in name for name in statistics), "the stem's norm"
    after = dict(run.run().named_parameters())
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert not [name for name in changed if name.startswith("vision.siglip.")]
    buffers = dict(run.bench.model.vision.siglip.named_buffers())
    assert all(torch.equal(value, statistics[name]) for name, value in buffers.items())
    assert {"vision.mlp.0.weight", "multimodal.query_tokens", "text_projection.weight"} <= changed


def test_micro_batches_see_all_images_of_the_step(unjudged, tmp_path, monkeypatch):
    """Their gradients are means: two equal halves give the gradient of one half."""
    seen = []
    real = Objective.forward

    def forward(self, pixel_values, **rest):
        seen.append(len(pixel_values))
        return real(self, pixel_values=pixel_values, **rest)

    monkeypatch.setattr(Objective, "forward", forward)
    trainer(tmp_path, replace(RECIPE, stages=RECIPE.stages[2:3])).run()
    assert seen == [2] * 4


def test_photographs_in_lists_are_trained_on_by_epochs(unjudged, tmp_path, photos):
    made = stage("real", photos, steps=None, epochs=2, decay="cosine", image_size=64)
    run = trainer(tmp_path / "run", Recipe((made,), assigned_weight=0.0, clip=None))
    assert run.bench.model.config.vision_config.image_size == 64
    run.run()
    assert len(curve(tmp_path / "run")) == 2 * 3  # ten images by four, and what is left
    assert run.bench.processor.image_processor.size["height"] == 64
    assert curve(tmp_path / "run")[0].keys() == {"stage", "step", "loss", "L_c"}


def test_a_saved_model_loads_with_its_size_and_its_record(unjudged, tmp_path):
    made = stage("real", SCENES, image_size=64, pve_steps=0)
    run = trainer(tmp_path / "run", Recipe((made,)), history=[{"recipe": "before"}])
    run.run()
    folder = run.save_checkpoint(tmp_path / "checkpoint")
    bench = load_checkpoint(folder)
    model, processor = bench.model, bench.processor
    assert model.config.vision_config.image_size == 64
    assert processor(images=[Image.new("RGB", (9, 9))])["pixel_values"].shape[-1] == 64
    first, second = training_record(folder)
    assert first == {"recipe": "before"} and second["recipe"] == Recipe((made,)).record()
    assert second["total"] == 2


def test_an_estimate_names_every_stage_and_changes_nothing(
    unjudged, one_thread, tmp_path, photos, monkeypatch
):
    """Also of a run that stands in the middle of a stage."""
    monkeypatch.setattr("mstar.training.loop.trainer._REHEARSED", 2)
    larger = stage("larger", photos, steps=None, epochs=1, image_size=160)
    recipe = replace(RECIPE, stages=(*RECIPE.stages[1:3], larger))
    trainer(tmp_path / "plain", recipe).run()
    run = trainer(tmp_path / "run", recipe, save_every=1, callback=interrupt(after=3))
    found = run.estimate()
    assert len(found) == 3 and min(found) > 0
    with pytest.raises(KeyboardInterrupt):
        run.run()
    again = trainer(tmp_path / "run", recipe)
    assert len(again.estimate()) == 2
    again.run()
    assert curve(tmp_path / "run") == curve(tmp_path / "plain")
    assert again.bench.model.config.vision_config.image_size == 160


def test_an_estimate_loses_no_step_of_a_run_that_was_interrupted(unjudged, one_thread, tmp_path):
    recipe = replace(RECIPE, stages=(stage("look", SCENES, steps=4),))
    trainer(tmp_path / "plain", recipe).run()
    run = trainer(tmp_path / "run", recipe, save_every=2, callback=interrupt(after=3))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    run.estimate()
    run.run()
    assert curve(tmp_path / "run") == curve(tmp_path / "plain")


def test_judging_and_watching_leave_a_frozen_part_frozen(unjudged, one_thread, tmp_path):
    """Its norm would learn the batches' statistics, and the run depend on how it is watched."""

    def watch(bench, *_):
        with evaluating(bench.model):
            assert not bench.model.training

    recipe = replace(RECIPE, stages=(stage("find", STRIPS, steps=4, frozen=("vision.siglip",)),))
    trainer(tmp_path / "plain", recipe).run()
    run = trainer(tmp_path / "watched", recipe, callback=watch)
    before = {name: value.clone() for name, value in run.bench.model.vision.siglip.named_buffers()}
    after = dict(run.run().vision.siglip.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert curve(tmp_path / "watched") == curve(tmp_path / "plain")


def test_a_list_that_was_edited_is_read_again(tmp_path, photos):
    list_file = tmp_path / "list.json"
    assert photos.open(1, 64).count == 10
    entries = json.loads(list_file.read_text())
    list_file.write_text(json.dumps(entries[4:]))
    items = photos.open(1, 64)
    assert items.count == 6
    assert items.item(5, np.random.default_rng(0))["source"].endswith("9.png")


def test_a_finished_run_gives_its_model_again(unjudged, tmp_path, photos):
    """`mstar train` a second time must not write untrained weights over the result."""
    larger = stage("larger", photos, steps=1, pve_steps=0, image_size=256)
    last = stage("last", photos, steps=1, pve_steps=0)
    recipe = Recipe((larger, last))
    trained = trainer(tmp_path / "run", recipe).run()
    again = trainer(tmp_path / "run", recipe)
    assert again.estimate() == []
    found = again.run()
    assert found.config.vision_config.image_size == 256
    for name, value in trained.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_an_estimate_counts_the_matching_loss_as_often_as_it_happens(
    unjudged, tmp_path, monkeypatch
):
    asked = []
    real = Objective.forward

    def forward(self, matching, **rest):
        asked.append(matching)
        return real(self, matching=matching, **rest)

    monkeypatch.setattr(Objective, "forward", forward)
    recipe = Recipe((stage("look", SCENES, pve_steps=0, matching_every=4, accumulate=1),))
    trainer(tmp_path, recipe).estimate()
    assert sum(asked[1:]) == len(asked[1:]) / 4


def test_minutes_become_steps_once(unjudged, tmp_path, monkeypatch):
    recipe = Recipe((stage("look", SCENES, steps=None, minutes=0.05),))
    monkeypatch.setattr(Trainer, "_seconds", lambda *_: 1.0)
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, recipe, save_every=1, callback=interrupt(after=2)).run()
    # whatever it would measure now
    monkeypatch.setattr(Trainer, "_seconds", lambda *_: 0.06)
    trainer(tmp_path, recipe).run()
    assert len(curve(tmp_path)) == 3


def test_each_group_has_its_decay_and_its_rate():
    model = small().model
    recipe = replace(RECIPE, weight_decay=0.1, vision_lr_factor=0.5)
    model.vision.mlp.requires_grad_(False)
    groups = optimizer(Objective(model, None, 1.0), recipe).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    listed = {
        names[id(p)]: (group["weight_decay"], group["factor"])
        for group in groups
        for p in group["params"]
    }
    assert listed["vision.siglip.encoder.layers.0.mlp.fc1.weight"] == (0.1, 0.5)
    assert listed["vision.siglip.encoder.layers.0.mlp.fc1.bias"] == (0.0, 0.5)
    assert listed["multimodal.query_tokens"] == (0.1, 1.0)
    assert listed["text_projection.bias"] == (0.0, 1.0)
    assert "vision.mlp.0.weight" not in listed
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert listed.keys() == trained


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_both_precisions_train(unjudged, tmp_path, precision):
    run = trainer(tmp_path, replace(RECIPE, stages=RECIPE.stages[2:]), precision=precision)
    run.run()
    assert all(0 < row["loss"] < 100 for row in curve(tmp_path))
    # each stage prepares the model anew, and must not wrap the wrapper of the one before
    inner = run.accelerator.unwrap_model(run.prepared, keep_fp32_wrapper=False)
    assert inner is run.objective and inner.forward.__func__ is Objective.forward


def test_a_run_from_before_a_field_was_known_goes_on(unjudged, tmp_path):
    one = replace(RECIPE, stages=RECIPE.stages[1:2])
    run = trainer(tmp_path, one)
    run.run()
    kept = run.kept.newest() / "progress.json"
    record = json.loads(kept.read_text())
    del record["recipe"]["stages"][0]["entropy_weight"], record["recipe"]["assigned_weight"]
    kept.write_text(json.dumps(record))
    assert trainer(tmp_path, one).progress.total == run.progress.total
    record["recipe"]["stages"][0]["entropy_weight"] = 0.5
    kept.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        trainer(tmp_path, one)


def test_stages_that_processes_cannot_share_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "processes", lambda: (0, 2))
    recipe = replace(RECIPE, stages=(RECIPE.stages[0], stage("odd", SCENES, batch_size=5)))
    with pytest.raises(ValueError, match="stage odd: a micro-batch of 5 images cannot be shared"):
        trainer(tmp_path, recipe)


def test_another_recipe_in_the_same_folder_is_refused(unjudged, tmp_path):
    one = replace(RECIPE, stages=RECIPE.stages[1:2])
    trainer(tmp_path, one).run()
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        trainer(tmp_path, replace(one, seed=2))
    assert trainer(tmp_path, one).progress.stage == 1


# What stops a run


def test_a_loss_that_is_no_number_stops_with_step_images_and_checkpoint(
    unjudged, tmp_path, monkeypatch
):
    run = trainer(tmp_path, replace(RECIPE, stages=(stage("look", SCENES, steps=9),)), save_every=2)
    calls = []
    real = Objective.forward

    def forward(self, **batch):
        losses = real(self, **batch)
        calls.append(None)
        if len(calls) == 4:
            losses["loss"] = losses["loss"] * float("nan")
        return losses

    monkeypatch.setattr(Objective, "forward", forward)
    with pytest.raises(TrainingStopped) as stopped:
        run.run()
    said = str(stopped.value)
    assert "stopped at step 4 of stage look: the loss is nan" in said
    assert f"the last good checkpoint is {tmp_path}/checkpoints/step-00000002." in said
    assert "easy scenes 12 of seed 1000" in said or "hard scenes 12 of seed 1000" in said
    assert all(torch.isfinite(value).all() for value in run.bench.model.state_dict().values())
    monkeypatch.setattr(Objective, "forward", real)
    trainer(tmp_path, run.recipe).run()  # it goes on
    assert len(curve(tmp_path)) == 9


@pytest.mark.parametrize("where", ["vision_projection.weight", "aggregator.query.weight"])
def test_weights_that_are_no_numbers_stop_with_step_images_and_checkpoint(
    unjudged, tmp_path, where
):
    """Then no words can be assigned, and no pairs be drawn: the pass itself cannot be finished."""

    def spoil(bench, row):
        if row["step"] == 3:
            bench.model.get_parameter(where).data.fill_(float("nan"))

    recipe = replace(RECIPE, stages=(stage("look", SCENES, steps=9, matching_every=1),))
    run = trainer(tmp_path, recipe, save_every=2, callback=spoil)
    with pytest.raises(TrainingStopped) as stopped:
        run.run()
    said = str(stopped.value)
    assert "stopped at step 4 of stage look: the similarities of texts and images should be" in said
    assert f"the last good checkpoint is {tmp_path}/checkpoints/step-00000002." in said
    assert "scenes 12 of seed 1000" in said


def test_a_rate_at_which_it_diverges_stops_the_run(unjudged, tmp_path):
    recipe = replace(RECIPE, stages=(stage("look", SCENES, steps=40, lr=1e12),), clip=None)
    with pytest.raises(TrainingStopped, match=r"of stage look: .* The batch was "):
        trainer(tmp_path, recipe).run()


def test_an_exploding_loss_is_noticed_and_a_noisy_one_is_not():
    guard = Guard()
    assert all(guard.problem(3.0 + i % 2) is None for i in range(30))
    assert guard.problem(29.0) is None
    assert guard.problem(41.0) == "the loss is 41, after a median of 4"
    small_losses = Guard()
    assert all(small_losses.problem(0.01) is None for _ in range(30))
    assert small_losses.problem(2.0) is None  # two hundred times as much, and nothing yet
    young = Guard()
    assert young.problem(5.0) is None and young.problem(5000.0) is None


def test_an_exploding_loss_stops_the_run(unjudged, tmp_path, monkeypatch):
    monkeypatch.setattr(Guard, "problem", lambda self, loss: "the loss is 99, after a median of 1")
    with pytest.raises(TrainingStopped, match=r"step 1 of stage read.*there is no earlier checkpo"):
        trainer(tmp_path).run()


def test_a_run_that_goes_on_knows_the_losses_before(unjudged, tmp_path, monkeypatch):
    recipe = Recipe((stage("find", STRIPS, steps=25, pve_steps=0),))
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, recipe, save_every=1, callback=interrupt(after=24)).run()
    real = Objective.forward

    def exploding(self, **rest):
        losses = real(self, **rest)
        return losses | {"loss": losses["loss"] * 1e3}

    monkeypatch.setattr(Objective, "forward", exploding)
    with pytest.raises(TrainingStopped, match=r"step 24 of stage find: the loss is"):
        trainer(tmp_path, recipe).run()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_photograph_stops_or_is_counted(unjudged, tmp_path, photos, workers, capsys):
    (tmp_path / "3.png").write_bytes(b"no image")
    recipe = Recipe((stage("real", photos, steps=5, pve_steps=0),))
    with pytest.raises(ValueError) as refused:
        trainer(tmp_path / "run", recipe, workers=workers).run()
    broken = f"{tmp_path / '3.png'} cannot be read as an image: it is broken"
    assert str(refused.value).startswith(broken)
    assert "let unreadable images be skipped" in str(refused.value)
    assert "\n" not in str(refused.value)
    run = trainer(tmp_path / "skip", recipe, workers=workers, skip_unreadable=True)
    run.run()
    assert len(run.progress.skipped) == 1 and broken in run.progress.skipped[0]
    assert f"skipped (1 so far): {broken}" in capsys.readouterr().out
    assert len(curve(tmp_path / "skip")) == 5


def test_a_full_disk_is_one_sentence_and_loses_nothing(unjudged, tmp_path, monkeypatch):
    """Files that cannot grow over 64 kB stand for a full disk: every writer meets a real error."""
    import resource
    import signal

    run = trainer(tmp_path, replace(RECIPE, stages=(stage("look", SCENES, steps=4),)), save_every=2)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = run.kept.save

    def save(accelerator, progress):
        if progress.total == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
        real(accelerator, progress)

    monkeypatch.setattr(run.kept, "save", save)
    row = {"stage": "x" * 70_000, "step": 5}
    try:
        with pytest.raises(TrainingStopped) as stopped:
            run.run()
        with pytest.raises(TrainingStopped, match="the line of step 5 could not be written to"):
            run.kept.note(row)
        with pytest.raises(TrainingStopped, match="the trained model could not be written to"):
            run.save_checkpoint(tmp_path / "trained")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    said = str(stopped.value)
    assert said.startswith("the checkpoint of step 4 could not be written to ")
    assert "free some space; then run the same command again" in said and "\n" not in said
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]
    assert not (tmp_path / "trained").exists()
    again = trainer(tmp_path, run.recipe)
    assert again.progress.step == 2


def test_no_checkpoint_to_keep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep must be 1 or more; got 0"):
        trainer(tmp_path, keep=0)


def test_only_the_last_checkpoints_stay(unjudged, tmp_path):
    recipe = replace(RECIPE, stages=(stage("look", STRIPS, steps=6),))
    trainer(tmp_path, recipe, save_every=1, keep=3).run()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000004", "step-00000005", "step-00000006"]


def test_what_is_no_checkpoint_is_named(tmp_path):
    broken = tmp_path / "checkpoints" / "step-00000001"
    broken.mkdir(parents=True)
    with pytest.raises(ValueError, match="step-00000001 is no checkpoint of a run"):
        trainer(tmp_path)


def test_reading_is_only_where_it_is_asked_for(tmp_path):
    assert trainer(tmp_path / "a").objective.head is not None
    rest = tuple(s for s in RECIPE.stages if s.objective != READING)
    assert trainer(tmp_path / "b", replace(RECIPE, stages=rest)).objective.head is None
