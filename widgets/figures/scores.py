"""Scores in % with their intervals, on one scale from 0 to 100."""

from collections.abc import Mapping

from mstar.evaluate.metrics import FEW, FEW_SAID, Estimate

from ..markup import draw
from ..picture import Picture


def scores(
    title: str, caption: str, groups: Mapping[str, Mapping[str, Estimate]], unit: str = "queries"
) -> Picture:
    """For each group of queries a row a run: its mean, the 95 % interval, and how many there are.

    Args:
        groups: name -> run -> value in %; the first run is what the others stand beside.
        unit: of what was averaged.
    """
    counts = [[value.count for value in runs.values()] for runs in groups.values()]
    if any(0 < count < FEW for group in counts for count in group):
        caption = f"{caption} {FEW_SAID}"
    rows = zip(groups, map(max, counts), groups.values(), strict=True)
    return Picture(draw("scores.html", title=title, caption=caption, groups=rows, unit=unit, x=_x))


def _x(percent: float) -> str:
    return f"{4 + percent / 100 * 312:.1f}"
