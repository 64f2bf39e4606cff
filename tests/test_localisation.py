"""Maps held against places and against the model: curves by hand, controls, the whole report."""

import json
import re

import numpy as np
import pytest
import torch

from mstar.data.scenes import sandbox
from mstar.evaluate import localisation
from mstar.evaluate.cases import cases
from mstar.evaluate.grounding import coverage, pointing_game
from mstar.evaluate.localisation import (
    ANOTHER,
    MEASURES,
    PARTS,
    SHARES,
    curves,
    evaluate_localisation,
    likeness,
    measure,
    order,
    shuffled,
)
from mstar.explain.attribution import METHODS
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint
from mstar.texts import STYLES

GRID = (4, 4)


def bright(pixels: torch.Tensor) -> torch.Tensor:
    """A model whose score is the brightness of the lower right quarter."""
    return pixels[:, 0, :, 16:, 16:].mean((1, 2, 3))[:, None]


@pytest.fixture
def lit() -> torch.Tensor:
    pixels = torch.zeros(1, 1, 3, 32, 32)
    pixels[..., 16:, 16:] = 1
    return pixels


WHOLE = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
QUARTER = np.pad(np.ones((2, 2)), ((2, 0), (2, 0)))


def test_equal_values_are_ordered_by_lot():
    values = np.zeros(GRID)
    values[1, 2] = 1
    first, second = (order(values, np.random.default_rng(seed)).tolist() for seed in (0, 1))
    assert first[0] == second[0] == 6
    assert sorted(first) == list(range(16)) and first != second != list(range(16))


def test_curves_run_from_one_image_to_the_other(lit):
    ranked = order(QUARTER, np.random.default_rng(0))
    deletion, insertion = curves(bright, lit, WHOLE, ranked, GRID)
    assert len(deletion) == len(insertion) == len(SHARES)
    assert deletion[0] == insertion[-1] == 1  # the image itself
    assert deletion[-1] == insertion[0] == pytest.approx(0.25)  # its mean colour everywhere
    after = next(n for n, share in enumerate(SHARES) if round(16 * share) >= 4)
    assert (deletion[after:] == pytest.approx(0.25)) and (insertion[after:] == pytest.approx(1))
    reverse_deletion, _ = curves(bright, lit, WHOLE, ranked[::-1].copy(), GRID)
    before = next(n for n, share in enumerate(SHARES) if round(16 * share) > 12)
    assert reverse_deletion[:before] == pytest.approx(1)


def test_no_more_images_at_once_than_asked_for(lit):
    sizes = []

    def counted(pixels):
        sizes.append(len(pixels))
        return bright(pixels)

    ranked = order(QUARTER, np.random.default_rng(0))
    few = curves(counted, lit, WHOLE, ranked, GRID, batch_size=4)
    assert max(sizes) == 4 and sum(sizes) == 2 * len(SHARES)
    assert all(
        (a == b).all() for a, b in zip(few, curves(bright, lit, WHOLE, ranked, GRID), strict=True)
    )


def test_a_right_map_is_told_from_a_wrong_one(lit):
    right, wrong = (
        measure(values, QUARTER, bright, lit, WHOLE, np.random.default_rng(0))
        for values in (QUARTER, 1 - QUARTER)
    )
    assert (right.pointing, right.iou) == (1, 1)
    assert (wrong.pointing, wrong.iou) == (0, 0)
    assert right.deletion < wrong.deletion - 0.3
    assert right.insertion > wrong.insertion + 0.3


def test_a_text_smaller_than_a_token_takes_one_token(lit):
    covered = np.zeros(GRID)
    covered[3, 3] = 0.2
    found = measure(covered, covered, bright, lit, WHOLE, np.random.default_rng(0))
    assert found.pointing == 1 and found.iou == pytest.approx(0.2)


def test_likeness_is_of_the_order():
    values = np.random.default_rng(0).random(GRID)
    assert likeness(values, np.exp(5 * values)) == pytest.approx(1)
    assert likeness(values, -values) == pytest.approx(-1)
    assert likeness(values, np.ones(GRID)) == 0


def test_shuffled_weights_are_as_large_and_the_model_is_as_it_was(tiny):
    model = tiny.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = shuffled(model, PARTS["heads"], seed=0)
    changed = set()
    for name, value in other.named_parameters():
        old = before[name]
        assert torch.equal(value.flatten().sort().values, old.flatten().sort().values)
        if not torch.equal(value, old):
            changed.add(name.partition(".")[0])
    assert changed == set(PARTS["heads"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    prefixes = tuple(prefix for part in PARTS.values() for prefix in part)
    left = {name for name, _ in model.named_parameters() if not name.startswith(prefixes)}
    assert {name.partition(".")[0] for name in left} == {"temp", "itm_head"}  # no score has these


@pytest.fixture(scope="module")
def gallery():
    return sandbox.judging_gallery("easy", 3, 60)


def test_cases_are_of_every_style_and_answered(gallery):
    found = cases(gallery, 2)
    assert [case.query.style for case in found] == [style for style in STYLES for _ in range(2)]
    for case in found:
        assert sandbox.matches(case.scene, *case.query)
        covered = case.covered((16, 16))
        assert 0 < covered.sum() < 256
    word = found[0]
    (region,) = sandbox.locate(word.scene, *word.query)
    own = coverage([region.polygon], word.scene.image.shape[:2], (16, 16))
    assert (word.covered((16, 16)) == own).all()


def test_cases_are_by_lot_and_each_has_a_scene_of_its_own(gallery):
    found = cases(gallery, 6)
    scenes = [next(n for n, one in enumerate(gallery.scenes) if one is case.scene)
              for case in found]  # fmt: skip
    assert len(set(scenes)) == len(scenes)
    again = cases(gallery, 6)
    assert [case.query for case in again] == [case.query for case in found]
    words = [query.asked for query in gallery.queries if query.style == "word"]
    assert [case.query for case in found if case.query.style == "word"] != words[:6]
    with pytest.raises(ValueError, match="per-style must be 1 or more; got 0"):
        cases(gallery, 0)


def test_running_means_are_shuffled_too():
    model = load_checkpoint(embedded.checkpoint()).model
    other = shuffled(model, PARTS["and φ"], seed=0)
    buffers = dict(model.named_buffers())
    means = [name for name in buffers if name.endswith("running_mean")]
    assert means
    for name, values in other.named_buffers():
        if name in means:
            assert not torch.equal(values, buffers[name])
            assert torch.equal(values.sort().values, buffers[name].sort().values)


def test_the_sanity_check_is_given_shuffled_models_and_the_random_map_is_random(
    tiny, report, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        localisation, "shuffled", lambda model, names, seed: asked.append(names) or model
    )
    same = evaluate_localisation(tiny, "easy", 3, 60, per_style=2, checked=1, methods=["attention"])
    heads, psi, phi = PARTS.values()
    assert asked == [heads, heads + psi, heads + psi + phi] * 4  # one more each time
    for part in PARTS:  # the same model: the same map
        assert same["sanity"]["attention"][part].value == pytest.approx(100)
    gallery = sandbox.judging_gallery("easy", 3, 60)
    right = [
        100 * pointing_game(np.random.default_rng([3, n]).random((16, 16)), case.covered((16, 16)))
        for n, case in enumerate(cases(gallery, 2))
    ]
    drawn = report["measures"]["all", "random"]["pointing"]
    assert drawn.value == pytest.approx(np.mean(right))


@pytest.fixture(scope="module")
def report(tiny):
    return evaluate_localisation(tiny, "easy", seed=3, scenes=60, per_style=2, checked=1)


def test_the_report_has_every_method_beside_chance(report):
    names, measures = [*METHODS, "random"], report["measures"].by_name()
    assert list(measures) == [(style, name) for style in ("all", *STYLES) for name in names]
    for (style, method), row in measures.items():
        against = report["against"][style, method]
        assert list(row) == list(against) == ["style", "method", *MEASURES]
        assert row["iou"].count == (8 if style == "all" else 2)
        for key in MEASURES:
            change = row[key].value - measures[style, "attention"][key].value
            assert against[key].value == pytest.approx(change)
    sanity = report["sanity"].by_name()
    assert list(sanity) == list(METHODS)
    for row in sanity.values():
        assert list(row) == ["method", *PARTS, ANOTHER, "missed"]
        assert all(row[part].count == 4 for part in PARTS) and row[ANOTHER].count == 7
    assert sanity["attention"]["and φ"].value < 60
    assert 0 < sanity["integrated_gradients"].pop("missed") < 50
    assert all(row.get("missed") is None for row in sanity.values())
    touched = report["touched"].column("touched")
    assert 0 < touched["word"].value < touched["combined"].value < 100


def test_the_report_can_be_read_and_made_again(report, tiny):
    assert "an even map points right in" in str(report)
    assert re.search(r"\n  semantic +\S+ \[\S+ \S+\] of 2\n", str(report))
    assert json.loads(json.dumps(report.to_json(), allow_nan=False)) == report.to_json()
    again = evaluate_localisation(
        tiny, "easy", 3, 60, per_style=2, checked=1, methods=["attention", "grad_cam"]
    )
    for name, row in again["measures"].by_name().items():
        assert row == report["measures"][name], "whatever stands beside a method"


def test_hooks_that_a_copy_would_not_hear_are_refused(tiny):
    with (
        pytest.raises(ValueError, match="evaluate_localisation also runs a changed copy"),
        tiny.model.hooks({"pve.0.salient": lambda salient, *, point: None}),
    ):
        evaluate_localisation(tiny)


def test_an_unknown_difficulty_is_said(tiny):
    with pytest.raises(ValueError, match="unknown difficulty 'harder': expected one of easy, "):
        evaluate_localisation(tiny, "harder")
