"""The salience experiment: what is covered, what it is held against, what it says."""

import numpy as np
import pytest
import torch

from mstar.data.scenes import sandbox
from mstar.data.scenes.scene import Scene
from mstar.errors import UserError
from mstar.evaluate.grounding import coverage, outlined_scene
from mstar.experiments import salience as experiment
from mstar.experiments.salience import box, elsewhere, salience
from mstar.io.bench import Bench


@pytest.fixture(scope="module")
def scenes():
    return [sandbox.scene(3, index, "test") for index in range(12)]


def test_a_box_is_upright_and_tight():
    tokens = np.zeros((5, 6), dtype=bool)
    tokens[1, 2] = tokens[3, 4] = True
    expected = np.zeros_like(tokens)
    expected[1:4, 2:5] = True
    assert (box(tokens) == expected).all()


def test_the_control_has_the_shape_and_touches_nothing():
    region, taken = np.zeros((6, 8), dtype=bool), np.zeros((6, 8), dtype=bool)
    region[0:2, 0:3] = True
    taken[0:4, :] = True
    places = set()
    for seed in range(20):
        found = elsewhere(region, taken, np.random.default_rng(seed))
        assert found.sum() == 6 and not (found & taken).any()
        rows, columns = np.nonzero(found)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (2, 3)
        places.add(int(columns.min()))
    assert len(places) > 2
    taken[4, :] = True
    assert elsewhere(region, taken, np.random.default_rng(0)) is None


def as_pixels(tiny, scene):
    return tiny.processor(images=[scene.image])["pixel_values"]


def test_photographs_with_outlines_are_asked_as_scenes_are(tiny, scenes):
    outlined = [outlined_scene(scene) for scene in scenes]
    assert str(salience(tiny, outlined, 0)) == str(salience(tiny, scenes, 0))
    size = scenes[0].image.shape[0]
    everywhere = np.array([[0, 0], [size, 0], [size, size], [0, size]], float)
    crowded = [one._replace(unread=(everywhere,)) for one in outlined]
    with pytest.raises(UserError, match="free ground"):
        salience(tiny, crowded, 0)


def test_the_salient_word_is_covered_and_the_neglected_one_asked(tiny, scenes, monkeypatch):
    asked, shown = [], []

    def by_heart(bench, pixels, queries, change):
        asked.append((queries, change))
        shown.append(next(s for s in scenes if (as_pixels(tiny, s) == pixels).all()))
        values = {"plain": (0.5, 0.8), "salient covered": (0.6, 0.4), "ground covered": (0.45, 0.8),
                  "third covered": (0.52, 0.8)}  # fmt: skip
        return torch.tensor(values[change.name])[:, None]

    monkeypatch.setattr(experiment, "scores", by_heart)
    found = salience(tiny, scenes, pve_steps=1)
    ground, text = found["neglected"]["ground"], found["neglected"]["text"]
    images, left_out = found.about["images"], found.about["left_out"]
    assert [ground[key].value for key in ("salient", "control", "difference")] == [
        pytest.approx(10), pytest.approx(-5), pytest.approx(15),
    ]  # fmt: skip
    assert found["salient"]["salient text"]["change"].value == pytest.approx(-40)
    assert [row["share"].value for row in found["rises"]] == [100, 0]
    assert images + left_out == len(scenes) and images >= 3
    assert f"-5.0 [-5.0, -5.0] of {images}  15.0 [15.0, 15.0]" in str(found)
    thirds = [change for _, change in asked if change.name == "third covered"]
    assert text["salient"].count == text["control"].count == len(thirds) < images and thirds
    assert text["control"].value == pytest.approx(2)
    assert text["difference"].value == pytest.approx(8)
    starts = [n for n, (_, change) in enumerate(asked) if change.name == "plain"]
    for start, end in zip(starts, [*starts[1:], len(asked)], strict=True):
        (queries, plain), *changed = asked[start:end]
        assert plain.covered is None and queries[0] != queries[1]
        by_name = {change.name: change.covered for _, change in changed}
        hidden, beside = by_name["salient covered"], by_name["ground covered"]
        assert hidden.sum() == beside.sum()
        assert all(change.pve_steps == 1 for _, change in asked[start:end])
        scene = shown[start]
        neglected, salient = (
            coverage([r.polygon for r in scene.regions if r.word == q.text],
                     scene.image.shape[:2], (16, 16)) > 0 for q in queries
        )  # fmt: skip
        assert hidden.numpy()[salient].all()
        for name, covered in by_name.items():
            assert not covered.numpy()[neglected].any(), name
            if name != "salient covered":
                assert not (covered & hidden).any(), name
        if "third covered" in by_name:
            text = coverage([r.polygon for r in scene.regions], scene.image.shape[:2], (16, 16)) > 0
            assert text[by_name["third covered"].numpy()].any()
            assert not text[beside.numpy()].any()


def test_most_attention_is_salient_and_least_is_neglected(tiny, scenes, monkeypatch):
    model, processor = tiny.model, tiny.processor
    scene = next(scene for scene in scenes if len(scene.regions) >= 3)
    x, y = scene.regions[1].polygon.mean(0).astype(int) // 8
    asked = []

    def on_the_second(attention, *, point):
        changed = torch.full_like(attention, 1e-4)
        changed[..., y, x] = 1
        return changed

    monkeypatch.setattr(experiment, "elsewhere", lambda region, taken, rng: region & False)
    monkeypatch.setattr(
        experiment,
        "scores",
        lambda *given: asked.append(given[2]) or torch.zeros(2, 1),
    )
    with model.hooks({"pve.0.attention_map": on_the_second}):
        salience(Bench(model, processor), [scene])
    neglected, salient = asked[0]
    assert salient.text == scene.regions[1].word and neglected.text != salient.text


def test_scenes_of_one_word_are_left_out(tiny, scenes):
    alone = [Scene(s.image, (), (), s.regions[:1], ()) for s in scenes]
    with pytest.raises(ValueError, match="no scene has two words apart"):
        salience(tiny, alone)


def test_it_runs_on_a_model_and_can_be_made_again(tiny, scenes):
    first, again = (salience(tiny, scenes, seed=4) for _ in range(2))
    assert first == again
    assert first["neglected"]["ground"]["salient"].count == first.about["images"]
