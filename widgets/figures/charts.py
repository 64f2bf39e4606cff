"""Two charts of retrieval: precision by recall, and the queries of two runs against each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import markup
from ..picture import Picture, text

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
    legend = "".join(
        f'<span class="mv-key"><svg viewBox="0 0 34 10" aria-hidden="true">'
        f'<path class="mv-line mv-line-{runs.index(run) % 3}" d="M0 5H34" '
        f'stroke-dasharray="{_stroke(runs, run)}"/></svg>{text(run)}</span>'
        for run in runs
    )
    drawn = "".join(_curves(group, recall, curves, runs) for group, curves in panels.items())
    return Picture(
        markup.figure(
            title,
            caption,
            f'<p class="mv-legend">{legend}</p><div class="mv-charts">{drawn}</div>',
        )
    )


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
        points = "".join(
            f'<circle cx="{_x(a / 100):.1f}" cy="{_y(b / 100):.1f}" r="3.5">'
            f"<title>{text(name)}: {a:.0f} and {b:.0f}</title></circle>"
            for a, b, name, keep in zip(x, y, names, shown, strict=True)
            if keep
        )
        diagonal = f'<path class="mv-tick" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>'
        drawn.append(_chart(group, said, diagonal + points, f"{first}: AP", f"{second}: AP"))
    return Picture(markup.figure(title, caption, f'<div class="mv-charts">{"".join(drawn)}</div>'))


def _curves(
    group: str, recall: NDArray[np.float64], curves: Mapping[str, ArrayLike], runs: Sequence[str]
) -> str:
    lines, said = [], []
    for run, values in curves.items():
        precision = np.asarray(values, dtype=float)
        if np.isnan(precision).all():
            continue
        path = "L".join(f"{_x(a):.1f} {_y(b):.1f}" for a, b in zip(recall, precision, strict=True))
        lines.append(
            f'<path class="mv-line mv-line-{runs.index(run) % 3}" d="M{path}" '
            f'stroke-dasharray="{_stroke(runs, run)}"/>'
        )
        middle = precision[np.abs(recall - 0.5).argmin()]
        said.append(f"{run} {middle:.0%} at half the recall")
    return _chart(group, f"{group}: {', '.join(said)}.", "".join(lines), "recall", "precision")


def _stroke(runs: Sequence[str], run: str) -> str:
    return _STROKES[runs.index(run) % len(_STROKES)]


def _chart(group: str, said: str, content: str, across: str, up: str) -> str:
    ticks = "".join(
        f'<path class="mv-tick" d="M{_x(at):.1f} {_y(0)}V{_y(1)}M{_x(0)} {_y(at):.1f}H{_x(1)}"/>'
        f'<text x="{_x(at):.1f}" y="{_y(0) + 14}" text-anchor="middle">{100 * at:.0f}</text>'
        f'<text x="{_x(0) - 4}" y="{_y(at) + 4:.1f}" text-anchor="end">{100 * at:.0f}</text>'
        for at in (0, 0.5, 1)
    )
    return (
        f'<div class="mv-chart"><p><b>{text(group)}</b></p>'
        f'<svg role="img" aria-label="{text(said)}" '
        f'viewBox="0 0 {_LEFT + _SIDE + 10} {_TOP + _SIDE + _BOTTOM}">{ticks}{content}'
        f'<text x="{_x(0.5):.1f}" y="{_y(0) + 27}" text-anchor="middle">{text(across)} in %</text>'
        f'</svg><p class="mv-quiet">upwards: {text(up)} in %</p></div>'
    )


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE
