"""Ranking metrics: known answers, and agreement with scikit-learn and with brute force."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.evaluate.metrics import (
    at_scale,
    average_precision,
    average_precisions,
    estimate,
    mean_average_precision,
    oracle_average_precision,
    paired,
    precision_at,
    precision_recall,
    random_scores,
    scale_average_precisions,
)
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.texts import Query


def test_average_precision_known_answers():
    assert average_precision([1, 1, 0, 0], [4, 3, 2, 1]) == 100
    assert average_precision([0, 0, 1], [3, 2, 1]) == pytest.approx(100 / 3)
    assert average_precision([1, 0, 1], [3, 2, 1]) == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert average_precision([1, 0, 0, 0], [1, 1, 1, 1]) == 25  # all found together
    assert np.isnan(average_precision([0, 0], [1, 2]))
    assert np.isnan(average_precision([], []))


def test_average_precision_is_scikit_learns_also_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = rng.integers(1, 40)
        relevant, scores = rng.random(size) < 0.3, rng.integers(-4, 4, size) / 3
        relevant[0] = True
        expected = 100 * average_precision_score(relevant, scores)
        assert average_precision(relevant, scores) == pytest.approx(expected)


def test_average_precisions_name_both_shapes():
    with pytest.raises(ValueError, match=r"\(1, 2\), \(2, 2\)"):
        average_precisions([[1, 0]], [[1, 2], [3, 4]])


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ValueError, match=r"one shape \[images\]; got \(2,\), \(3,\)"):
        average_precision([1, 0], [1, 2, 3])
    for measure in (average_precisions, precision_recall, lambda *pair: precision_at(*pair, 1)):
        with pytest.raises(ValueError, match="scores must be numbers; got NaN"):
            measure([[1, 0]], [[1, np.nan]])
        with pytest.raises(ValueError, match=r"\(1, 2\), \(1, 3\)"):
            measure([[1, 0]], [[1, 2, 3]])


def test_map_and_interval():
    perfect = mean_average_precision([[1, 0], [0, 1]], [[2, 1], [1, 2]])
    assert (perfect.value, perfect.low, perfect.high, perfect.count) == (100, 100, 100, 2)
    assert str(perfect) == "100.0 [100.0, 100.0]"

    values = np.random.default_rng(1).normal(50, 10, 400)
    found = estimate(values)
    assert found == estimate(values)
    assert found.value == pytest.approx(values.mean())
    # ± 1.96 standard errors of the mean
    assert found.low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.15)
    assert found.high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.15)


def test_paired_by_hand():
    found = paired([50, 60, 70, np.nan, 20], [40, 60, 75, 10, np.nan])
    assert (found.first.value, found.second.value) == (60, pytest.approx(175 / 3))
    assert found.difference.value == pytest.approx(5 / 3) and found.difference.count == 3
    assert (found.better, found.worse) == (1, 1)
    assert found.difference.low == -5 and found.difference.high == 10
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        paired([1, 2], [1])


def test_a_paired_interval_sees_what_separate_ones_hide():
    rng = np.random.default_rng(0)
    second = rng.uniform(0, 90, 200)
    found = paired(second + rng.normal(2, 1, 200), second)
    assert found.difference.low > 1.5 and found.first.low < found.second.high


def test_precision_at_k_by_hand():
    relevant, scores = [[1, 0, 1, 0], [0, 0, 0, 1]], [[4, 3, 2, 1], [4, 3, 2, 1]]
    assert precision_at(relevant, scores, 1).tolist() == [100, 0]
    assert precision_at(relevant, scores, 2).tolist() == [50, 0]
    assert precision_at(relevant, scores, 3) == pytest.approx([200 / 3, 0])
    # two places for three images of equal score, one of them relevant
    assert precision_at([[0, 1, 0, 0]], [[4, 3, 3, 3]], 3) == pytest.approx([100 * 2 / 3 / 3])
    assert precision_at([[0, 1]], [[1, 1]], 2).tolist() == [50]
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"from 1 to 4 images; got {k}"):
            precision_at(relevant, scores, k)


def test_precision_by_recall_by_hand():
    # found at places 1 and 4: precision 1 up to recall 1/2, then 2/4
    recall, precision = precision_recall([[1, 0, 0, 1]], [[4, 3, 2, 1]], levels=5)
    assert recall.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert precision.tolist() == [1, 1, 1, 0.5, 0.5]
    # at places 2 and 3: the best precision at that recall or higher
    assert precision_recall([[0, 1, 1]], [[3, 2, 1]], 3)[1] == pytest.approx([2 / 3] * 3)
    both = precision_recall([[1, 0], [0, 1], [0, 0]], [[2, 1], [2, 1], [2, 1]], 2)[1]
    assert both == pytest.approx([0.75, 0.75])
    assert precision_recall([[0, 1]], [[1, 1]], 2)[1].tolist() == [0.5, 0.5]  # found together
    assert np.isnan(precision_recall([[0, 0]], [[1, 2]])[1]).all()


def test_precision_by_recall_is_above_scikit_learns_steps():
    rng = np.random.default_rng(0)
    for _ in range(20):
        relevant, scores = rng.random(30) < 0.3, rng.integers(0, 9, 30)
        relevant[0] = True
        precision, recall, _ = precision_recall_curve(relevant, scores)
        levels, found = precision_recall([relevant], [scores], 11)
        best = [precision[:-1][recall[:-1] >= level - 1e-9].max() for level in levels]
        assert found == pytest.approx(best)


def test_a_scale_is_open_below_and_closed_above():
    areas = np.array([[0.01, 0.02, 0.05, np.nan]])
    assert at_scale(areas, 0.01, 0.05).tolist() == [[False, True, True, False]]


def test_queries_without_a_positive_are_left_out():
    found = mean_average_precision([[1, 0], [0, 0]], [[2, 1], [1, 2]])
    assert (found.value, found.count) == (100, 1)
    nothing = mean_average_precision(np.zeros((0, 3)), np.zeros((0, 3)))
    assert nothing.count == 0 and str(nothing) == "–"


def test_scale_wise_by_hand():
    # ranked: large, other, small, other, small; a second query matches at large scale only
    scores = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1]])
    relevant = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0]])
    small = np.array([[0, 0, 1, 0, 1], [0, 0, 0, 0, 0]])
    of_small = scale_average_precisions(relevant, small, scores)
    assert of_small[0] == pytest.approx(100 * (1 / 2 + 2 / 4) / 2)  # without the large one
    assert np.isnan(of_small[1])
    of_large = scale_average_precisions(relevant, relevant - small, scores)
    assert of_large == pytest.approx([100, 50])


def test_oracle_is_the_mean_over_all_orders():
    relevant, present = np.array([1, 0, 1, 0, 0, 1], bool), np.array([1, 1, 1, 0, 0, 0], bool)
    orders = [average_precision(relevant, 6 * present + p) for p in permutations(range(6))]
    assert oracle_average_precision(relevant, present) == pytest.approx(np.mean(orders))
    assert oracle_average_precision(relevant, relevant) == pytest.approx(100)
    assert np.isnan(oracle_average_precision([0, 0], [1, 0]))


def test_random_ranking_repeats():
    assert (random_scores((3, 4), seed=5) == random_scores((3, 4), seed=5)).all()
    assert (random_scores((3, 4), seed=5) != random_scores((3, 4), seed=6)).any()


@pytest.mark.parametrize("semantics", ["paper", "released"])
@pytest.mark.parametrize("branch", [True, False])
def test_rank_gallery_is_the_forward_pass_in_batches(semantics, branch):
    torch.manual_seed(0)
    config = MstarConfig.tiny(semantics=semantics, multi_word_branch=branch)
    model = MstarModel(config)
    processor = MstarProcessor.for_config(config, character_tokenizer())
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8))
    texts = ["exit", "speed limit", "stop", "a, b", "'x' on a sign"]
    styles = ["word", "phrase", "word", "combined", "semantic"]
    queries = list(map(Query, texts, styles))

    model.train()
    scores = Bench(model, processor).scores(images, queries, pve_steps=2, batch_size=2)
    assert model.training, "the mode must be what it was"
    model.eval()
    with torch.no_grad():
        expected = model(**processor(images=images, text=texts, styles=styles), pve_steps=2).scores
    assert scores == pytest.approx(expected.numpy(), abs=1e-5)

    with model.hooks({"pve.*.embeddings": lambda value, *, point: torch.zeros_like(value)}):
        changed = Bench(model, processor).scores(images, queries, pve_steps=2)
    assert np.abs(changed - scores).max() > 1e-4, "hooks must be heard"
