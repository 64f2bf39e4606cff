"""Activation patching: what must come back comes back, and from elsewhere nothing does."""

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from mstar.data.scenes import sandbox
from mstar.evaluate.grounding import coverage
from mstar.experiments import patching as experiment
from mstar.experiments.patching import apart, patching, sites
from mstar.experiments.sweep import Change, scores
from mstar.hooks.interventions import patch
from mstar.hooks.run import active
from mstar.io import embedded
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.texts import Query


@pytest.fixture(scope="module")
def pairs():
    return [sandbox.pair(2, index) for index in range(4)]


@pytest.fixture(scope="module")
def patched(tiny, pairs):
    return patching(tiny, pairs, pve_steps=1)


def test_sites_go_by_step_and_layer(tiny):
    names = [site.name for site in sites(tiny.model, 1)]
    assert names == [
        "φ, layer 0, the word's tokens", "φ, layer 0, as many others",
        "φ, layer 1, the word's tokens", "φ, layer 1, as many others",
        *(f"ψ, look 0, layer {layer}" for layer in range(4)),
        *(f"ψ, look 1, layer {layer}" for layer in range(4)),
        *(f"ψ, all looks, layer {layer}" for layer in range(4)),
        "mask of look 0",
    ]  # fmt: skip
    assert not any("mask" in site.name or "all" in site.name for site in sites(tiny.model, 0))


def test_there_is_to_restore_what_the_word_makes(tiny, pairs, patched):
    model, processor = tiny.model, tiny.processor
    (total,) = patched["total"].column("total").values()
    differences = []
    for pair in pairs:
        query = [Query(pair.word.word, "word")]
        first, second = (
            float(scores(Bench(model, processor), processor(images=[scene.image])["pixel_values"],
                         query, Change("plain", pve_steps=1)))
            for scene in (pair.first, pair.second)
        )  # fmt: skip
        differences.append(100 * (first - second))
    assert total.value == pytest.approx(sum(differences) / len(differences), abs=1e-4)
    assert total.count == len(pairs)


def test_the_last_layer_of_all_looks_brings_everything_back(patched):
    (total,) = patched["total"].column("total").values()
    whole = patched["restored"]["ψ, all looks, layer 3"]
    assert whole["share"] == pytest.approx(100, abs=0.1)
    assert whole["effect"].value == pytest.approx(total.value, abs=1e-3)
    change = whole["effect"].value - whole["control"].value
    assert whole["difference"].value == pytest.approx(change)
    assert all(row["effect"].count == 4 for row in patched["restored"])
    assert "ψ, all looks, layer 3" in str(patched) and " 100 %" in str(patched)


def test_everything_of_phi_under_all_tokens_would_be_the_other_run(tiny, pairs):
    model, processor = tiny.model, tiny.processor
    pair = pairs[0]
    first, second = (processor(images=[s.image])["pixel_values"] for s in (pair.first, pair.second))
    _, trace = model.run_with_trace({"pixel_values": first}, "vision.tokens")
    query = [Query(pair.word.word, "word")]
    change = Change("all", patch(trace, "vision.tokens", torch.ones(16, 16, dtype=torch.bool)))
    other = scores(Bench(model, processor), second, query, change)
    assert torch.allclose(
        other, scores(Bench(model, processor), first, query, Change("plain")), atol=1e-6
    )
    assert active(model) is None


def test_what_is_patched_where_and_from_which_scene(tiny, pairs, monkeypatch):
    """Every patch says which trace and which tokens it is given."""
    given = []
    monkeypatch.setattr(
        experiment, "patch",
        lambda trace, points, tokens=None: given.append((trace, points, tokens)) or {},
    )  # fmt: skip
    patching(tiny, pairs, pve_steps=1)
    found = sites(tiny.model, 1)
    per_pair = 2 * len(found)
    assert len(given) == per_pair * len(pairs)
    traces = []
    for number, pair in enumerate(pairs):
        part = given[number * per_pair : (number + 1) * per_pair]
        own, unrelated = part[0][0], part[1][0]
        assert all(trace is (own, unrelated)[n % 2] for n, (trace, *_) in enumerate(part))
        traces.append((own, unrelated))
        size = pair.first.image.shape[:2]
        touched = coverage([pair.word.polygon, pair.other.polygon], size, (16, 16)) > 0
        for site, (_, points, tokens) in zip(found, part[::2], strict=True):
            assert points == site.points
            if site.where == "all":
                assert tokens is None
            elif site.where == "word":
                assert (tokens.numpy() == touched).all()
            else:
                others = tokens.numpy()
                assert others.sum() == touched.sum()
                assert not (maximum_filter(touched, 3) & others).any()
    own = [trace.meta["images"] for trace, _ in traces]
    assert [trace.meta["images"] for _, trace in traces] == [own[-1], *own[:-1]]
    assert len({image for (image,) in own}) == len(pairs)


def test_the_embedded_model_knows_the_word_where_the_word_is(pairs):
    found = patching(load_checkpoint(embedded.checkpoint()), pairs, pve_steps=1)
    word, others = (
        found["restored"][f"φ, layer 0, {said}"] for said in ("the word's tokens", "as many others")
    )
    (total,) = found["total"].column("total").values()
    assert word["share"] > 80 and abs(others["share"]) < 10
    assert abs(word["control"].value) < total.value / 4


def test_others_lie_apart():
    touched = np.zeros((6, 6), dtype=bool)
    touched[0, :3] = True
    places = {apart(touched, np.random.default_rng(seed)).tobytes() for seed in range(8)}
    assert len(places) > 4
    for seed in range(8):
        found = apart(touched, np.random.default_rng(seed))
        assert found.sum() == 3 and not found[:2, :4].any()
    touched[2:] = True
    with pytest.raises(ValueError, match="touches 27 tokens, and only 2 lie apart"):
        apart(touched, np.random.default_rng(0))


def test_one_pair_has_no_control(tiny, pairs):
    with pytest.raises(ValueError, match="two pairs at least; got 1"):
        patching(tiny, pairs[:1])
