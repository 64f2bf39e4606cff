"""What both reports on rankings say: their numbers by run and by query."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstar.data.benchmarks import Benchmark, said_of
from mstar.evaluate.benchmark import (
    Group,
    Run,
    groups,
)
from mstar.evaluate.metrics import (
    Estimate,
    average_precisions,
    estimate,
)
from mstar.widgets import figures
from mstar.widgets.picture import Picture

_NAMED = 20  # photographs that are left out


def left_out(benchmark: Benchmark) -> list[Picture]:
    """Which photographs and queries could not be read, for their reader."""
    head, *whys = said_of(benchmark) or [""]
    return named(head.capitalize(), whys) if head else []


def named(title: str, whys: Sequence[str]) -> list[Picture]:
    """What was left out and why, as far as it is read."""
    more = [f"and {len(whys) - _NAMED} more, in `metrics.json`"] * (len(whys) > _NAMED)
    return [figures.note(title, *whys[:_NAMED], *more)]


def by_run(
    benchmark: Benchmark, runs: Sequence[Run], found: Sequence[Group]
) -> dict[str, dict[str, Estimate]]:
    """MAP by group and by run."""
    by_group = {run.name: map_by_group(benchmark, run.scores, found) for run in runs}
    return {
        group.name: {name: values[group.name] for name, values in by_group.items()}
        for group in found
    }


def map_by_group(
    benchmark: Benchmark, scores: NDArray[np.floating], found: Sequence[Group]
) -> dict[str, Estimate]:
    """MAP in % of each group; scores [Q, B]."""
    return {group.name: estimate(group.precisions(benchmark, scores)) for group in found}


def movers(
    before: NDArray[np.float64], after: NDArray[np.float64], most: int
) -> tuple[list[int], list[int]]:
    """The queries whose AP fell most, and those whose rose most; both [Q] in %."""
    change = np.nan_to_num(after - before)
    order = np.argsort(change, kind="stable")
    lost = [row for row in order[:most].tolist() if change[row] < 0]
    return lost, [row for row in order[::-1][:most].tolist() if change[row] > 0]


def signed(value: float) -> str:
    """A small difference with a true minus, and none before a zero."""
    said = f"{value:+.3f}"
    return "0.000" if float(said) == 0 else said.replace("-", "−")


def difference(change: Estimate) -> str:
    """A difference with its interval, signed."""
    said = f"{change.value:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"
    return said.replace("-", "−")


def headline(run: Run, benchmark: Benchmark) -> dict[str, str]:
    """MAP by style, for the index of a sweep."""
    styles = [group for group in groups(benchmark) if group.at_scale is None]
    found = map_by_group(benchmark, run.scores, styles)
    return {f"MAP, {name}": str(value) for name, value in found.items()}


def per_query(benchmark: Benchmark, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The AP of every query in every run, for other programs; None without an answer."""
    found = {run.name: average_precisions(benchmark.relevant, run.scores) for run in runs}
    return [
        {
            **query._asdict(),
            "answers": int(benchmark.relevant[row].sum()),
            "AP": {name: None if np.isnan(ap[row]) else float(ap[row])
                   for name, ap in found.items()},
        }
        for row, query in enumerate(benchmark.queries)
    ]  # fmt: skip
