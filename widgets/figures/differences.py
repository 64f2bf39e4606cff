"""Arms of an experiment against their controls: differences with intervals on one scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..markup import draw
from ..notes import table
from ..picture import Picture

if TYPE_CHECKING:
    from mstar.experiments.ablation.findings import Difference


def differences(title: str, caption: str, rows: Sequence["Difference"]) -> Picture:
    """A row for each pair: both MAPs, the difference with its 95 % interval, and that of each seed.

    Right of the line the arm is better than the other.
    """
    ends = [e for row in rows for e in (row.difference.low, row.difference.high, *row.by_seed)]
    reach = max([1.0, *map(abs, ends)]) * 1.05

    def x(value: float) -> str:
        return f"{(value / reach + 1) / 2 * 320:.1f}"

    shown = map(_row, rows)
    return Picture(draw("differences.html", title=title, caption=caption, rows=shown, x=x))


def comparisons(
    title: str,
    caption: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence["Difference | None"]],
) -> Picture:
    """A table of differences alone: a row for each group of positives, a column for each pair."""
    texts = [[group, *map(_said, found)] for group, found in rows.items()]
    return table(title, caption, ("", *columns), texts)


def _said(row: "Difference | None") -> str:
    if row is None:
        return "–"
    change = row.difference
    said = f"{change.value:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"
    return said.replace("-", "−")


def _row(row: "Difference") -> dict[str, Any]:
    change = row.difference
    what = f"T = {row.arm.looks}, {row.arm.sigma} masks"
    if row.arm.copies > 1:
        what = f"one look with {row.arm.copies} of each query token"
    if row.other.looks:
        what += f", against {row.other.sigma} ones"
    if row.other.copies > 1:
        what += f", against one look with {row.other.copies} of each query token"
    if row.arm.semantics == "released":
        what += " (released semantics)"
    sure = "better" if change.low > 0 else "worse" if change.high < 0 else "no clear difference"
    seeds = ", ".join(f"{value:+.1f}" for value in row.by_seed).replace("-", "−")
    numbers = {
        "MAP, other": f"{row.second:.1f}",
        "MAP, arm": f"{row.first:.1f}",
        "Hidden": "–" if row.masked is None else f"{row.masked:.0f} %",
    }
    return dict(of=row, what=what, numbers=numbers, said=_said(row), sure=sure, seeds=seeds)
