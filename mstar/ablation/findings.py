"""What the runs say: differences to their controls, with intervals over seeds and queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import RESAMPLES, Estimate
from .arms import Arm


@dataclass(frozen=True)
class Difference:
    """One arm against another on a group of positives, MAP in %.

    Attributes:
        difference: arm − other, over the seeds and queries that both have.
        by_seed: the same for each seed.
        masked: share of the tokens hidden, mean over the arm's looks after the first; in %.
    """

    arm: Arm
    other: Arm
    gallery: str
    group: str
    first: float
    second: float
    difference: Estimate
    by_seed: tuple[float, ...]
    masked: float | None


class Findings:
    """The table of an experiment, to be asked.

    Args:
        rows: `Experiment.table()`.
    """

    def __init__(self, rows: Sequence[dict[str, Any]]):
        self.rows = {(row["seed"], Arm(**row["arm"])): row for row in rows}
        self.seeds = sorted({seed for seed, _ in self.rows})
        self.arms = list(dict.fromkeys(arm for _, arm in self.rows))

    def difference(self, arm: Arm, other: Arm, gallery: str, group: str) -> Difference | None:
        """None where no seed has both, on that gallery and group."""
        seeds = [
            s
            for s in self.seeds
            if all(group in self._precisions(s, a, gallery) for a in (arm, other))
        ]
        if not seeds:
            return None
        first, second = (self._ap(a, seeds, gallery, group) for a in (arm, other))
        change = first - second
        hidden = [look["masked"] for look in self.looks(arm, gallery)]
        return Difference(
            arm,
            other,
            gallery,
            group,
            float(np.nanmean(first)),
            float(np.nanmean(second)),
            interval(change),
            tuple(np.nanmean(change, axis=1).tolist()),
            100 * float(np.mean(hidden)) if hidden else None,
        )

    def against_controls(self, gallery: str, group: str = "all") -> list[Difference]:
        """Every arm with PVE against the control that trained as long without."""
        pairs = ((arm, arm.control) for arm in self.arms if arm.looks)
        found = (self.difference(*pair, gallery, group) for pair in pairs)
        return [difference for difference in found if difference is not None]

    def looks(self, arm: Arm, gallery: str) -> list[dict[str, float]]:
        """What each look after the first did to the attention, mean over seeds.

        `before` and `after` are NaN where nothing was hidden.
        """
        rows = [self.rows[s, arm]["galleries"][gallery]["looks"] for s in self.seeds
                if (s, arm) in self.rows and gallery in self.rows[s, arm]["galleries"]]  # fmt: skip
        return [
            {
                name: float(
                    np.mean([look[name] for look in same if look[name] is not None] or np.nan)
                )
                for name in same[0]
            }
            for same in zip(*rows, strict=True)
        ]

    def _ap(self, arm: Arm, seeds: list[int], gallery: str, group: str) -> NDArray[np.float64]:
        """AP in %, [seeds, queries]; NaN where a query has no positive in the group."""
        return np.array([self._precisions(s, arm, gallery)[group] for s in seeds], dtype=float)

    def _precisions(self, seed: int, arm: Arm, gallery: str) -> dict[str, list[float | None]]:
        """By group; mosaics have no crowded gallery, and not every group."""
        return (
            self.rows.get((seed, arm), {"galleries": {}})["galleries"]
            .get(gallery, {})
            .get("ap", {})
        )


def interval(change: NDArray[np.float64], seed: int = 0) -> Estimate:
    """Mean of [seeds, queries] with a 95 % interval; both are resampled, as both are samples.

    With few seeds the interval is a rough one: the differences of each seed stand beside it.
    """
    change = change[:, ~np.isnan(change).any(0)]
    seeds, queries = change.shape
    if not queries:
        return Estimate(np.nan, np.nan, np.nan, 0)
    rng = np.random.default_rng(seed)
    means = [
        change[np.ix_(rng.integers(seeds, size=seeds), rng.integers(queries, size=queries))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(change.mean()), float(low), float(high), change.size)
