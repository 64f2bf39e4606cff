"""How well a gallery is ranked: average precision, its mean with an interval, and by text scale.

Shapes: Q queries, B images. Truth and scores are arrays [Q, B], one row a query. What is measured
on the image itself (mask IoU, the pointing game) is in `grounding`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstar.errors import UserError

RESAMPLES = 2000
#: Of fewer values the bootstrap's interval is too narrow: it cannot draw what is not there.
FEW = 20
FEW_SAID = f"Intervals over fewer than {FEW} are narrower than they should be: read them as hints."


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Attributes:
        value: the mean; NaN if there was nothing to average.
        low, high: ends of the percentile bootstrap interval.
        count: how many values were averaged (queries, words or images).
    """

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "–"
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def estimate(values: ArrayLike, seed: int = 0) -> Estimate:
    """Mean and 95 % interval of independent values; NaNs are left out.

    The interval is the percentile bootstrap with `RESAMPLES` resamples. For the effect of a change
    give the differences of paired values: an interval above 0 is an effect.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high), len(values))


class Paired(NamedTuple):
    """Two runs over the same queries (words, images), value by value.

    Attributes:
        first, second: means.
        difference: of the pairs, first − second; an interval above or below 0 is a difference.
        better, worse: pairs in which the first is larger, and smaller.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    better: int
    worse: int


def paired(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Paired:
    """Compare two runs by their values on the same things, e.g. the AP of each query.

    Pairs of which one value is NaN are left out.

    Raises:
        UserError: not as many values of one as of the other.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise UserError(f"pairs need two values each; got {first.shape} and {second.shape}.")
    change = first - second
    both = ~np.isnan(change)
    return Paired(
        estimate(first[both], seed),
        estimate(second[both], seed),
        estimate(change, seed),
        int((change > 0).sum()),
        int((change < 0).sum()),
    )


def _pair(
    relevant: ArrayLike, scores: ArrayLike, said: str = "[queries, images]", axes: int = 2
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Truth and scores of one shape, the scores numbers."""
    relevant, scores = np.asarray(relevant, dtype=bool), np.asarray(scores, dtype=float)
    if relevant.shape != scores.shape or relevant.ndim != axes:
        raise UserError(
            f"truth and scores must have one shape {said}; got {relevant.shape}, {scores.shape}."
        )
    if np.isnan(scores).any():
        raise UserError("scores must be numbers; got NaN.")
    return relevant, scores


def average_precision(relevant: ArrayLike, scores: ArrayLike) -> float:
    """AP of one query in %, NaN without a positive.

    Equal to scikit-learn's `average_precision_score`, which the paper names (a test compares
    them), and a hundred times faster than its checks of every argument.

    Args:
        relevant: bool [B].
        scores: float [B], higher is better. Images of equal score count as found together.

    Raises:
        UserError: shapes that differ, or a score that is no number.
    """
    relevant, scores = _pair(relevant, scores, "[images]", 1)
    if not relevant.any():
        return float("nan")
    found, precision = _down_the_ranking(relevant, scores)
    return 100 * float((np.diff(found, prepend=0) * precision).sum() / found[-1])


def _down_the_ranking(
    relevant: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """After each score, the best first: how many positives are found, and the precision."""
    order = np.argsort(-scores)
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of equal scores
    found = np.cumsum(relevant[order])[last]
    return found, found / (last + 1)


def average_precisions(
    relevant: ArrayLike, scores: ArrayLike, among: ArrayLike | None = None
) -> NDArray[np.float64]:
    """AP of every query in %, [Q].

    Args:
        relevant: bool [Q, B].
        scores: float [Q, B].
        among: bool [Q, B], the images that take part in each query's ranking; None = all.

    Returns:
        NaN for queries without a positive among them.
    """
    relevant, scores = _pair(relevant, scores)
    among = np.ones_like(relevant) if among is None else np.asarray(among, dtype=bool)
    if among.shape != relevant.shape:
        raise UserError(f"among must have the shape {relevant.shape}; got {among.shape}.")
    rows = zip(relevant, scores, among, strict=True)
    return np.array([average_precision(r[a], s[a]) for r, s, a in rows], dtype=float)


def mean_average_precision(relevant: ArrayLike, scores: ArrayLike, seed: int = 0) -> Estimate:
    """MAP in % over the queries of [Q, B] truth and scores, with its 95 % interval."""
    return estimate(average_precisions(relevant, scores), seed)


def precision_at(relevant: ArrayLike, scores: ArrayLike, k: int) -> NDArray[np.float64]:
    """Precision among the k best images of every query in %, [Q]; equal scores share their places.

    Where the k-th place falls among images of equal score, it is the mean over their orders.

    Args:
        relevant: bool [Q, B].
        scores: float [Q, B].

    Raises:
        UserError: k is not from 1 to B.
    """
    relevant, scores = _pair(relevant, scores)
    images = relevant.shape[1]
    if not 1 <= k <= images:
        raise UserError(f"precision at k needs k from 1 to {images} images; got {k}.")
    last = -np.partition(-scores, k - 1, axis=1)[:, [k - 1]]  # the k-th best score
    above, level = scores > last, scores == last
    share = (k - above.sum(1)) / level.sum(1)  # of the places for those that are level
    return 100 * ((relevant & above).sum(1) + share * (relevant & level).sum(1)) / k


def precision_recall(
    relevant: ArrayLike, scores: ArrayLike, levels: int = 101
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interpolated precision by recall, mean over queries with a positive.

    At each level the best precision that is reached at this recall or a higher one.

    Args:
        relevant: bool [Q, B].
        scores: float [Q, B]; images of equal score count as found together.
        levels: of recall, evenly spread from 0 to 1.

    Returns:
        recall [levels] and precision [levels], both from 0 to 1; precision is NaN without any
        query that has a positive.
    """
    recall = np.linspace(0, 1, levels)
    curves = []
    for wanted, row in zip(*_pair(relevant, scores), strict=True):
        if not wanted.any():
            continue
        found, precision = _down_the_ranking(wanted, row)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        rounding = 1e-9  # 3/10 may be less than a level that is meant to be 0.3
        curves.append(best[np.searchsorted(found / found[-1], recall - rounding)])
    return recall, np.mean(curves, axis=0) if curves else np.full(levels, np.nan)


def at_scale(areas: ArrayLike, low: float, high: float) -> NDArray[np.bool_]:
    """Where the matching text has an area ratio in (low, high]; NaN is nowhere, any shape.

    Args:
        areas: share of the image that the text covers, 0 to 1; NaN = no match.
    """
    areas = np.asarray(areas, dtype=float)
    return (areas > low) & (areas <= high)


def scale_average_precisions(
    relevant: ArrayLike, at_scale: ArrayLike, scores: ArrayLike
) -> NDArray[np.float64]:
    """Scale-wise AP in % (the paper's fig. 6), [Q].

    Only images whose matching text has the scale count as positive. Images that match at another
    scale are left out of that query's ranking, so finding them neither helps nor harms.

    Args:
        relevant: bool [Q, B], images that match.
        at_scale: bool [Q, B], images that match at the scale.
        scores: float [Q, B].

    Returns:
        NaN for queries without a match at the scale.
    """
    at_scale = np.asarray(at_scale, dtype=bool)
    among = at_scale | ~np.asarray(relevant, dtype=bool)
    return average_precisions(at_scale, scores, among)


def random_scores(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Scores of a ranking that knows nothing."""
    return np.random.default_rng(seed).random(shape)


def oracle_average_precision(relevant: ArrayLike, present: ArrayLike) -> float:
    """AP in % of ranking images with something before images without it, in random order otherwise.

    What such a shortcut reaches if it never errs. It is the exact expectation over the random
    orders, which AP with tied scores is not (ties count as found together).

    Args:
        relevant: bool [B], the positives of the query.
        present: bool [B], whether the image has what the shortcut looks for.
    """
    relevant, present = np.asarray(relevant, dtype=bool), np.asarray(present, dtype=bool)
    if not relevant.any():
        return float("nan")
    total, before, found = 0.0, 0, 0
    for group in (present, ~present):
        images, positives = int(group.sum()), int((group & relevant).sum())
        if positives:
            # a positive at position k of the group has on average (k−1)(p−1)/(n−1) before it
            k = np.arange(1, images + 1)
            others = (k - 1) * (positives - 1) / max(images - 1, 1)
            total += positives / images * ((found + 1 + others) / (before + k)).sum()
        before, found = before + images, found + positives
    return 100 * total / int(relevant.sum())
