"""Charts: plotly's figure, the still picture and the CSV have the same numbers."""

import csv
import io
import re
import subprocess
import sys

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from mstar.evaluate.metrics import Estimate
from mstar.experiments.ablation import Arm, Difference
from mstar.reports import pages
from mstar.widgets import TrainingMonitor, figures
from mstar.widgets.markup import Markup

NAN = float("nan")
#: To plotly this would be bold, a link and, between the dollars, LaTeX.
NASTY = '<b>$5</b> or $9 & <a href="javascript:alert(1)">a</a>'
AP = [0.0, 12.5, 100.0, NAN], [50.0, 0.0, 75.0, 10.0], [NASTY, "exit", "way", "no answer"]
RUNS = {"MSTAR": Estimate(70, 60, 85, 30), NASTY: Estimate(20, 0, 30, 30)}
RUNS |= {"nothing": Estimate(NAN, NAN, NAN, 0)}
ARMS = Arm(1, "watershed"), Arm(1, "empty")
CURVES = {"MSTAR": [1.0, 0.5, 0.25], NASTY: [0.5, NAN, 0.0], "nothing": [NAN] * 3}


def difference(value: float, seeds: tuple[float, ...]) -> Difference:
    found = Estimate(value, value - 2, value + 1, 30)
    return Difference(*ARMS, "easy", "all", 50, 40, found, seeds, None)


DIFFERENCES = [difference(4.0, (3.0, 5.0)), difference(-3.0, (-3.0,))]
CHARTS = {
    "precision_recall": figures.precision_recall("P", "C", [0, 0.5, 1], {"word": CURVES, "b": {}}),
    "against": figures.against("A", "C", "one", NASTY, {NASTY: AP}),
    "scores": figures.scores("S", "C", {"word": RUNS, NASTY: RUNS}),
    "differences": figures.differences("D", "C", DIFFERENCES),
    "training": figures.training({"loss": [(1, 2.0), (2, NAN), (3, 1.0)], "L": [(1, 5)]}, "So."),
}
#: Chart -> x, y of all its series, as they were given.
GIVEN = {
    "precision_recall": [([0, 50, 100], [100, 50, 25]), ([0, 50, 100], [50, NAN, 0])],
    "against": [([0, 12.5, 100], [50, 0, 75])],
    "scores": [([70, 20, NAN], [0, 1, 2])] * 2,
    "differences": [([4, -3], [0, 1]), ([3, 5, -3], [0, 0, 1])],
    "training": [([1, 2, 3], [2, NAN, 1]), ([1], [5])],
}


def numbers(values) -> list[float]:
    return [NAN if value is None else float(value) for value in values]


@pytest.mark.parametrize("name", CHARTS)
def test_the_figure_has_the_numbers_that_were_given(name):
    figure = CHARTS[name].figure()
    assert isinstance(figure, go.Figure)
    for trace, (x, y) in zip(figure.data, GIVEN[name], strict=True):
        np.testing.assert_array_equal(numbers(trace.x), x)
        np.testing.assert_array_equal(numbers(trace.y), y)


@pytest.mark.parametrize("name", CHARTS)
def test_so_have_the_rows_that_all_is_made_of(name):
    series = [one for panel in CHARTS[name].panels for one in panel.series]
    for one, (x, y) in zip(series, GIVEN[name], strict=True):
        np.testing.assert_array_equal(one.x, x)
        np.testing.assert_array_equal(one.y, y)


def test_intervals_of_the_figure_end_where_they_should():
    for trace in CHARTS["scores"].figure().data:
        x, above, below = (numbers(v) for v in (trace.x, trace.error_x.array,
                                                trace.error_x.arrayminus))  # fmt: skip
        assert np.add(x, above)[:2].tolist() == [85, 30]
        assert np.subtract(x, below)[:2].tolist() == [60, 0]


def test_the_still_picture_has_them_too():
    def share(at: float, first: float, last: float) -> float:
        return pytest.approx(100 * (at - first) / (last - first), abs=0.05)

    lines = re.findall(r'mv-line mv-line-\d" d="M([^"]+)"', CHARTS["precision_recall"].body)
    drawn = [part.split() for part in lines[2].split("L")]  # after both of the legend
    left, right, top, bottom = 34, 294, 8, 268
    assert [share(float(x), left, right) for x, _ in drawn[1:]] == [50, 100]
    assert [share(float(y), bottom, top) for _, y in drawn] == [100, 50, 25]
    assert lines[3] == "34.0 138.0M294.0 268.0"  # a gap where there is nothing to show
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', CHARTS["against"].body)
    assert [share(float(x), left, right) for x, _ in dots] == [0, 12.5, 100]
    assert [share(float(y), bottom, top) for _, y in dots] == [50, 0, 75]
    ends = re.findall(r'd="M([\d.]+) 15H([\d.]+)"/><circle cx="([\d.]+)"', CHARTS["scores"].body)
    assert len(ends) == 4  # nothing for what was not measured
    assert [share(float(at), 4, 316) for at in ends[0]] == [60, 85, 70]
    body, reach = CHARTS["differences"].body, 5 * 1.05
    ends = re.findall(r'd="M([\d.]+) 15H([\d.]+)"/><circle cx="([\d.]+)"', body)
    seeds = re.findall(r'mv-seed" d="M([\d.]+)', body)
    found = [[2 * reach * float(x) / 320 - reach for x in all_] for all_ in (*ends, seeds)]
    for drawn, given in zip(found, ([2, 5, 4], [-5, -2, -3], [3, 5, -3]), strict=True):
        assert drawn == pytest.approx(given, abs=0.01)
    assert 'd="M0.0 0.0M300.0 90.0"' in CHARTS["training"].body


def test_the_csv_has_them_too():
    rows = list(csv.DictReader(io.StringIO(CHARTS["scores"].csv())))
    assert [row["of"] for row in rows] == list(RUNS) * 2
    assert rows[4]["panel"] == NASTY and rows[4]["series"] == "mean"
    assert [float(rows[1][name]) for name in ("mean in %", "low", "high")] == [20, 0, 30]
    rows = list(csv.DictReader(io.StringIO(CHARTS["precision_recall"].csv())))
    columns = ([float(row[f"{name} in %"]) for row in rows] for name in ("recall", "precision"))
    for found, given in zip(columns, zip(*GIVEN["precision_recall"], strict=True), strict=True):
        np.testing.assert_array_equal(found, np.concatenate(given))


def test_a_chart_of_nothing_is_a_figure_of_nothing():
    empty = [
        figures.precision_recall("P", "C", [0, 1], {}),
        figures.against("A", "C", "one", "two", {"word": ([], [], [])}),
        figures.scores("S", "C", {}),
        figures.differences("D", "C", []),
        TrainingMonitor().picture,
    ]
    for chart in empty:
        assert [x for trace in chart.figure().data for x in trace.x or ()] == []
        assert list(csv.DictReader(io.StringIO(chart.csv()))) == []


def test_a_training_monitor_has_a_figure_of_its_curves():
    monitor = TrainingMonitor()
    for loss in (2.0, 1.5):
        monitor(None, {"stage": "a", "step": 1, "loss": loss})
    monitor.draw(None)
    (trace,) = monitor.picture.figure().data
    assert trace.name == "loss" and trace.x == (1, 2) and trace.y == (2, 1.5)


def test_a_dark_figure_has_dark_ground():
    light, dark = CHARTS["scores"].figure(), CHARTS["scores"].figure(dark=True)
    assert light.layout.paper_bgcolor == "#ffffff" and dark.layout.paper_bgcolor == "#14171b"
    assert light.layout.font.color != dark.layout.font.color
    assert light.data == dark.data


def brightness(colour: str) -> float:
    """After WCAG 2."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    parts = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(parts @ [0.2126, 0.7152, 0.0722])


def test_lines_and_points_stand_out_on_light_ground_and_on_dark():
    runs = {f"run {i}": [1.0, 0.5] for i in range(4)}
    chart = figures.precision_recall("P", "C", [0, 1], {"word": runs})
    assert len({(trace.line.color, trace.line.dash) for trace in chart.figure().data}) == 4
    for is_dark in (False, True):
        figure = chart.figure(is_dark)
        ground = brightness(figure.layout.paper_bgcolor)
        for trace in figure.data:
            both = sorted((ground, brightness(trace.line.color)))
            assert (both[1] + 0.05) / (both[0] + 0.05) > 3


def test_plotly_is_loaded_by_figure_alone():
    code = (
        "import sys; from mstar.widgets import figures\n"
        "chart = figures.training({'loss': [(1, 2.0)]}, ''); chart.html\n"
        "assert 'plotly' not in sys.modules; chart.figure(); assert 'plotly' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report's page with every chart."""
    path = tmp_path_factory.mktemp("charts") / "page.html"
    body = Markup("").join(chart.html for chart in CHARTS.values())
    path.write_text(pages.shell("Charts", body), encoding="utf-8")
    return path


def test_plotly_is_in_the_page_once_and_only_for_charts(page):
    html, script = page.read_text(encoding="utf-8"), get_plotlyjs()
    assert html.count(script) == 1 and len(html) < 10_000_000
    assert "</script" not in script.lower()
    assert script not in pages.shell("None", figures.heading("A heading").html)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("dark", 360)])
def test_plotly_draws_them_offline_in_the_pages_theme(scheme, width, page, open_page):
    opened = open_page(page, scheme, width)
    shown = opened.page.locator(".mv-plot")
    assert shown.count() == len(CHARTS) and opened.wrong == []
    x = shown.evaluate_all("all => all.map(one => one.data.map(trace => trace.x))")
    for found, given in zip(x, GIVEN.values(), strict=True):
        for one, (there, _) in zip(found, given, strict=True):
            np.testing.assert_array_equal(numbers(one), there)
    assert opened.unreadable() == []
    inside = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert inside[0] <= inside[1]
    assert shown.locator("a, b, i").count() == 0, "a text from outside is drawn as it is"
    assert NASTY in shown.nth(1).text_content()


def test_buttons_have_names_and_none_sends_the_numbers_anywhere(page, open_page):
    opened = open_page(page)
    buttons = opened.page.locator(".mv-plot").first.get_by_role("button").all()
    names = [
        button.evaluate("e => e.ariaLabel || e.title || e.dataset.title") for button in buttons
    ]
    assert "Zoom in" in names and "Download plot as a PNG" in names and all(names)
    assert not any("Share" in name or "loud" in name for name in names)


def test_a_theme_that_changes_is_followed(page, open_page):
    opened = open_page(page, "light")
    opened.page.emulate_media(color_scheme="dark")
    assert opened.unreadable() == []
    opened.page.set_viewport_size({"width": 400, "height": 800})
    opened.page.wait_for_function(
        "[...document.querySelectorAll('.mv-plot .main-svg')].every(e => e.clientWidth <= 400)"
    )
    assert opened.unreadable() == [] and opened.wrong == []


def test_a_point_says_what_it_is(page, open_page):
    opened = open_page(page)
    opened.page.locator(".mv-plot .points path").nth(1).hover(force=True)
    said = opened.page.locator(".mv-plot .hoverlayer .hovertext")
    assert "exit" in said.text_content() and "12.5, 0" in said.text_content()


def test_the_still_picture_is_for_print_and_without_scripts(page, open_page, browser):
    opened = open_page(page, "dark")
    twin, plot = (opened.page.locator(part).first for part in (".mv-twin", ".mv-plot"))
    assert twin.bounding_box()["height"] <= 1 and plot.is_visible()
    opened.page.emulate_media(media="print")
    assert twin.bounding_box()["height"] > 100 and not plot.is_visible()
    context = browser.new_context(java_script_enabled=False, offline=True)
    quiet = context.new_page()
    quiet.goto(page.as_uri())
    assert quiet.locator(".mv-plot").count() == 0
    for one in quiet.locator(".mv-twin").all():
        assert one.bounding_box()["height"] > 50
    context.close()


def test_the_numbers_can_be_taken_away(page, open_page):
    opened = open_page(page)
    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name="The numbers as CSV").nth(2).click()
    assert download.value.path().read_text(encoding="utf-8") == CHARTS["scores"].csv()
