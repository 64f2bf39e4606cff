"""Maps of several tiles on the photograph: what a trace says, and where the evidence is."""

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.experiments.sweep import Change, sweep
from mstar.explain.assignment import assigned_words, explain_words, weighted_maps
from mstar.explain.attribution import METHODS, OCCLUSION_WINDOW, Scorer, attribute
from mstar.explain.looks import (
    canvas,
    cross_attention,
    embedding_maps,
    on_photograph,
    summarise_looks,
    together,
)
from mstar.hooks.interventions import force_mask, freeze_masks, patch, random_masks
from mstar.hooks.points import HookError
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.model.assignment import place_of
from mstar.texts import Query

V, Q = 5, 2
#: A part of 64 × 48 px is 38 px wide and high: 8 · 48 / 38 and 8 · 64 / 38 cells.
CANVAS = (10, 13)
QUERIES = [Query("exit", "word"), Query("one way", "phrase")]


@pytest.fixture(scope="module")
def tiled():
    """(model, processor) of two levels on a grid of 8 × 8."""
    vision = MstarConfig.tiny().vision_config.to_dict() | {"image_size": 32}
    torch.manual_seed(1)
    config = MstarConfig.tiny(
        tiles=(1, 2), vision_config=vision, num_query_tokens=Q, initializer_range=0.2
    )
    return MstarModel(config).eval(), MstarProcessor.for_config(config, character_tokenizer())


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def inputs(tiled, photo):
    texts, styles = zip(*QUERIES, strict=True)
    return dict(tiled[1](images=[photo], text=list(texts), styles=list(styles)))


@pytest.fixture(scope="module")
def trace(tiled, inputs):
    recorded = tiled[0].run_with_trace(inputs, lambda name: "sas" not in name)[1]
    recorded.queries = QUERIES
    return recorded


# What a trace says


def test_maps_are_laid_on_one_canvas(trace):
    assert canvas(trace) == CANVAS
    assert cross_attention(trace).shape == (2, 2, V, 2, Q, 8, 8)
    maps = embedding_maps(trace)
    assert maps.shape == (2 * V * Q, *CANVAS)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2 * V * Q), rtol=0, atol=1e-4)
    own = cross_attention(trace).mean((1, 3))  # [look, tile, query_token, …]
    for index in (0, 3, 12, 19):
        look, tile, query = place_of(index, V, Q)
        alone = torch.zeros(V, 8, 8)
        alone[tile] = own[look, tile, query]
        torch.testing.assert_close(maps[index], on_photograph(trace, alone)[tile])
    left, top, right, bottom = (trace.boxes[0, 1] * torch.tensor([13, 10, 13, 10])).tolist()
    outside = maps[Q].clone()  # of the first part: nothing outside of it
    outside[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = 0
    assert not outside.any() and maps[Q].any()


def test_attention_together_keeps_its_sum_and_a_mask_its_range(trace):
    joined = together(trace, trace["pve.0.attention_map"][0])
    assert joined.shape == CANVAS
    assert float(joined.sum()) == pytest.approx(1, abs=1e-4), "that of one tile"
    even = together(trace, torch.full((V, 8, 8), 1 / 64))
    assert float(even.sum()) == pytest.approx(1, abs=1e-4)
    ones = together(trace, torch.ones(V, 8, 8), mean=True)
    torch.testing.assert_close(ones, torch.ones(CANVAS))
    mask = together(trace, trace["pve.0.mask"][0], mean=True)
    assert mask.min() >= 0 and mask.max() <= 1 + 1e-6
    last = torch.zeros(V, 8, 8, dtype=torch.bool)
    last[4] = True  # the lower right part, and of a corner it shares with the whole alone half
    assert float(together(trace, last, mean=True)[-1, -1]) == pytest.approx(0.5)
    assert not together(trace, last, mean=True)[0].any()


def test_words_name_their_tile(trace):
    word, phrase = explain_words(trace)
    index = int(trace["mim.assignment"][0, 0])
    assert (word.look, word.tile, word.query_token) == place_of(index, V, Q)
    weights = trace["mim.aggregator_attention"][0, 1].mean(0)
    assert (phrase.look, phrase.tile, phrase.query_token) == place_of(int(weights.argmax()), V, Q)
    rows, cosine = assigned_words(trace)
    assert rows == [0] and cosine.shape == (1, 2 * V * Q)
    (carried,) = weighted_maps(trace, [1])
    assert carried.shape == (2, *CANVAS)
    torch.testing.assert_close(carried.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-4)
    for look in summarise_looks(trace):
        assert 1 <= look.spread <= V * 64 and 0 <= look.salient <= 1


def test_with_the_first_look_alone_words_take_part_of_every_tile(trace):
    first = {**trace.meta["config"], "assignment_steps": "first"}
    before = trace.meta["config"]
    trace.meta["config"] = first
    assert assigned_words(trace)[1].shape == (1, V * Q)
    trace.meta["config"] = before


# Interventions


def test_masks_are_forced_in_every_tile_or_in_each_its_own(tiled, inputs):
    model, _ = tiled
    seen = torch.zeros(V, 8, 8, dtype=torch.bool)
    seen[3, 2:4] = True
    for given in (seen, seen[3], seen[None]):
        with model.hooks(force_mask(0, given)):
            _, forced = model.run_with_trace(inputs, "pve.0.mask")
        expected = (~given).float().expand(1, V, 8, 8)
        assert torch.equal(forced["pve.0.mask"], expected)
    _, plain = model.run_with_trace(inputs, ["pve.*.salient", "pve.*.mask"])
    with model.hooks(random_masks(0)):
        _, dealt = model.run_with_trace(inputs, "pve.0.salient")
    salient = dealt["pve.0.salient"]
    assert torch.equal(salient.sum((2, 3)), plain["pve.0.salient"].sum((2, 3))), "tile by tile"
    with model.hooks(freeze_masks(plain)):
        _, frozen = model.run_with_trace(inputs, "pve.0.mask")
    assert torch.equal(frozen["pve.0.mask"], plain["pve.0.mask"])


def test_tokens_are_patched_in_every_tile(tiled, inputs, trace):
    model, _ = tiled
    other = inputs | {"pixel_values": inputs["pixel_values"].flip(-1)}
    here = torch.zeros(8, 8, dtype=torch.bool)
    here[1, 2:5] = True
    _, plain = model.run_with_trace(other, "vision.tokens")
    with model.hooks(patch(trace, "vision.tokens", here)):
        _, patched = model.run_with_trace(other, "vision.tokens")
    found = patched["vision.tokens"][0].unflatten(1, (8, 8))
    for from_, where in ((trace, here), (plain, ~here)):
        expected = from_["vision.tokens"][0].unflatten(1, (8, 8))
        assert torch.equal(found[:, where], expected[:, where])
    with pytest.raises((HookError, ValueError), match="no axis of image tokens"):
        patch(trace, "pve.0.embeddings", here)


def test_sweeps_are_over_photographs_in_tiles(tiled, photo):
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[2:6, 2:6] = True
    rows = sweep(Bench(*tiled), [photo], QUERIES, [Change("one look", pve_steps=0)])
    assert [row.text for row in rows] == ["exit", "one way"] and any(row.effect for row in rows)


# Attribution


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_the_photograph(tiled, photo, method):
    for found, query in zip(
        attribute(Bench(*tiled), photo, QUERIES, [method]), QUERIES, strict=True
    ):
        one = found[method]
        assert one.query == query and one.values.shape == CANVAS
        assert one.values.isfinite().all() and one.values.any()
        if one.looks is not None:
            assert one.looks.shape == (2, *CANVAS)
            torch.testing.assert_close(one.looks.sum(0), one.values)


def test_raw_attention_is_that_of_the_tile_the_score_draws_on(tiled, photo, trace):
    word, phrase = (
        of["attention"] for of in attribute(Bench(*tiled), photo, QUERIES, ["attention"])
    )
    assert float(word.values.sum()) == pytest.approx(1, abs=1e-4)
    assert float(phrase.values.sum()) == pytest.approx(1, abs=1e-4)
    best = int(trace["mim.similarity"][0, 0].argmax())
    torch.testing.assert_close(word.values, embedding_maps(trace)[best], rtol=1e-4, atol=1e-6)
    expected = weighted_maps(trace, [1])[0].mean(0)
    torch.testing.assert_close(phrase.values, expected, rtol=1e-4, atol=1e-6)


def test_gradients_add_up_over_the_tiles(tiled, photo):
    (found,) = attribute(Bench(*tiled), photo, QUERIES[:1], ["integrated_gradients"])
    one = found["integrated_gradients"]
    pixels = tiled[1](images=[photo])["pixel_values"]
    even = pixels[:, :1].mean((3, 4), keepdim=True).expand_as(pixels)
    scorer = Scorer(Bench(*tiled), QUERIES[:1], 1)
    with torch.no_grad():
        change = float(scorer(pixels) - scorer(even))
    assert one.gap == pytest.approx(float(one.values.sum()) - change, abs=1e-5)


def test_occlusion_finds_what_is_planted(tiled, photo, monkeypatch):
    """A score that is the darkness of one spot, seen in every tile that shows it."""
    plain = np.full((48, 64, 3), 200, np.uint8)
    plain[36:48, 48:64] = 0  # the lower right window of 4 × 4
    pixels = tiled[1](images=[plain])["pixel_values"]
    dark = pixels.amin()

    def darkness(self, pixel_values):
        assert pixel_values.shape[1] == V
        return (pixel_values <= dark + 1e-3).float().mean((1, 2, 3, 4))[:, None]

    monkeypatch.setattr(Scorer, "forward", darkness)
    (found,) = attribute(Bench(*tiled), Image.fromarray(plain), QUERIES[:1], ["occlusion"])
    values = found["occlusion"].values
    assert values.shape == CANVAS
    rows, columns = np.unravel_index(int(values.argmax()), values.shape)
    assert rows >= 7 and columns >= 9, "in the last quarter of both sides"
    assert values.max() > 0 and not values[: 10 // 2, : 13 // 2].any()
    side = 8 // OCCLUSION_WINDOW
    assert len(values.unique()) <= side * side, "windows stand side by side"
