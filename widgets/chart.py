"""Chart: a picture of numbers that keeps them, for plotly and as CSV.

A chart is a list of panels, and these are its rows: the SVG of its still picture, the figure of
plotly and the CSV are made from them alone. Plotly itself (a third of a second) is loaded by
`Chart.figure` only; a page gets the same figure as JSON, and `view.js` draws it where the page
brings plotly.js along, as a report does.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from mstar.evaluate.metrics import Estimate
from mstar.evaluate.table import as_csv

from .markup import Markup, draw
from .picture import Picture

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Runs differ by their strokes: colour is not the only sign.
STROKES = ("", "7 4", "2 4", "9 3 2 3", "1 2", "12 4", "5 2 1 2 1 2")
#: At least 3 : 1 on light ground and on dark.
_COLOURS = ("#3b82c8", "#c4642a", "#75808b")
#: Those of view.css, which puts a page's own in their place: paper, ink, quiet, line.
_LIGHT = ("#ffffff", "#1d2126", "#5b636d", "#d5d9de")
_DARK = ("#14171b", "#e4e7eb", "#a4adb7", "#3a4149")
_FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
#: What plotly takes for markup.
_TITLE = Markup("<b>{}</b>  {}")
_BOLD, _BREAK, _DOLLAR = Markup("<b>{}</b>"), Markup("<br>"), Markup("&#36;")
_HOVER = Markup("%{text}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>")
_HOVER_ROW = Markup("%{text}<br>%{x:.4~g}<extra></extra>")
_WRAPPED, _LINE = 44, 17  # letters and pixels of a row's name
_MARGIN = {"l": 40, "r": 16, "t": 60, "b": 50}
_SQUARE, _GAP = 240, 72  # pixels of a panel without rows, and between panels, for what axes say


@dataclass(frozen=True)
class Series:
    """Points of one name.

    Attributes:
        x, y: [points]; y counts the rows of a panel that has `rows`, from the top.
        low, high: [points], the 95 % interval of each x; empty = none.
        of: what each point is; empty = nothing but its numbers.
        is_line: a line goes through the points.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    of: Sequence[str] = ()
    is_line: bool = False

    @classmethod
    def of_estimates(cls, name: str, found: Iterable[Estimate], of: Sequence[str]) -> "Series":
        """Means with their intervals, a row each."""
        found = list(found)
        x, low, high = ([getattr(one, part) for one in found] for part in ("value", "low", "high"))
        return cls(name, x, range(len(found)), low, high, of)


@dataclass(frozen=True)
class Panel:
    """Series on the same two axes.

    Attributes:
        across, up: what the axes say.
        rows: names, and what is said of each; empty = y is a number like x.
        reach: both ends of the axis across (and upwards, without rows); None = as the points lie.
        has_diagonal: with the line on which x = y.
        note: what is said beside the name.
    """

    name: str
    series: Sequence[Series]
    across: str
    up: str = ""
    rows: Sequence[tuple[str, str]] = ()
    reach: tuple[float, float] | None = None
    has_diagonal: bool = False
    note: str = ""


@dataclass(frozen=True)
class Chart(Picture):
    """A picture whose numbers can be hovered, zoomed and taken away.

    Attributes:
        panels: its numbers.
    """

    panels: Sequence[Panel] = field(default=(), kw_only=True)

    def figure(self, dark: bool = False) -> "Figure":
        """The same numbers as a figure of plotly, to hover, zoom, change and export.

        Args:
            dark: on dark ground.
        """
        from plotly.graph_objects import Figure

        return Figure(plot(self.panels, dark))

    def csv(self) -> str:
        """A line for each point: its panel and series, both coordinates, interval and name."""
        return csv(self.panels)


def chart(template: str, panels: Sequence[Panel], **values: object) -> Markup:
    """The body of a chart; the template has `pieces.plot` around its still picture."""
    return draw(template, panels=panels, plot=plot(panels), csv=lambda: csv(panels), **values)


def path(x: Iterable[float], y: Iterable[float]) -> str:
    """A line of SVG through points of a picture, with gaps where one is NaN."""
    pen, drawn = "M", []
    for a, b in zip(x, y, strict=True):
        is_there = isfinite(a + b)
        drawn += [f"{pen}{a:.1f} {b:.1f}"] if is_there else []
        pen = "L" if is_there else "M"
    return "".join(drawn)


def csv(panels: Sequence[Panel]) -> str:
    """See `Chart.csv`."""
    found = []
    for panel in panels:
        for series in panel.series:
            for i, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
                row = {"panel": panel.name, "series": series.name, panel.across: x}
                row |= {"row": panel.rows[int(y)][0]} if panel.rows else {panel.up: y}
                row |= {"low": series.low[i], "high": series.high[i]} if series.low else {}
                found.append(row | ({"of": series.of[i]} if series.of else {}))
    names = dict.fromkeys(name for row in found for name in row)
    return as_csv([dict.fromkeys(names) | row for row in found])


def plot(panels: Sequence[Panel], dark: bool = False) -> dict[str, Any]:
    """The figure of some panels as plain JSON, `data` and `layout` of plotly."""
    paper, ink, quiet, line = _DARK if dark else _LIGHT
    is_compared = any(len(panel.series) > 1 for panel in panels)
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    data, notes, shapes, axes = [], [], [], {}
    tall = max((_tall(panel) for panel in panels), default=_SQUARE) + _GAP
    for place, panel in enumerate(panels, 1):
        at = "" if place == 1 else str(place)
        known = {trace["name"] for trace in data}
        for series in panel.series:
            number = names.index(series.name) if is_compared else 0
            trace = _trace(series, number, panel, f"x{at}", f"y{at}")
            data.append(trace | {"showlegend": trace["name"] not in known})
        axes[f"xaxis{at}"], axes[f"yaxis{at}"] = _axes(panel, line, quiet)
        notes += _notes(panel, at, ink)
        if panel.has_diagonal:
            ends = {"x0": 0, "y0": 0, "x1": 100, "y1": 100, "xref": f"x{at}", "yref": f"y{at}"}
            shapes.append({"type": "line", "layer": "below", "line": {"color": quiet}, **ends})
    columns = 1 if any(panel.rows for panel in panels) else min(3, len(panels)) or 1
    rows = max(1, -(-len(panels) // columns))
    high = rows * tall - _GAP
    layout = {
        "paper_bgcolor": paper, "plot_bgcolor": paper, "annotations": notes, "shapes": shapes,
        "font": {"family": _FONT, "size": 12, "color": quiet}, "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#20242a", "font": {"color": "#eceff2"}, "align": "left"},
        "grid": {"rows": rows, "columns": columns, "pattern": "independent",
                 "xgap": 0.2, "ygap": _GAP / tall},
        "height": high + _MARGIN["t"] + _MARGIN["b"], "margin": _MARGIN,
        "showlegend": is_compared,
        "legend": {"orientation": "h", "x": 0, "y": 1 + 30 / high, "yanchor": "bottom"},
        **axes,
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _axes(panel: Panel, line: str, quiet: str) -> tuple[dict[str, Any], dict[str, Any]]:
    axis = {"gridcolor": line, "linecolor": line, "zerolinecolor": quiet, "automargin": True}
    first, last = panel.reach or (0, 0)
    more = (last - first) / 80  # for points that lie at an end
    ends = {"range": [first - more, last + more]} if panel.reach else {}
    across = {**axis, **ends, "title": {"text": _text(panel.across)}}
    if not panel.rows:
        return across, {**axis, **ends, "title": {"text": _text(panel.up)}}
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    return across | {"zeroline": first < 0}, {"range": [len(panel.rows) - 0.6, -1], **bare}


def _notes(panel: Panel, at: str, ink: str) -> list[dict[str, Any]]:
    """What stands in a panel: its name above it, and a row's name above its points."""
    place = {"xref": f"x{at} domain", "x": 0, "xanchor": "left", "yanchor": "bottom", "yshift": 6,
             "align": "left", "showarrow": False}  # fmt: skip
    name = _TITLE.format(_text(panel.name), _text(panel.note))
    title = {"text": name, "yref": f"y{at} domain", "y": 1, "font": {"color": ink, "size": 14}}
    rows = [{"text": _row(*row), "yref": f"y{at}", "y": i} for i, row in enumerate(panel.rows)]
    return [place | note for note in (title, *rows)]


def _trace(series: Series, number: int, panel: Panel, x: str, y: str) -> dict[str, Any]:
    colour = _COLOURS[number % len(_COLOURS)]
    trace = {
        "type": "scatter", "name": _text(series.name), "legendgroup": _text(series.name),
        "x": _numbers(series.x), "y": _numbers(series.y), "xaxis": x, "yaxis": y,
        "mode": "lines" if series.is_line else "markers", "cliponaxis": False,
        "text": [_text(one) for one in series.of] or _text(series.name),
        "hovertemplate": _HOVER_ROW if panel.rows else _HOVER,
    }  # fmt: skip
    if series.is_line:
        dash = STROKES[number % len(STROKES)]
        trace["line"] = {"color": colour, "width": 2}
        trace["line"] |= {"dash": dash.replace(" ", "px,") + "px"} if dash else {}
        return trace
    trace["marker"] = {"color": colour, "size": 8}
    if series.low:
        above = [high - mean for high, mean in zip(series.high, series.x, strict=True)]
        below = [mean - low for low, mean in zip(series.low, series.x, strict=True)]
        trace["error_x"] = {"type": "data", "symmetric": False, "array": _numbers(above),
                            "arrayminus": _numbers(below), "color": colour}  # fmt: skip
    else:  # open, as points may lie on one another
        trace["marker"] |= {"symbol": "line-ns-open" if panel.rows else "circle-open"}
    return trace


def _row(name: str, said: str) -> str:
    lines = [_BOLD.format(_text(line)) for line in textwrap.wrap(name, _WRAPPED)]
    return _BREAK.join([*lines, _text(said)])


def _tall(panel: Panel) -> int:
    """In pixels; a row's name stands above its points."""
    lines = max((len(textwrap.wrap(name, _WRAPPED)) + 1 for name, _ in panel.rows), default=0)
    return (len(panel.rows) + 1) * (20 + _LINE * lines) if panel.rows else _SQUARE


def _numbers(values: Sequence[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [float(value) if isfinite(value) else None for value in values]


def _text(said: str) -> Markup:
    """Plotly takes every text for markup of its own, and what lies between two $ for LaTeX."""
    return escape(said).replace("$", _DOLLAR)
