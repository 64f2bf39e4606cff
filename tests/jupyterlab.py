"""JupyterLab in a real browser, for the test of the views and for the scripts that picture and
time them."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]

#: Loads the checkpoint and one run; `CHECKPOINT` is its folder.
SETUP = """\
from mstar import Query, load
from mstar.data.scenes import sandbox
from mstar.widgets import *

bench = load("CHECKPOINT")
scene = sandbox.scene(5, 12, "test", sandbox.EASY)
photo = scene.image
words = [(region.word, region.polygon) for region in scene.regions]
trace = bench.trace(photo, list(map(Query, scene.texts, scene.styles)))
"""


@contextmanager
def served(cells: Sequence[str], folder: Path) -> Iterator[str]:
    """The address of a JupyterLab of its own, open on a notebook with these cells.

    Args:
        folder: an empty one, for all that JupyterLab writes.
    """
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, folder / "views.ipynb")
    settings = [f"--ServerApp.root_dir={folder}"]
    with started("jupyterlab", settings, folder) as address:
        yield address("lab/tree/views.ipynb")


@contextmanager
def started(
    application: str, options: Sequence[str], folder: Path
) -> Iterator[Callable[[str], str]]:
    """`address(path)` of a Jupyter server of its own, with the settings of `make lab`.

    Args:
        application: `jupyterlab` or `notebook`.
        folder: for all that it writes beside notebooks; what an earlier one wrote is found again.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = folder / ".jupyter"
    kept.mkdir(exist_ok=True)
    places = {f"JUPYTER_{k}_DIR": str(kept / k.lower()) for k in ("CONFIG", "DATA", "RUNTIME")}
    environment = {
        **os.environ, **places, "IPYTHONDIR": str(kept / "ipython"), "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_PATH": str(ROOT / "notebooks"),
    }  # fmt: skip
    command = [
        sys.executable, "-m", application, "--no-browser", "--allow-root", f"--port={port}",
        "--IdentityProvider.token=test", *options,
    ]  # fmt: skip
    with (kept / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token=test", process, kept / "log")
            yield lambda path: f"http://127.0.0.1:{port}/{path}?token=test"
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


#: Whether Notebook's kernel is ready, which its page says of one that has not connected yet, too:
#: asked of the server, as what the page shows meanwhile may be gone before it is looked at.
_CONNECTED = """async () => {
    const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
    const kernels = await (await fetch(`${base}api/kernels`)).json();
    return kernels.some(one => one.connections > 0 && one.execution_state === "idle");
}"""


class Lab:
    """A page of JupyterLab, or of Notebook 7, with every cell run.

    Attributes:
        page: Playwright's.
        wrong: what the console complained about, and addresses elsewhere that were asked for.
    """

    def __init__(self, browser, url: str, height: int = 1100, run: bool = True):
        self.context = browser.new_context(viewport={"width": 1300, "height": height})
        self.page, self.wrong = self.context.new_page(), []
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(url)
        self.page.locator(".jp-Notebook").wait_for()
        # else the run is lost; before it connects, a kernel is said to be idle as well
        if "/lab/" in url:
            self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        else:
            self.page.wait_for_function(_CONNECTED)
        if run:
            self.run()

    def run(self) -> None:
        """Run every cell, and wait for the first view to be live."""
        self.menu("Run", "Run All Cells")
        self.page.locator(".mstar-view[data-kernel]").first.wait_for()

    def _said(self, message) -> None:
        if message.type in ("warning", "error"):
            self.wrong.append(message.text)

    def _asked(self, url: str) -> None:
        if not re.match(r"(https?|ws)://127\.0\.0\.1|data:|blob:", url):
            self.wrong.append(url)

    def menu(self, *path: str) -> None:
        """Choose an entry of the menu bar."""
        self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        for name in path[1:]:
            self.page.locator(".lm-Menu-item").get_by_text(name, exact=True).first.click()

    def theme(self, name: str) -> None:
        """`Light` or `Dark`."""
        if self.page.locator("body").get_attribute("data-jp-theme-name") == f"JupyterLab {name}":
            return
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.locator(f'body[data-jp-theme-name="JupyterLab {name}"]').wait_for(
            state="attached"
        )

    def view(self, cell: int, nth: int = 0):
        """A live view of a cell, in sight: JupyterLab takes off-screen cells out of the page."""
        code = self.page.locator(".jp-CodeCell").nth(cell)
        code.scroll_into_view_if_needed()
        found = code.locator(".mstar-view[data-kernel]").nth(nth)
        found.wait_for()
        found.scroll_into_view_if_needed()
        return found

    def close(self) -> None:
        self.context.close()
