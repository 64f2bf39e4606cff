"""Two charts of retrieval: precision by recall, and the queries of two runs against each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..chart import STROKES, Chart, Panel, Series, chart, path

_SIDE, _LEFT, _BOTTOM, _TOP = 260, 34, 30, 8
_REACH = (0.0, 100.0)


def precision_recall(
    title: str,
    caption: str,
    recall: ArrayLike,
    panels: Mapping[str, Mapping[str, ArrayLike]],
) -> Chart:
    """Interpolated precision by recall, a panel for each group of queries, a line a run.

    Args:
        recall: [levels], 0 to 1.
        panels: group -> run -> precision [levels], 0 to 1; NaN = nothing to show.
    """
    across = 100 * np.asarray(recall, dtype=float)
    middle = np.abs(across - 50).argmin()
    drawn, said = [], []
    for group, curves in panels.items():
        known = {run: 100 * np.asarray(curve, dtype=float) for run, curve in curves.items()}
        known = {run: curve for run, curve in known.items() if not np.isnan(curve).all()}
        series = [
            Series(run, across.tolist(), curve.tolist(), is_line=True)
            for run, curve in known.items()
        ]
        drawn.append(Panel(group, series, "recall in %", "precision in %", reach=_REACH))
        halves = [
            f"{run} {curve[middle]:.0f} % at half the recall"
            for run, curve in known.items()
            if not np.isnan(curve[middle])
        ]
        said.append(f"{group}: {', '.join(halves)}.")
    return _charts(title, caption, drawn, said)


def against(
    title: str,
    caption: str,
    first: str,
    second: str,
    panels: Mapping[str, tuple[ArrayLike, ArrayLike, Sequence[str]]],
) -> Chart:
    """The AP of every query in two runs: a point a query, above the line the second is better.

    Args:
        first, second: names of the runs.
        panels: group -> AP of the first in %, of the second, and the queries; NaN is left out.
    """
    drawn, said = [], []
    axes = f"{first}: AP in %", f"{second}: AP in %"
    for group, (across, up, names) in panels.items():
        pairs = zip(map(float, across), map(float, up), names, strict=True)
        points = [(x, y, name) for x, y, name in pairs if not np.isnan(x + y)]
        x, y, of = zip(*points, strict=True) if points else ((), (), ())
        series = Series("queries", x, y, of=of)
        drawn.append(Panel(group, [series], *axes, reach=_REACH, has_diagonal=True))
        said.append(
            f"{group}: of {len(points)} queries {sum(b > a for a, b, _ in points)} are better with "
            f"{second}, {sum(b < a for a, b, _ in points)} with {first}."
        )
    return _charts(title, caption, drawn, said)


def _charts(title: str, caption: str, panels: Sequence[Panel], said: Sequence[str]) -> Chart:
    size = {"width": _LEFT + _SIDE + 10, "height": _TOP + _SIDE + _BOTTOM}
    runs = dict.fromkeys(line.name for panel in panels for line in panel.series if line.is_line)
    named = {
        run: {"name": run, "number": i, "stroke": STROKES[i % len(STROKES)]}
        for i, run in enumerate(runs)
    }
    shown = list(zip(panels, said, strict=True))
    body = chart(
        "chart.html", panels, title=title, caption=caption, shown=shown, runs=named, x=_x, y=_y,
        path=_path, **size,
    )  # fmt: skip
    return Chart(body, panels=panels)


def _path(line: Series) -> str:
    return path(map(_across, line.x), map(_down, line.y))


def _across(percent: float) -> float:
    return _LEFT + percent / 100 * _SIDE


def _down(percent: float) -> float:
    return _TOP + (1 - percent / 100) * _SIDE


def _x(percent: float, more: float = 0) -> str:
    return f"{_across(percent) + more:.1f}"


def _y(percent: float, more: float = 0) -> str:
    return f"{_down(percent) + more:.1f}"
