"""Arms of an experiment against their controls: differences with intervals on one scale."""

from collections.abc import Mapping, Sequence

from mstar.experiments.ablation.findings import Difference

from ..picture import Picture, text
from .notes import framed_table, table

_WIDTH, _HEIGHT = 320, 30


def differences(title: str, caption: str, rows: Sequence[Difference]) -> Picture:
    """A row for each pair: both MAPs, the difference with its 95 % interval, and that of each seed.

    Right of the line the arm is better than the other.
    """
    ends = [e for row in rows for e in (row.difference.low, row.difference.high, *row.by_seed)]
    reach = max([1.0, *map(abs, ends)]) * 1.05
    lines = "".join(_line(row, reach) for row in rows)
    heads = ("Masks and looks", "MAP, other", "MAP, arm", "Hidden", "Difference in MAP")
    return framed_table(title, caption, heads, lines)


def comparisons(
    title: str,
    caption: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[Difference | None]],
) -> Picture:
    """A table of differences alone: a row for each group of positives, a column for each pair."""
    texts = [[group, *map(_said, found)] for group, found in rows.items()]
    return table(title, caption, ("", *columns), texts)


def _said(row: Difference | None) -> str:
    if row is None:
        return "–"
    change = row.difference
    said = f"{change.value:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"
    return said.replace("-", "−")


def _line(row: Difference, reach: float) -> str:
    change = row.difference
    seeds = ", ".join(f"{value:+.1f}" for value in row.by_seed).replace("-", "−")
    said = _said(row)
    sure = "better" if change.low > 0 else "worse" if change.high < 0 else "no clear difference"
    hidden = "–" if row.masked is None else f"{row.masked:.0f} %"
    what = f"T = {row.arm.looks}, {row.arm.sigma} masks"
    if row.arm.copies > 1:
        what = f"one look with {row.arm.copies} of each query token"
    if row.other.looks:
        what += f", against {row.other.sigma} ones"
    if row.other.copies > 1:
        what += f", against one look with {row.other.copies} of each query token"
    if row.arm.semantics == "released":
        what += " (released semantics)"
    numbers = (("MAP, other", f"{row.second:.1f}"), ("MAP, arm", f"{row.first:.1f}"))
    cells = "".join(
        f'<td role="cell" class="mv-number" data-label="{text(name)}">{text(value)}</td>'
        for name, value in (*numbers, ("Hidden", hidden))
    )
    return (
        f'<tr role="row"><th role="rowheader" class="mv-query">{text(what)}</th>{cells}'
        f'<td role="cell" data-label="Difference">{_interval(row, reach, said)}'
        f'<span class="mv-number">{text(said)}</span> '
        f'<span class="mv-quiet">{sure}; seeds {text(seeds)}</span></td></tr>'
    )


def _interval(row: Difference, reach: float, said: str) -> str:
    def x(value: float) -> float:
        return (value / reach + 1) / 2 * _WIDTH

    middle, change = _HEIGHT / 2, row.difference
    seeds = "".join(f'<path d="M{x(v):.1f} 4v5" class="mv-seed"/>' for v in row.by_seed)
    return (
        f'<svg class="mv-interval" role="img" aria-label="{text(said)}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<path class="mv-zero" d="M{_WIDTH / 2} 0V{_HEIGHT}"/>{seeds}'
        f'<path d="M{x(change.low):.1f} {middle}H{x(change.high):.1f}"/>'
        f'<circle cx="{x(change.value):.1f}" cy="{middle}" r="4"/></svg>'
    )
