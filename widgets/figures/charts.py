"""Two charts of retrieval: precision by recall, and the queries of two runs against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..markup import draw
from ..picture import Picture

_SIDE, _LEFT, _BOTTOM, _TOP = 260, 34, 30, 8

#: Runs differ by their strokes: colour is not the only sign.
_STROKES = ("", "7 4", "2 4", "9 3 2 3", "1 2", "12 4", "5 2 1 2 1 2")


def precision_recall(
    title: str,
    caption: str,
    recall: ArrayLike,
    panels: Mapping[str, Mapping[str, ArrayLike]],
) -> Picture:
    """Interpolated precision by recall, a panel for each group of queries, a line a run.

    Args:
        recall: [levels], 0 to 1.
        panels: group -> run -> precision [levels], 0 to 1; NaN = nothing to show.
    """
    recall = np.asarray(recall, dtype=float)
    runs = list(dict.fromkeys(run for curves in panels.values() for run in curves))
    named = {
        run: {"name": run, "number": i, "stroke": _STROKES[i % len(_STROKES)]}
        for i, run in enumerate(runs)
    }
    drawn = [_curves(group, recall, curves) for group, curves in panels.items()]
    return _charts(title, caption, drawn, "recall", "precision", runs=named)


def against(
    title: str,
    caption: str,
    first: str,
    second: str,
    panels: Mapping[str, tuple[ArrayLike, ArrayLike, Sequence[str]]],
) -> Picture:
    """The AP of every query in two runs: a point a query, above the line the second is better.

    Args:
        first, second: names of the runs.
        panels: group -> AP of the first in %, of the second, and the queries; NaN is left out.
    """
    drawn = []
    for group, (across, up, names) in panels.items():
        x, y = np.asarray(across, dtype=float), np.asarray(up, dtype=float)
        shown = ~np.isnan(x + y)
        said = (
            f"{group}: of {int(shown.sum())} queries {int((y > x)[shown].sum())} are better with "
            f"{second}, {int((y < x)[shown].sum())} with {first}."
        )
        every = zip(x, y, names, shown, strict=True)
        points = [(name, a, b) for a, b, name, keep in every if keep]
        drawn.append({"group": group, "said": said, "lines": [], "points": points})
    return _charts(title, caption, drawn, f"{first}: AP", f"{second}: AP")


def _curves(
    group: str, recall: NDArray[np.float64], curves: Mapping[str, ArrayLike]
) -> dict[str, Any]:
    lines, said = [], []
    for run, values in curves.items():
        precision = np.asarray(values, dtype=float)
        if np.isnan(precision).all():
            continue
        path = "L".join(f"{_x(a)} {_y(b)}" for a, b in zip(recall, precision, strict=True))
        lines.append((run, path))
        middle = precision[np.abs(recall - 0.5).argmin()]
        said.append(f"{run} {middle:.0%} at half the recall")
    said = f"{group}: {', '.join(said)}."
    return {"group": group, "said": said, "lines": lines, "points": None}


def _charts(
    title: str,
    caption: str,
    panels: Sequence[Mapping[str, Any]],
    across: str,
    up: str,
    runs: Mapping[str, Any] | None = None,
) -> Picture:
    size = {"width": _LEFT + _SIDE + 10, "height": _TOP + _SIDE + _BOTTOM}
    return Picture(
        draw(
            "chart.html", title=title, caption=caption, panels=panels, across=across, up=up,
            runs=runs, x=_x, y=_y, **size,
        )
    )  # fmt: skip


def _x(share: float, more: float = 0) -> str:
    return f"{_LEFT + share * _SIDE + more:.1f}"


def _y(share: float, more: float = 0) -> str:
    return f"{_TOP + (1 - share) * _SIDE + more:.1f}"
