"""Pairs of scenes: one word differs, and nothing else."""

import numpy as np
import pytest

from mstar.data.scenes import sandbox
from mstar.data.scenes.difficulty import EASY, HARD

PAIRS = [(seed, index, difficulty) for seed, index, difficulty in (
    (0, 0, EASY), (0, 1, EASY), (7, 3, EASY), (0, 0, HARD), (5, 2, HARD))]  # fmt: skip


@pytest.mark.parametrize(("seed", "index", "difficulty"), PAIRS)
def test_one_word_differs_and_nothing_else(seed, index, difficulty):
    pair = sandbox.pair(seed, index, "test", difficulty)
    word, other = pair.word, pair.other
    assert word.word != other.word and len(word.word) == len(other.word)
    assert (word.font, word.size, word.line) == (other.font, other.size, other.line)
    texts = [[region.word for region in scene.regions] for scene in (pair.first, pair.second)]
    assert texts[0].count(word.word) == 1 and word.word not in texts[1]
    assert texts[1].count(other.word) == 1 and other.word not in texts[0]
    for one, two in zip(pair.first.regions, pair.second.regions, strict=True):
        if one.line != word.line:
            assert one.word == two.word and (one.polygon == two.polygon).all()
    assert pair.first.things == pair.second.things
    changed = (pair.first.image != pair.second.image).any(axis=2)
    around = np.vstack([word.polygon, other.polygon])
    (x0, y0), (x1, y1) = around.min(0) - 5, around.max(0) + 5  # blur and shadow
    rows, columns = np.nonzero(changed)
    assert changed.any() and x0 <= columns.min() and columns.max() <= x1
    assert y0 <= rows.min() and rows.max() <= y1


def test_a_pair_is_the_same_every_time_and_no_other():
    one, again, other = (sandbox.pair(1, index) for index in (4, 4, 5))
    assert (one.first.image == again.first.image).all()
    assert (one.second.image == again.second.image).all()
    assert (one.first.image != other.first.image).any()
    assert (one.first.image != sandbox.scene(1, 4, "test").image).any()


def test_pairs_of_training_hold_no_unseen_word():
    unseen = set(sandbox.words("unseen"))
    for index in range(5):
        pair = sandbox.pair(2, index, "train")
        assert not unseen & {pair.word.word, pair.other.word}
    with pytest.raises(ValueError, match="from 0 to"):
        sandbox.pair(-1, 0)
