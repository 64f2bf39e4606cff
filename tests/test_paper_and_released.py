"""Each difference of the released code by itself: what must change changes, and nothing else."""

import json

import numpy as np
import pytest
import torch

from mstar import MstarModel
from mstar.data.scenes import sandbox
from mstar.experiments.semantics import TRAINING, compare_semantics, mosaics
from mstar.io.bench import computed_as
from mstar.model.configuration import SEMANTICS
from mstar.texts import STYLES


@pytest.fixture(scope="module")
def report(tiny):
    return compare_semantics(tiny, seed=3, scenes=40)


def test_every_field_that_inference_reads_is_switched_by_itself(report):
    other = (*TRAINING, "rerank_ratio", "rerank_weight")
    read = [name for name in SEMANTICS["paper"] if name not in other]
    looks = report["looks"].by_name()
    assert list(looks) == list(report["map"].by_name()) == ["paper", *read, "released"]
    assert list(report["change"].by_name()) == [*read, "released"]
    assert report.about["mosaics"] == 10 and report.about["grid"] == "32 × 32"
    for field, row in looks.items():
        values = [SEMANTICS[name].get(field) for name in ("paper", "released")]
        assert [row["paper"], row["released"]] == values
        assert row["masked"].count == 10
    for section in ("map", "change"):
        assert all(set(row) == {"field", *STYLES} for row in report[section])


def test_only_what_a_field_decides_changes(report):
    looks, precisions, changes = (
        {
            name: {key: one for key, one in row.items() if key != "field"}
            for name, row in report[section].by_name().items()
        }
        for section in ("looks", "map", "change")
    )
    paper = looks["paper"]
    assert paper["moved"].value == paper["reassigned"].value == 0
    for field, row in looks.items():
        if field not in ("sigma", "released"):
            assert row["masked"] == paper["masked"] and row["moved"].value == 0
        if field not in ("sigma", "assignment_steps", "released"):
            assert row["reassigned"].value == 0
    assert looks["sigma"]["masked"].value < paper["masked"].value
    assert looks["assignment_steps"]["reassigned"].value > 0
    assert precisions["assignment_steps"] == precisions["paper"]
    for field, row in changes.items():
        for style, change in row.items():
            expected = precisions[field][style].value - precisions["paper"][style].value
            assert change.value == pytest.approx(expected, abs=1e-9)
    several = [style for style in STYLES if style != "word"]
    assert all(changes["word_scoring"][style].value == 0 for style in several)
    assert precisions["word_scoring"]["word"] != precisions["paper"]["word"]
    for field in ("multi_word_attention", "multi_word_scoring_steps"):
        assert changes[field]["word"].value == 0


@pytest.mark.parametrize("field", TRAINING)
def test_what_only_training_reads_changes_no_score(tiny, inputs, field):
    model = tiny.model
    with torch.no_grad():
        before = model(**inputs).scores
        with computed_as(model, {field: SEMANTICS["released"][field]}):
            assert torch.equal(model(**inputs).scores, before)


def test_a_switched_model_is_one_that_was_made_so(tiny, inputs, tmp_path):
    model = tiny.model
    model.save_pretrained(tmp_path)
    fields = {"multi_word_attention": "per_step", "word_scoring": "multi_word", "sigma": "released"}
    made = MstarModel.from_pretrained(tmp_path, **fields).eval()
    with torch.no_grad():
        expected, plain = made(**inputs).scores, model(**inputs).scores
        with computed_as(model, fields):
            assert torch.equal(model(**inputs).scores, expected)
        assert torch.equal(model(**inputs).scores, plain) and not torch.equal(plain, expected)
    with pytest.raises(ValueError, match="sigma must be"), computed_as(model, {"sigma": "otsu"}):
        pass
    with pytest.raises(RuntimeError, match="inside"), computed_as(model, {"sigma": "none"}):
        raise RuntimeError("inside")
    assert model.config.sigma == "watershed"


def test_a_mosaic_holds_what_its_scenes_hold_where_they_hold_it():
    scenes = [sandbox.scene(1, index, "test") for index in range(6)]
    (made,) = mosaics(scenes)  # two are left over
    size = len(scenes[0].image)
    assert made.image.shape == (2 * size, 2 * size, 3)
    for number, part in enumerate(scenes[:4]):
        y, x = divmod(number, 2)
        corner = made.image[y * size : (y + 1) * size, x * size : (x + 1) * size]
        assert (corner == part.image).all()
        for text, style in zip(part.texts, part.styles, strict=True):
            assert sandbox.matches(made, text, style)
        for region in part.regions:
            places = [r.polygon for r in made.regions if r.word == region.word]
            assert any(np.allclose(p, region.polygon + (x * size, y * size)) for p in places)  # noqa: RUF005
    first, second = scenes[0].regions[0].word, scenes[1].regions[0].word
    assert sandbox.matches(made, f"{first}, {second}", "combined")
    assert not sandbox.matches(made, f"{first} {second}", "phrase")


def test_the_table_can_be_read(report):
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["sections"]["looks"][0]["field"] == "paper"
    assert "multi_word_scoring_steps" in str(report) and "against paper, paired" in str(report)


def test_masks_need_a_second_look(tiny):
    with pytest.raises(ValueError, match="pve_steps \\(T\\) must be 1 or more; got 0"):
        compare_semantics(tiny, pve_steps=0)
    with (
        pytest.raises(ValueError, match="compare_semantics also runs a changed copy"),
        tiny.model.hooks({"pve.0.salient": lambda salient, *, point: None}),
    ):
        compare_semantics(tiny)
