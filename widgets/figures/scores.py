"""Scores in % with their intervals, on one scale from 0 to 100."""

from collections.abc import Mapping

from mstar.evaluate.metrics import FEW, FEW_SAID, Estimate

from ..picture import Picture, text
from .notes import framed_table

_WIDTH, _HEIGHT = 320, 30


def scores(
    title: str, caption: str, groups: Mapping[str, Mapping[str, Estimate]], unit: str = "queries"
) -> Picture:
    """For each group of queries a row a run: its mean, the 95 % interval, and how many there are.

    Args:
        groups: name -> run -> value in %; the first run is what the others stand beside.
        unit: of what was averaged.
    """
    lines, few = [], False
    for group, runs in groups.items():
        few |= any(0 < value.count < FEW for value in runs.values())
        count = max(value.count for value in runs.values())
        lines.append(
            f'<tr role="row" class="mv-group"><th role="rowheader" colspan="3">{text(group)} '
            f'<span class="mv-quiet">{count} {text(unit)}</span></th></tr>'
        )
        lines += [_line(*item, first=not n) for n, item in enumerate(runs.items())]
    caption = f"{caption} {FEW_SAID}" if few else caption
    return framed_table(title, caption, ("", "0 to 100", "mean [95 %]"), "".join(lines))


def _line(run: str, value: Estimate, first: bool) -> str:
    weight = "" if first else ' style="font-weight:400"'
    return (
        f'<tr role="row" class="mv-run"><th role="rowheader" class="mv-query"{weight}>'
        f"{text(run)}</th>"
        f'<td role="cell">{_interval(run, value) if value.count else ""}</td>'
        f'<td role="cell" class="mv-number" data-label="mean">{text(value)}</td></tr>'
    )


def _interval(run: str, value: Estimate) -> str:
    def x(percent: float) -> float:
        return 4 + percent / 100 * (_WIDTH - 8)

    middle = _HEIGHT / 2
    ticks = "".join(f'<path d="M{x(at):.1f} 0V{_HEIGHT}" class="mv-zero"/>' for at in (0, 50, 100))
    said = f"{run}: {value}"
    return (
        f'<svg class="mv-interval" role="img" aria-label="{text(said)}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{ticks}'
        f'<path d="M{x(value.low):.1f} {middle}H{x(value.high):.1f}"/>'
        f'<circle cx="{x(value.value):.1f}" cy="{middle}" r="4"/></svg>'
    )
