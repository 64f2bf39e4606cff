"""Stages as data: lengths, learning rates, and the paper's numbers."""

import json
import math

import numpy as np
import pytest

from mstar.data.lists.photographs import Annotated, Crops, Photographs
from mstar.data.lists.stream import Mixed, Rendered
from mstar.training import (
    Stage,
    continued,
    mixed,
    paper_multiquery,
    paper_word,
    photographs,
    sandbox,
)
from mstar.training.recipes import READING, learning_rate

LISTS = ((("syn.json", "images"),), (("real.json", "images"),))


def stage(**changed) -> Stage:
    return Stage(**{"name": "x", "data": Rendered(), "batch_size": 4, "lr": 1.0} | changed)


def test_a_linear_rate_rises_stays_and_falls():
    falling = stage(steps=100, warmup=10, decay_from=0.5)
    rates = [learning_rate(falling, step, 100) for step in (0, 5, 10, 50, 75, 99)]
    assert rates == pytest.approx([0, 0.5, 1.0, 1.0, 0.5, 0.02])
    flat = stage(steps=100, warmup=0, decay_from=1.0)
    assert [learning_rate(flat, step, 100) for step in (0, 99)] == [1.0, 1.0]


def test_the_released_cosine_is_by_epochs():
    """Epoch 0: linear warm-up, then constant; later (lr − min) / 2 · (1 + cos(π e / 16)) + min."""
    made = paper_word(*LISTS).stages[0]
    per_epoch, steps = 300, 16 * 300
    rate = [learning_rate(made, step, steps, per_epoch) for step in range(steps)]
    assert rate[0] == 1e-7 and rate[50] == pytest.approx((1e-7 + 1e-5) / 2)
    assert set(rate[100:300]) == {1e-5}
    for epoch in (1, 8, 15):
        expected = (1e-5 - 5e-8) / 2 * (1 + math.cos(math.pi * epoch / 16)) + 5e-8
        assert rate[epoch * 300 : (epoch + 1) * 300] == pytest.approx([expected] * 300)
    last = paper_word(*LISTS).stages[3]  # no warm-up: step 0 alone is at 1e-7
    assert [learning_rate(last, s, steps, per_epoch) for s in (0, 1)] == [1e-7, 5e-6]


@pytest.mark.parametrize("make", [paper_word, paper_multiquery])
def test_the_paper_has_four_stages(make):
    recipe = make(*LISTS)
    rows = [
        (s.image_size, s.batch_size, s.lr, s.warmup, s.pve_steps, s.frozen, s.epochs)
        for s in recipe.stages
    ]
    phi = ("vision.siglip",)
    assert rows == [
        (512, 24, 1e-5, 100, 0, (), 16),
        (640, 16, 1e-5, 100, 0, (), 16),
        (800, 8, 5e-6, 0, 0, (), 16),
        (800, 32, 5e-6, 0, 1, phi, 16),
    ]
    first, *later = (s.data for s in recipe.stages)
    assert first == Annotated(LISTS[0] + LISTS[1])
    assert later == [Annotated(LISTS[1])] * 3
    assert (recipe.weight_decay, recipe.betas, recipe.clip) == (0.1, (0.9, 0.999), None)
    assert recipe.vision_lr_factor == pytest.approx(0.51334, abs=1e-5)
    assert recipe.assigned_weight == 0 and all(s.matching_every == 1 for s in recipe.stages)
    assert recipe.size == "base" and recipe.multi_word_branch == (make is paper_multiquery)


def test_the_sandbox_learns_to_read_first_and_looks_twice_last():
    stages = sandbox().stages
    assert [s.objective for s in stages] == [READING] + ["retrieval"] * 5
    assert [s.pve_steps for s in stages[1:]] == [0, 0, 0, 0, 1]
    further = continued().stages
    assert [s.objective for s in further] == [READING] + ["retrieval"] * 4
    assert all(s.data.hard_share >= 0.5 for s in further)
    assert [s.pve_steps for s in further[1:]] == [0, 1, 1, 1]
    assert [s.idle_weight > 0 for s in further] == [False, False, False, True, True]
    assert [s.entropy_weight > 0 for s in further] == [False, False, False, False, True]


def test_photographs_come_in_tiles_with_rendered_scenes_beside_them():
    one, two, partly = (("a.json", "a"),), (("b.json", "b"),), (("c.json", "c"),)
    recipe = photographs(one + two, partly, crops=(("d.json", "d"),), backgrounds="far")
    stages = {made.name: made for made in recipe.stages}
    assert list(stages) == ["reread", "settle", "open", "finer", "recycle"]
    assert [made.tiles for made in recipe.stages] == [
        (1,), (1, 2), (1, 2), (1, 2, 3), (1, 2, 3),
    ]  # fmt: skip
    assert [made.pve_steps for made in recipe.stages[1:]] == [0, 0, 0, 1]
    assert [made.hardness for made in recipe.stages[2:]] == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]
    assert stages["reread"].objective == READING and stages["settle"].frozen == ("vision.siglip",)
    assert all(
        made.matching_weight == 10 and made.matching_every == 1 for made in recipe.stages[2:]
    )
    words = stages["reread"].data
    assert [type(data) for _, data in words.parts] == [Rendered, Crops]
    assert photographs(one).stages[0].data.of == "strips", "without crops rendered words alone"
    both = stages["open"].data
    assert isinstance(both, Mixed) and all(made.data == both for made in recipe.stages[1:])
    (scenes, drawn), *lists = both.parts
    assert scenes == 0.5 and drawn.street_share == 0.5 and drawn.backgrounds == "far"
    assert [share for share, _ in lists] == pytest.approx([0.5 / 3] * 3), "each list alike"
    assert [data for _, data in lists] == [
        Photographs(one), Photographs(two), Photographs((), partly),
    ]  # fmt: skip
    assert recipe.size == "photographs" and recipe.seed == 3


def test_the_minutes_of_photographs_are_shared_out():
    recipe = photographs((("a.json", "a"),), minutes=200.0)
    assert all(made.steps is None for made in recipe.stages)
    assert sum(made.minutes for made in recipe.stages) == pytest.approx(200)
    assert [made.name for made in recipe.stages] == [
        made.name for made in photographs((("a.json", "a"),)).stages
    ]


def test_seeds_that_cannot_be_are_refused():
    for seed in (-1, 4294967):
        with pytest.raises(ValueError, match=rf"seed must be .* 0 to 4294966; got {seed}"):
            sandbox(seed)
    sandbox(4294966).stages[0].data.open(4294966 * 1000 + 999, 128).item(
        0, np.random.default_rng(0)
    )


def test_a_recipe_is_recorded_as_json_gives_it_back():
    for recipe in (sandbox(3), paper_word(*LISTS), photographs(LISTS[1], LISTS[0])):
        record = recipe.record()
        assert json.loads(json.dumps(record)) == record
    assert sandbox(3).record() != sandbox(4).record()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "give one of steps, epochs and minutes"),
        ({"steps": 3, "minutes": 1}, "give one of steps, epochs and minutes"),
        ({"steps": 0}, "above 0; got {'steps': 0}"),
        ({"epochs": 2}, "rendered images have no epochs"),
        ({"steps": 3, "decay": "cosine"}, "a cosine by epochs needs epochs"),
        ({"steps": 3, "decay": "stairs"}, "got 'stairs' and 'retrieval'"),
        ({"steps": 3, "accumulate": 3}, "a multiple of accumulate; got 4 and 3"),
        ({"steps": 3, "tiles": (2,)}, r"rising from the whole: \(1,\), .* got \(2,\)"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        stage(**wrong)


def test_photographs_take_their_share_of_scenes_alone():
    recipe = mixed(sandbox(), (("a.json", "a"),), (("b.json", "b"),), 0.25)
    before = sandbox().stages
    for stage, plain in zip(recipe.stages, before, strict=True):
        if plain.data.of == "strips":
            assert stage == plain
        else:
            (rest, scenes), (one, complete), (other, partly) = stage.data.parts
            assert scenes == plain.data and (rest, one, other) == (0.75, 0.125, 0.125)
            assert complete.lists == (("a.json", "a"),) and not complete.incomplete
            assert partly.incomplete == (("b.json", "b"),) and not partly.lists
    assert mixed(sandbox(), (("a.json", "a"),), share=0.0) == mixed(sandbox(), ()) == sandbox()
    with pytest.raises(ValueError, match="the share of photographs is from 0 to 1; got 2"):
        mixed(sandbox(), (("a.json", "a"),), share=2)


def test_photographs_alone_leave_no_rendered_scene():
    stages = photographs((("a.json", "a"),), share=1.0).stages
    assert [part.kind for _, part in stages[-1].data.parts] == ["photographs"]
    assert photographs((("a.json", "a"),), share=0.0).stages[-1].data.kind == "rendered"
