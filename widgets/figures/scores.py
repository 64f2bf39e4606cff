"""Scores in % with their intervals, on one scale from 0 to 100."""

from collections.abc import Mapping

from mstar.evaluate.metrics import FEW, FEW_SAID, Estimate

from ..chart import Chart, Panel, Series, chart


def scores(
    title: str, caption: str, groups: Mapping[str, Mapping[str, Estimate]], unit: str = "queries"
) -> Chart:
    """For each group of queries a row a run: its mean, the 95 % interval, and how many there are.

    Args:
        groups: name -> run -> value in %; the first run is what the others stand beside.
        unit: of what was averaged.
    """
    counts = [[value.count for value in runs.values()] for runs in groups.values()]
    if any(0 < count < FEW for group in counts for count in group):
        caption = f"{caption} {FEW_SAID}"
    panels = []
    for (group, runs), most in zip(groups.items(), map(max, counts), strict=True):
        rows = [(run, str(value)) for run, value in runs.items()]
        means = Series.of_estimates("mean", runs.values(), [run for run, _ in rows])
        panels.append(
            Panel(group, [means], "mean in %", rows=rows, reach=(0, 100), note=f"{most} {unit}")
        )
    return Chart(chart("scores.html", panels, title=title, caption=caption, x=_x), panels=panels)


def _x(percent: float) -> str:
    return f"{4 + percent / 100 * 312:.1f}"
