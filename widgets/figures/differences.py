"""Arms of an experiment against their controls: differences with intervals on one scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..chart import Chart, Panel, Series, chart
from ..notes import table
from ..picture import Picture

if TYPE_CHECKING:
    from mstar.experiments.ablation.findings import Difference


def differences(title: str, caption: str, rows: Sequence["Difference"]) -> Chart:
    """A row for each pair: both MAPs, the difference with its 95 % interval, and that of each seed.

    Right of the line the arm is better than the other.
    """
    ends = [e for row in rows for e in (row.difference.low, row.difference.high, *row.by_seed)]
    reach = max([1.0, *map(abs, ends)]) * 1.05
    shown = list(map(_row, rows))
    names = [row["what"] for row in shown]
    means = Series.of_estimates("difference", [row.difference for row in rows], names)
    seeds = [(x, i, f"{names[i]}, a seed") for i, row in enumerate(rows) for x in row.by_seed]
    x, y, of = zip(*seeds, strict=True) if seeds else ((), (), ())
    said = [(row["what"], f"{row['said']}, {row['sure']}") for row in shown]
    series = [means, Series("each seed", x, y, of=of)]
    panel = Panel("", series, "difference in MAP", rows=said, reach=(-reach, reach))

    def at(value: float) -> str:
        return f"{(value / reach + 1) / 2 * 320:.1f}"

    values = {"title": title, "caption": caption, "rows": shown, "means": means, "x": at}
    return Chart(chart("differences.html", [panel], **values), panels=[panel])


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
    return dict(
        by_seed=row.by_seed, what=what, numbers=numbers, said=_said(row), sure=sure, seeds=seeds
    )
