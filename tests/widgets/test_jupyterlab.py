"""All views in a real JupyterLab: they answer, and nothing warns or asks the network.

Screenshots are left in `out/screenshots`, light and dark.
"""

import re
import shlex
import subprocess

import pytest

from mstar.cli.__main__ import main
from tests.jupyterlab import ROOT, SETUP, Lab, served, started

SHOTS = ROOT / "out" / "screenshots"

CELLS = {
    "explorer": "explorer = PveExplorer(trace, words)\nexplorer",
    "again": "explorer",
    "inspector": "AssignmentInspector(trace)",
    "multi": "MultiWordView(trace)",
    "lab": "MaskLab(bench, photo, trace.queries)",
    "search": "SearchExplorer(bench, [photo] * 3, ['a', 'b', 'c'])",
    "compare": "Compare((trace, trace), ('a', 'b'))",
    "monitor": """\
monitor = TrainingMonitor([photo])
for step in range(40):
    row = {"stage": "look", "step": step, "loss": 3 / (1 + step), "learning rate": 1e-3}
    monitor(bench, row)
monitor.draw(bench)
monitor""",
}


@pytest.fixture(scope="module")
def lab(tiny_checkpoint, browser, tmp_path_factory):
    setup = SETUP.replace("CHECKPOINT", str(tiny_checkpoint))
    with served([setup, *CELLS.values()], tmp_path_factory.mktemp("lab")) as url:
        lab = Lab(browser, url)
        yield lab
        lab.close()


def view(lab, name: str):
    return lab.view(1 + list(CELLS).index(name))


def position(part) -> str:
    return part.locator(".mv-panel .mv-map").first.evaluate("e => e.style.backgroundPosition")


def query(part):
    return part.locator("select[data-chooses=query_token]")


def test_the_views_answer_in_jupyterlab(lab):
    explorer = view(lab, "explorer")
    before = position(explorer)
    explorer.get_by_label("Look t").focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("ArrowRight")
    assert position(explorer) != before
    assert "look 2 of 2" in explorer.locator("output").first.inner_text()

    inspector = view(lab, "inspector")
    before = position(inspector)
    inspector.get_by_role("gridcell").nth(6).click()
    assert position(inspector) != before
    assert "query token 2 of look 1" in inspector.locator(".mv-read").inner_text()

    mask = view(lab, "lab")
    mask.get_by_role("button", name="Rectangle").click()
    box = mask.locator(".mv-canvas").bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    lab.page.mouse.up()
    mask.get_by_role("button", name="Run").click()
    mask.get_by_text("Before against After").wait_for()
    assert "tokens were covered" in mask.inner_text()
    assert " 0 of 16 × 16" not in mask.inner_text() and "of 16 × 16 tokens" in mask.inner_text()
    mask.get_by_role("button", name="Stop after a look").click()
    assert mask.locator(".mv-canvas").is_hidden()  # a drawing would do nothing
    assert "Run makes no look after the chosen one" in mask.inner_text()
    mask.get_by_role("button", name="Cover this region").click()

    search = view(lab, "search")
    search.get_by_label("Text").fill("exit")
    lab.page.keyboard.press("Enter")
    search.get_by_text("a guess from a single word").wait_for()
    search.get_by_role("button", name="Rank 1,").click()
    opened = lab.view(1 + list(CELLS).index("search"), nth=1)
    assert "Every look, layer, head and query token" in opened.inner_text()

    multi = view(lab, "multi")
    bars = multi.locator("[data-bars]")
    before = bars.get_attribute("aria-label")
    multi.get_by_label("Head").select_option("1")
    assert bars.get_attribute("aria-label") != before

    assert "40 steps in this run" in view(lab, "monitor").inner_text()
    assert view(lab, "compare").is_visible()
    assert lab.wrong == []


def test_one_widget_shown_twice_is_one_state(lab):
    from playwright.sync_api import expect

    second = view(lab, "again")
    query(second).select_option("2")
    shown = position(second)
    first = view(lab, "explorer")
    expect(query(first)).to_have_value("2")
    assert position(first) == shown


def test_a_widget_leaves_another_of_its_kind_alone(lab):
    mask, compare = view(lab, "lab"), view(lab, "compare")
    before = position(compare)
    mask.get_by_text("Before against After").wait_for()
    query(mask).select_option("1")
    assert position(compare) == before
    assert query(compare).input_value() == "mean"


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_screenshots(lab, theme):
    lab.theme(theme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name in CELLS:
        found = view(lab, name)
        shot = SHOTS / f"{name}-{theme.lower()}.png"
        found.screenshot(path=shot)
        assert shot.stat().st_size > 5000
        ink = found.evaluate("e => getComputedStyle(e).color")
        assert (ink == "rgb(29, 33, 38)") == (theme == "Light")
    assert lab.wrong == []


def test_the_monitor_keeps_its_last_state_without_a_kernel(lab):
    before = view(lab, "monitor").inner_text()
    lab.menu("Kernel", "Shut Down Kernel")
    lab.page.get_by_text("Python 3 (ipykernel) | Unknown").or_(
        lab.page.get_by_text("No Kernel")
    ).first.wait_for()
    monitor = view(lab, "monitor")
    assert "40 steps in this run" in before and monitor.inner_text() == before
    assert monitor.locator(".mv-map").count() == 1


def test_make_lab_opens_a_copy_of_the_tour_at_the_project_s_root(browser, tmp_path):
    # `make test` has a make above this one, which would be said
    make = ["make", "--no-print-directory", "-n", "lab"]
    line = subprocess.run(make, cwd=ROOT, capture_output=True, text=True).stdout
    copy, lab = line.replace("\\\n", " ").splitlines()[-2:]
    assert copy.split()[-2:] == ["notebooks", "out/course"]
    assert main(["notebooks", str(ROOT / "out" / "course")]) == 0
    assert f'JUPYTER_CONFIG_PATH="{ROOT}/notebooks"' in lab  # as `started` sets it
    options = shlex.split(lab.partition("jupyter lab")[2])
    with started("jupyterlab", options, tmp_path) as address:
        (opens,) = (tmp_path / ".jupyter" / "runtime").glob("*file-to-run*.html")
        (path,) = re.findall(r'href="http://[^/]*/([^"?]*)', opens.read_text())
        page = browser.new_page()
        page.goto(address(path))
        page.locator(".jp-Notebook h1").first.wait_for()
        page.locator(".jp-DirListing-item", has_text="00_tour.ipynb").wait_for()
        page.locator(".jp-BreadCrumbs-home").click()
        page.locator(".jp-DirListing-item", has_text="pyproject.toml").wait_for()
        page.wait_for_timeout(2000)  # the question about news came a second after the rest
        assert page.locator(".Toastify__toast").count() == 0
        page.screenshot(path=SHOTS / "make-lab.png")
        page.close()
    kept = subprocess.run(["git", "check-ignore", "-q", "out/course"], cwd=ROOT)
    assert kept.returncode in (0, 128)  # git does not see it; 128: this is no checkout
