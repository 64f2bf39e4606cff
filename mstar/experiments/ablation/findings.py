"""What the runs say: differences to their controls, with intervals over seeds and queries."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from mstar.evaluate.metrics import Estimate
from mstar.evaluate.table import PERCENT, Column, Result, Section
from mstar.experiments.ablation.arms import Arm


class Difference(NamedTuple):
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
        both = [
            [self._precisions(seed, one, gallery).get(group) for one in (arm, other)]
            for seed in self.seeds
        ]
        both = [pair for pair in both if None not in pair]
        if not both:
            return None
        # AP in %, [seeds, queries]; NaN where a query has no positive in the group
        first, second = np.array(both, dtype=float).swapaxes(0, 1)
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

    def _precisions(self, seed: int, arm: Arm, gallery: str) -> dict[str, list[float | None]]:
        """By group; mosaics have no crowded gallery, and not every group."""
        galleries = self.rows.get((seed, arm), {"galleries": {}})["galleries"]
        return galleries.get(gallery, {}).get("ap", {})


_COLUMNS = (
    Column("arm"), Column("other"), Column("gallery"), Column("group"), Column("first", "MAP, arm"),
    Column("second", "MAP, other"), Column("difference"), Column("by_seed", "seeds"),
    Column("masked", "hidden", PERCENT),
)  # fmt: skip


def result(compared: Sequence[Difference], about: Mapping[str, Any]) -> Result:
    """Differences as one table, e.g. all that a report shows."""
    rows = [(arm.name, other.name, *values) for arm, other, *values in compared]
    section = Section("differences", "MAP in %, arm − other", _COLUMNS, rows, keys=4)
    return Result("ablation", about, [section])


def interval(change: NDArray[np.float64]) -> Estimate:
    """Mean of [seeds, queries] with a 95 % interval over both, as both are samples.

    Each has its own half width, by Student's t over the means of seeds and over those of queries,
    and the two add up as squares. Resampling three seeds would promise too much. One seed, or one
    query, adds nothing.
    """
    change = change[:, ~np.isnan(change).any(0)]
    if not change.size:
        return Estimate(np.nan, np.nan, np.nan, 0)
    mean = float(change.mean())
    half = np.hypot(_half_width(change.mean(1)), _half_width(change.mean(0)))
    return Estimate(mean, mean - float(half), mean + float(half), change.size)


def _half_width(means: NDArray[np.float64]) -> float:
    if len(means) < 2:
        return 0.0
    return float(t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / len(means) ** 0.5)
