"""How quick the views are, in a real JupyterLab: `python -m tests.measure_views`.

Prints a table. Events are real ones, sent through the browser; a time runs from the event's own
time stamp to the frame after the one that its handlers changed. Needs Chromium and Playwright.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from mstar.data.scenes import sandbox
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint
from mstar.training import Trainer, continued
from mstar.widgets import TrainingMonitor
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.jupyterlab import SETUP, Lab, served

CELLS = {
    "explorer": "explorer = PveExplorer(trace, words)\nexplorer",
    "inspector": "inspector = AssignmentInspector(trace)\ninspector",
    "multi": "multi = MultiWordView(trace)\nmulti",
    "lab": "lab = MaskLab(bench, photo, trace.queries)\nlab",
    "compare": "compare = Compare((trace, trace), 'ab')\ncompare",
    "search": "search = SearchExplorer(bench, [photo] * 12)\nsearch",
}
SIZES = """\
for view in (explorer, inspector, multi, lab, compare, search):
    html = (view.search if hasattr(view, "search") else view).picture.html
    print(f"SIZE {type(view).__name__} {len(html)}")"""

#: Notes in `window.paints` the time from each event of a kind to the frame its handlers changed.
WATCH = """name => {
    window.paints = [];
    window.watching?.abort();
    window.watching = new AbortController();
    document.addEventListener(name, event => requestAnimationFrame(() => {
        const frame = new MessageChannel();
        frame.port1.onmessage = () => window.paints.push(performance.now() - event.timeStamp);
        frame.port2.postMessage(0);
    }), {capture: true, signal: window.watching.signal});
}"""
#: Notes in `window.ran` the time from the next click to the view that the kernel sends for it.
WATCH_RUN = """() => {
    window.ran = null;
    document.addEventListener('click', event => {
        const root = event.target.closest('.mstar-view').parentElement;
        new MutationObserver((_, observer) => {
            observer.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(() => {
                window.ran = performance.now() - event.timeStamp;
            }));
        }).observe(root, {childList: true});
    }, {capture: true, once: true});
}"""


def main() -> None:
    setup = SETUP.replace("CHECKPOINT", str(embedded.checkpoint()))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        with served([setup, *CELLS.values(), SIZES], Path(folder)) as url:
            _print_all(Lab(browser, url))
        browser.close()
    _print_monitor()


def _print_all(lab: Lab) -> None:
    def view(name: str):
        found = lab.view(1 + list(CELLS).index(name))
        lab.page.wait_for_timeout(4000)  # after scrolling JupyterLab puts cells back into the page
        return found

    output = lab.page.locator(".jp-CodeCell").nth(1 + len(CELLS))
    output.scroll_into_view_if_needed()
    output.get_by_text("SIZE SearchExplorer").wait_for()  # the kernel has done with all cells
    sizes = [
        line.split()[1:] for line in output.inner_text().splitlines() if line.startswith("SIZE ")
    ]
    keys, mouse = lab.page.keyboard, lab.page.mouse
    print(
        f"{'from event to painted picture, ms':44} median   95 %   load of {os.cpu_count()} cores"
    )
    explorer = view("explorer")
    explorer.get_by_label("Look t").focus()
    _print_paints(
        lab, "explorer, step by arrow key", "keydown",
        lambda i: keys.press(("ArrowRight", "ArrowLeft")[i % 2]),
    )  # fmt: skip
    explorer.locator("select[data-chooses=query_token]").focus()
    _print_paints(
        lab, "explorer, query by arrow key", "keydown",
        lambda i: keys.press(("ArrowDown", "ArrowUp")[i // 7 % 2]),
    )  # fmt: skip
    cells = view("inspector").get_by_role("gridcell")
    count = cells.count()
    _print_paints(lab, "inspector, cell by click", "click", lambda i: cells.nth(i % count).click())

    mask = view("lab")

    def point(x: float, y: float) -> tuple[float, float]:
        canvas = mask.locator(".mv-canvas").bounding_box()
        return canvas["x"] + canvas["width"] * x, canvas["y"] + canvas["height"] * y

    mouse.move(*point(0.02, 0.02))
    mouse.down()
    _print_paints(
        lab, "mask lab, brush by mouse", "pointermove",
        lambda i: mouse.move(*point(0.05 + 0.09 * (i % 10), 0.05 + 0.09 * (i // 10))),
    )  # fmt: skip
    mouse.up()
    times = []
    for i in range(50):
        mouse.click(*point(0.05 + 0.09 * (i % 10), 0.55 + 0.09 * (i // 10)))
        lab.page.evaluate(WATCH_RUN)
        mask.get_by_role("button", name="Run").click()
        lab.page.wait_for_function("window.ran !== null")
        times.append(lab.page.evaluate("window.ran"))
    _print_row("mask lab, from Run to both runs painted", times)

    print("\nnotebook output of a widget, MB")
    for name, size in sizes:
        print(f"{name:44} {int(size) / 1e6:6.2f}")
    print(f"\nwarnings in the console and requests elsewhere: {lab.wrong or 'none'}")


def _print_paints(lab: Lab, name: str, event: str, act: Callable[[int], None]) -> None:
    lab.page.evaluate(WATCH, event)
    for i in range(50):
        act(i)
    lab.page.wait_for_timeout(300)
    _print_row(name, lab.page.evaluate("window.paints"))


def _print_row(name: str, times: list[float]) -> None:
    times = sorted(times)
    last = times[min(len(times) - 1, int(0.95 * len(times)))]
    print(
        f"{name:44} {statistics.median(times):6.0f} {last:6.0f}   {os.getloadavg()[0]:.1f}"
        f"   ({len(times)} events)"
    )


def _print_monitor(seconds: float = 150) -> None:
    """Its share of a real run: the sandbox model, trained on from the embedded checkpoint."""
    probes = [Image.fromarray(sandbox.scene(3, i, "test", sandbox.EASY).image) for i in range(4)]
    monitor = TrainingMonitor(probes)
    began = time.monotonic()

    class Enough(Exception):
        pass

    def callback(*step) -> None:
        monitor(*step)
        if time.monotonic() - began > seconds:
            raise Enough

    recipe = continued()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            load_checkpoint(embedded.checkpoint()),
            replace(recipe, stages=recipe.stages[1:]),
            folder,
            callback=callback,
        )
        with suppress(Enough):
            trainer.run()
    print(
        f"\ntraining monitor, 4 probe images: {monitor.share:.2%} of the time of "
        f"{monitor.curves['loss'][-1][0]:.0f} steps in {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
