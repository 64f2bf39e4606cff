"""All views in a real JupyterLab: they answer, and nothing warns or asks the network.

Screenshots are left in `out/screenshots`, light and dark.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "out" / "screenshots"

SETUP = """\
from PIL import Image
from mstar.checkpoints import load_checkpoint
from mstar.data import sandbox
from mstar.explain import NEEDED
from widgets import *

model, processor = load_checkpoint("CHECKPOINT")
scene = sandbox.scene(5, 12, "test", sandbox.EASY)
photo = Image.fromarray(scene.image)
texts, styles = list(scene.texts), list(scene.styles)
words = [(region.word, region.polygon) for region in scene.regions]
_, trace = model.run_with_trace(processor(images=[photo], text=texts, styles=styles), NEEDED)
"""
CELLS = {
    "explorer": "explorer = PveExplorer(trace, photo, words)\nexplorer",
    "inspector": "AssignmentInspector(trace, photo, texts, styles)",
    "multi": "MultiWordView(trace, photo, texts, styles)",
    "lab": "MaskLab(model, processor, photo, texts, styles)",
    "search": "SearchExplorer(model, processor, [photo] * 3, ['a', 'b', 'c'])",
    "compare": "Compare((trace, trace), (photo, photo), ('a', 'b'), texts, styles)",
    "monitor": "TrainingMonitor([photo])",
}


@pytest.fixture(scope="module")
def server(tiny_checkpoint, tmp_path_factory):
    """JupyterLab on a notebook with every view; yields its address."""
    folder = tmp_path_factory.mktemp("lab")
    work, settings = folder / "work", folder / "config" / "labconfig"
    work.mkdir()
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "default_setting_overrides.json").write_text(
        json.dumps({"@jupyterlab/apputils-extension:notification": quiet})
    )
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    sources = [SETUP.replace("CHECKPOINT", str(tiny_checkpoint)), *CELLS.values()]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, work / "views.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{k}_DIR": str(folder / k.lower()) for k in ("CONFIG", "DATA", "RUNTIME")}
    environment = {
        **os.environ, **places, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--IdentityProvider.token=test", f"--ServerApp.root_dir={work}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token=test", process, folder / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/views.ipynb?token=test"
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(url: str, process: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def lab(server, browser):
    """(page, complaints), every cell run."""
    context = browser.new_context(viewport={"width": 1300, "height": 1100})
    page, wrong = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on(
        "console",
        lambda said: wrong.append(said.text) if said.type in ("warning", "error") else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: _check(request.url, wrong))
    page.goto(server)
    page.locator(".jp-Notebook").wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # else the run is lost
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    page.locator(".mstar-view[data-kernel]").first.wait_for()
    yield page, wrong
    context.close()


def _check(url: str, wrong: list[str]) -> None:
    if not re.match(r"(https?|ws)://127\.0\.0\.1|data:|blob:", url):
        wrong.append(url)


def view(page, name: str):
    """The live view of a cell, in sight: JupyterLab takes off-screen cells out of the page."""
    cell = page.locator(".jp-CodeCell").nth(1 + list(CELLS).index(name))
    cell.scroll_into_view_if_needed()
    found = cell.locator(".mstar-view[data-kernel]").first
    found.wait_for()
    found.scroll_into_view_if_needed()
    return found


def position(part) -> str:
    return part.locator(".mv-panel .mv-map").first.evaluate("e => e.style.backgroundPosition")


def test_the_views_answer_in_jupyterlab(lab):
    page, wrong = lab
    explorer = view(page, "explorer")
    before = position(explorer)
    explorer.get_by_label("Step t").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert position(explorer) != before
    assert "look 2 of 2" in explorer.locator("output").first.inner_text()

    inspector = view(page, "inspector")
    before = position(inspector)
    inspector.get_by_role("gridcell").nth(5).click()
    assert position(inspector) != before
    assert "query 1 of look 1" in inspector.locator(".mv-facts").inner_text()

    mask = view(page, "lab")
    mask.get_by_role("button", name="Rectangle").click()
    box = mask.locator(".mv-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    page.mouse.up()
    mask.get_by_role("button", name="Run").click()
    mask.get_by_text("Before against After").wait_for()
    assert "tokens were covered" in mask.inner_text()

    search = view(page, "search")
    search.get_by_label("Text").fill("exit")
    page.keyboard.press("Enter")
    search.get_by_text("a guess from a single word").wait_for()

    for name in ("multi", "compare", "monitor"):
        assert view(page, name).is_visible()
    assert wrong == []


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_screenshots(lab, theme):
    page, wrong = lab
    page.evaluate(
        """theme => {
            document.body.dataset.jpThemeLight = String(theme === 'Light');
            document.body.dataset.jpThemeName = 'JupyterLab ' + theme;
        }""",
        theme,
    )
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name in CELLS:
        shot = SHOTS / f"{name}-{theme.lower()}.png"
        view(page, name).screenshot(path=shot)
        assert shot.stat().st_size > 5000
    assert wrong == []
