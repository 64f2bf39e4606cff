"""Where the model looks: polygons on tokens, shares and overlaps with known answers."""

import numpy as np
import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.data.benchmarks import Benchmark
from mstar.data.scenes import sandbox
from mstar.evaluate.grounding import (
    Outlined,
    OutlinedPhotographs,
    coverage,
    distinct_share,
    ground,
    mask_iou,
    mass_inside,
    outlined_scene,
    pointing_game,
)
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer


def test_coverage_of_whole_and_partial_tokens():
    four = coverage([[(8, 16), (24, 16), (24, 32), (8, 32)]], (64, 64), (8, 8))
    expected = np.zeros((8, 8))
    expected[2:4, 1:3] = 1
    assert (four == expected).all()

    half = coverage([[(4, 0), (12, 0), (12, 8), (4, 8)]], (64, 64), (8, 8))
    assert half[0, :3].tolist() == [0.5, 0.5, 0] and half.sum() == 1


def test_coverage_on_a_rectangular_grid_and_of_a_union():
    left, right = [(0, 0), (8, 0), (8, 4), (0, 4)], [(4, 0), (16, 0), (16, 4), (4, 4)]
    assert coverage([left, right], (8, 32), (2, 8))[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    triangle = coverage([[(0, 0), (32, 0), (0, 32)]], (32, 32), (4, 4))
    assert triangle.mean() == pytest.approx(0.5, abs=0.04)
    assert coverage([], (32, 32), (4, 4)).sum() == 0


def test_shares_by_hand():
    attention = np.array([[0.5, 0.1], [0.2, 0.2]])
    assert mass_inside(attention, [[1, 0], [0.5, 0]]) == pytest.approx(0.6)
    assert mass_inside(np.ones((2, 2)), [[1, 0], [0, 0]]) == 0.25
    assert mask_iou([[1, 1], [0, 0]], [[1, 0], [0, 0]]) == 0.5
    assert mask_iou([[1, 0], [0, 0]], [[0.5, 0.5], [0, 0]]) == pytest.approx(0.5 / 1.5)
    assert mask_iou(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_the_pointing_game_by_hand():
    assert pointing_game([[0.5, 0.1], [0.2, 0.2]], [[0.1, 0], [0, 0]]) == 1
    assert pointing_game([[0.5, 0.1], [0.2, 0.2]], [[0, 1], [1, 1]]) == 0
    assert pointing_game(np.ones((2, 2)), [[1, 0], [0, 0]]) == 0.25  # no place of its own


def test_distinct_choice_by_hand():
    cosine = np.array([[0.9, 0, 0, 0], [0, 0, 0.8, 0], [0, 0.2, 0.7, 0]])
    assert distinct_share(cosine) == pytest.approx(2 / 3)  # embeddings 0, 2, 2
    assert distinct_share(cosine, queries=2) == pytest.approx(1 / 3)  # all are query 0


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    config = MstarConfig.tiny()
    return Bench(MstarModel(config), MstarProcessor.for_config(config, character_tokenizer()))


def test_even_attention_has_the_area_of_the_word(tiny):
    def even(attention, *, point):
        return torch.full_like(attention, 1 / attention.shape[-1])

    scenes = [sandbox.scene(3, i, "test") for i in range(5)]
    with tiny.hooks({"pve.*.layers.*.cross_attention": even}):
        found = ground(tiny, [*map(outlined_scene, scenes)], batch_size=2)
    words = sum(len(scene.regions) for scene in scenes)
    assert len(found.word_mass) == words > 5
    assert found.word_mass == pytest.approx(found.word_area)
    assert found.text_mass == pytest.approx(found.text_area)
    assert found.touched_mass == pytest.approx(found.touched_area)
    assert found.touched_area[0] > found.text_area[0]
    assert len(found.mask) == len(found.random_mask) == 5
    assert len(found.distinct) == sum(len(scene.regions) >= 2 for scene in scenes)


def test_attention_on_one_word_is_inside_it_and_no_other(tiny):
    scene = next(s for s in (sandbox.scene(3, i, "test") for i in range(9)) if len(s.regions) > 1)
    covered = coverage([scene.regions[0].polygon], (128, 128), (16, 16))

    def stare(attention, *, point):
        onto = torch.zeros_like(attention)
        onto[..., covered.argmax()] = 1
        return onto

    with tiny.hooks({"pve.*.layers.*.cross_attention": stare}):
        found = ground(tiny, [outlined_scene(scene)])
    assert found.word_mass == [covered.max()] + [0] * (len(scene.regions) - 1)
    assert found.text_mass == [covered.max()] and found.touched_mass == [1]


def test_random_masks_repeat(tiny):
    scenes = [outlined_scene(sandbox.scene(4, i, "test")) for i in range(3)]
    assert ground(tiny, scenes) == ground(tiny, scenes)
    assert ground(tiny, scenes).random_mask != ground(tiny, scenes, seed=1).random_mask


def test_a_word_is_looked_for_in_the_tile_that_was_looked_at():
    """One token of every tile's grid holds all attention: the word lies there in one tile alone."""
    config = MstarConfig.tiny(tiles=(1, 2))
    model = MstarModel(config)
    processor = MstarProcessor.for_config(config, character_tokenizer())
    photo = np.zeros((100, 100, 3), np.uint8)
    # the last part spans 40 … 100 in both directions: its lower right token is 96.25 … 100
    word = np.array([(96.25, 96.25), (100, 96.25), (100, 100), (96.25, 100)])

    def last_token(attention, *, point):
        onto = torch.zeros_like(attention)
        onto[..., -1] = 1
        return onto

    def last_tile(cosine, *, point):
        chosen = torch.full_like(cosine, -1)
        chosen[..., 4 * config.num_query_tokens] = 1  # look 0, tile 4
        return chosen

    changes = {"pve.*.layers.*.cross_attention": last_token, "mim.similarity": last_tile}
    with model.hooks(changes):
        found = ground(Bench(model, processor), [Outlined(photo, (("exit", word),))], pve_steps=0)
    assert found.word_mass == pytest.approx([1], abs=1e-6)
    assert found.word_area == pytest.approx([1 / 256], abs=1e-6) and found.pointing == [1]


def test_a_benchmarks_words_are_those_that_can_be_asked():
    box = np.array([(0, 0), (9, 0), (9, 9), (0, 9)])
    texts = (("EXIT", "###", "to", "way out"), ())
    shown = Benchmark(
        "made up", [np.zeros((9, 9, 3), np.uint8)] * 2, ("a", "b"), (), np.zeros((0, 2), bool),
        np.zeros((0, 2)), ((box,) * 4, ()), texts,
    )  # fmt: skip
    photographs = OutlinedPhotographs(shown)
    assert len(photographs) == 1
    assert [word for word, _ in photographs[0].words] == ["exit"]
    assert len(photographs[0].unread) == 3 and photographs[0].size == (9, 9)
