"""The experiment on attention recycling: what is held equal, what differs, and its table."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mstar.data.lists.stream import Rendered, Stream
from mstar.data.scenes import sandbox
from mstar.experiments.ablation import DOUBLED, Arm, Experiment, Findings, Settings
from mstar.experiments.ablation.features import Cached, PrecomputedVision, mosaics, tokens_of
from mstar.experiments.ablation.findings import interval
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint

from .conftest import ARMS, TINY


@pytest.fixture(scope="module")
def embedded_model():
    return load_checkpoint(embedded.checkpoint())


def test_tokens_that_were_kept_do_what_phi_does(embedded_model):
    model = embedded_model.model
    images = [sandbox.scene(3, i).image for i in range(3)]
    with torch.no_grad():
        pixels = embedded_model.pixels(images, (1,))
        expected = model(pixel_values=pixels).images.features
        tokens = torch.from_numpy(tokens_of(embedded_model, images))
        vision, model.vision = model.vision, PrecomputedVision(model.vision)
        try:
            found = model(pixel_values=tokens).images.features
        finally:
            model.vision = vision
    assert (found * expected).sum(-1).min() > 0.999  # kept in half precision


def test_a_mosaic_lays_images_side_by_side():
    """Four images of 2 × 2 tokens; each token says its image and its place in it."""
    tokens = np.arange(4 * 4).reshape(4, 4, 1).astype(np.float16)
    assert mosaics(tokens, 2)[0].reshape(4, 4).tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15],
    ]  # fmt: skip
    assert np.array_equal(mosaics(tokens, 1), tokens)


def test_features_know_no_position_and_no_held_out_word(experiment):
    items = Cached(str(experiment.folder / "features-1")).open(1, 128)
    assert items.count == TINY.images
    item = items.item(5, np.random.default_rng(0))
    assert item.keys() == {"image", "texts", "styles", "photographed", "complete", "source"}
    assert not item["photographed"] and item["complete"]
    assert item["image"].shape == (576, 128) and set(item["styles"]) == {"word"}
    seen = Stream(Rendered(multi_word=False).open(1, 128), 1)
    assert [items.item(i, np.random.default_rng(0))["texts"] for i in range(24)] == [
        seen[i]["texts"] for i in range(24)
    ]
    assert not {w for texts in items.texts for w in texts} & set(sandbox.words("unseen"))
    four = Cached(str(experiment.folder / "features-1"), side=2).open(1, 128)
    wide = four.item(5, np.random.default_rng(0))
    assert wide["image"].shape == (4 * 576, 128)
    assert set(item["texts"]) <= set(wide["texts"]) and len(wide["texts"]) > len(item["texts"])


def test_every_arm_and_seed_is_in_the_table(experiment):
    table = experiment.table()
    assert len(table) == 2 * len(ARMS) and not experiment.missing
    for row in table:
        arm = Arm(**row["arm"])
        galleries = row["galleries"]
        assert set(galleries) == ({"easy", "crowd"} if arm.side == 1 else {"easy"})
        for found in galleries.values():
            assert len(found["looks"]) == arm.looks
            precisions = np.array(found["ap"]["all"], dtype=float)
            assert np.nanmin(precisions) > 0 and np.nanmax(precisions) <= 100
    assert "6-8 words" in table[0]["galleries"]["crowd"]["ap"]
    assert {"1-2 words", "4-5 words", "small"} <= table[0]["galleries"]["easy"]["ap"].keys()


def test_masks_hide_what_their_arm_says(experiment):
    findings = Findings(experiment.table())
    (empty,) = findings.looks(Arm(1, "empty"), "easy")
    (shuffled,) = findings.looks(Arm(1, "random"), "easy")
    first, second = findings.looks(Arm(2, "watershed"), "easy")
    assert empty["masked"] == 0 and empty["moved"] > 0
    assert 0.05 < first["masked"] < 0.4 and second["masked"] > first["masked"]
    assert abs(shuffled["masked"] - first["masked"]) < 0.05  # as large, at random places
    assert shuffled["before"] < 0.5 * first["before"]  # where attention was not
    (released,) = findings.looks(Arm(1, "released", "released", side=2), "easy")
    assert 0 < released["masked"] < 0.1


def test_phi_is_frozen_and_the_parent_is_shared(experiment, embedded_model):
    parents = [load_file(experiment.folder / f"parent-{seed}.safetensors") for seed in (1, 2)]
    shipped = embedded_model.model.state_dict()
    for name, value in parents[0].items():
        if name.startswith("vision.siglip."):
            assert torch.equal(value, shipped[name]), name
    assert not torch.equal(parents[0]["sas.query.weight"], parents[1]["sas.query.weight"])
    queries = parents[0]["multimodal.query_tokens"]
    assert queries.shape[1] == TINY.queries
    assert not torch.equal(queries, parents[1]["multimodal.query_tokens"])


def test_two_of_each_query_begin_as_the_parents_a_little_apart():
    parents = torch.randn(1, 3, 128, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Arm(1).queries(parents, 0.08, seed=1), parents)
    doubled = DOUBLED.queries(parents, 0.08, seed=1)
    assert torch.equal(doubled[:, :3], parents)
    assert (doubled[:, 3:] - parents).std().item() == pytest.approx(0.02, rel=0.2)
    assert not torch.equal(doubled, DOUBLED.queries(parents, 0.08, seed=2))
    assert DOUBLED.control == Arm(0) and DOUBLED.name == "paper-T0-x2"


def test_it_goes_on_where_it_stopped(experiment, monkeypatch):
    again = Experiment(experiment.folder, TINY, seeds=(1, 2), arms=ARMS)
    made = []
    monkeypatch.setattr(again, "_run", lambda *pair: made.append(pair) or {})
    again.run()
    assert made == []
    more = Experiment(experiment.folder, TINY, seeds=(1, 2, 3), arms=ARMS[:2])
    assert more.missing == [(3, ARMS[0]), (3, ARMS[1])]


def test_other_settings_are_refused(experiment):
    with pytest.raises(ValueError, match="holds runs of other settings"):
        Experiment(experiment.folder, Settings(steps=5))
    assert json.loads((experiment.folder / "settings.json").read_text())["steps"] == TINY.steps


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(ValueError, match="queries must be 1 or more; got 0"):
        Settings(queries=0)
    with pytest.raises(ValueError, match="a mosaic is made of 4 images; got images 3"):
        Experiment(tmp_path, Settings(images=3))
    with pytest.raises(ValueError, match="gallery must be 40 or more; got 10"):
        Settings(gallery=10)
    assert not list(tmp_path.iterdir()), "nothing is kept before the first run"


def test_names_of_arms_are_different():
    names = [arm.name for arm in Experiment.__init__.__defaults__[-1]]
    assert len(set(names)) == len(names) == 20
    assert Arm(1, "released", "released", side=2).control.name == "released-mosaic-T0"


# Findings


def row(seed: int, arm: Arm, values: list[float | None]) -> dict:
    looks = [{"masked": 0.2, "before": 0.5, "after": 0.4, "moved": 0.1}] * arm.looks
    galleries = {"easy": {"ap": {"all": values}, "looks": looks}}
    return {"seed": seed, "arm": vars(arm), "galleries": galleries}


def test_differences_are_paired_by_seed_and_query():
    arm, control = Arm(1, "watershed"), Arm(0)
    rows = [
        row(1, control, [10.0, 20.0, None]), row(1, arm, [12.0, 21.0, None]),
        row(2, control, [30.0, 40.0, None]), row(2, arm, [33.0, 46.0, None]),
        row(3, control, [0.0, 0.0, None]),  # its arm is not there yet
    ]  # fmt: skip
    found = Findings(rows).difference(arm, control, "easy", "all")
    assert (found.first, found.second) == (28.0, 25.0)
    assert found.by_seed == (1.5, 4.5) and found.masked == pytest.approx(20)
    assert found.difference.value == 3.0 and found.difference.count == 4
    assert found.difference.low < 3.0 < found.difference.high
    assert Findings(rows).difference(arm, Arm(2), "easy", "all") is None
    (only,) = Findings(rows).against_controls("easy")
    assert only == found


def test_arms_without_a_group_are_left_out():
    """Mosaics have no crowded gallery and no images of few words."""
    arm, mosaic = Arm(1, "watershed"), Arm(1, "watershed", side=2)
    rows = [row(1, one, [10.0, 20.0]) for one in (arm, Arm(0), mosaic, mosaic.control)]
    for plain in rows[:2]:
        plain["galleries"]["easy"]["ap"]["1-2 words"] = [10.0, 20.0]
    found = Findings(rows)
    assert [d.arm for d in found.against_controls("easy")] == [arm, mosaic]
    assert [d.arm for d in found.against_controls("easy", "1-2 words")] == [arm]
    assert found.against_controls("crowd") == []
    rows[0]["galleries"]["easy"]["looks"][0] |= {"masked": 0.0, "before": None, "after": None}
    (look,) = Findings(rows).looks(arm, "easy")
    assert look["masked"] == 0 and np.isnan(look["before"]) and look["moved"] == 0.1


def test_an_interval_is_as_wide_as_seeds_and_queries_differ():
    rng = np.random.default_rng(0)
    same = np.full((3, 50), 2.0)
    assert (interval(same).low, interval(same).high) == (2.0, 2.0)
    queries = interval(np.tile(rng.normal(2, 5, (1, 50)), (3, 1)))
    seeds = interval(np.tile(np.array([[-3.0], [2.0], [7.0]]), (1, 50)))
    assert queries.high - queries.low == pytest.approx(4 * 5 / 50**0.5, rel=0.3)
    student = 4.3027 * 5 / 3**0.5  # t of two degrees of freedom
    assert (seeds.low, seeds.high) == pytest.approx((2 - student, 2 + student), rel=1e-4)
    assert np.isnan(interval(np.full((2, 3), np.nan)).value)


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_three_seeds_without_an_effect_seldom_look_like_one(spread):
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(300):
        query = rng.normal(0, 6, (1, 80)) + rng.normal(0, 3, (3, 80))
        found = interval(query + rng.normal(0, spread, (3, 1)))
        wrong += not found.low <= 0 <= found.high
    assert wrong <= 0.07 * 300  # 5 % and twice its standard error
