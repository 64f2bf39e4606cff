"""Shared fixtures, who runs what where several processes do, and the time each group took."""

import os

# Read once, when torch and transformers are first imported; subprocesses inherit them.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # `make test` has a process for each core

import gc
import shutil
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _shared(variable: str, folder: str) -> Path:
    """The folder the environment names, else the one beside the project; skip without either."""
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / folder))
    if not path.is_dir():
        pytest.skip(f"no {folder} folder: set {variable} or put it at ../shared/{folder}")
    return path


@pytest.fixture(scope="session")
def golden_root() -> Path:
    """Golden vectors made with the reference implementation (not part of the repository)."""
    return _shared("MSTAR_GOLDEN", "golden")


@pytest.fixture(scope="session")
def photos_root() -> Path:
    """A few real scene photographs (not part of the repository)."""
    return _shared("MSTAR_PHOTOS", "photos")


CHROMIUM = next((p for name in ("chromium", "chromium-browser") if (p := shutil.which(name))), None)
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


# A canvas turns any colour that CSS can say into bytes. Texts over a photograph or a map, and
# what is switched off, have no contrast to hold.
UNREADABLE = """(root, below) => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const said = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!said || !element.checkVisibility()) continue;
    if (element.closest('style, script, :disabled')) continue;
    let behind = element;
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255)
      behind = behind.parentElement;
    const style = getComputedStyle(element);
    const ink = rgba(element.closest('svg') ? style.fill : style.color);
    const ground = behind ? rgba(getComputedStyle(behind).backgroundColor) : [255, 255, 255];
    const [a, b] = [light(ink.slice(0, 3)), light(ground.slice(0, 3))];
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < below) found.push(`${said.slice(0, 40)}: ${contrast.toFixed(1)}`);
  }
  return found;
}"""


class Opened:
    """A page with the network off, and everything it complained about or asked the network for."""

    def __init__(self, browser, file: Path, scheme: str, width: int):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        self.page, self.wrong = context.new_page(), []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("alert"), dialog.dismiss()))
        self.page.on("request", self._note)
        self.page.goto(file.as_uri())

    def unreadable(self, within: str = "body", below: float = 4.5) -> list[str]:
        """Visible texts whose contrast with what lies behind them is lower, after WCAG 2."""
        return self.page.locator(within).first.evaluate(UNREADABLE, below)

    def _note(self, request):
        if not request.url.startswith(("data:", "file:", "blob:")):
            self.wrong.append(request.url)


@pytest.fixture
def open_page(browser):
    """`open_page(file, scheme="light", width=1200)` -> `Opened`."""
    opened = []

    def open_file(file: Path, scheme: str = "light", width: int = 1200) -> Opened:
        opened.append(Opened(browser, file, scheme, width))
        return opened[-1]

    yield open_file
    for one in opened:
        one.page.context.close()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A folder with random weights, T = 2."""
    import torch

    from mstar import MstarConfig, MstarModel, MstarProcessor
    from mstar.io.processing import character_tokenizer

    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    config = MstarConfig.tiny(pve_steps=2)
    MstarModel(config).save_pretrained(folder)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny():
    """A bench: random weights, large enough that images and texts differ. Read only."""
    import torch

    from mstar import MstarConfig, MstarModel, MstarProcessor
    from mstar.io.bench import Bench
    from mstar.io.processing import character_tokenizer

    torch.manual_seed(1)
    config = MstarConfig.tiny(initializer_range=0.2)
    processor = MstarProcessor.for_config(config, character_tokenizer())
    return Bench(MstarModel(config).eval(), processor)


@pytest.fixture(scope="session")
def images():
    """Two images of noise, uint8 [48, 64, 3]."""
    import numpy as np

    return list(np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8))


@pytest.fixture
def inputs(tiny, images) -> dict:
    """Two images, two words and a phrase, for `tiny`."""
    styles = ["word", "word", "phrase"]
    return dict(tiny.processor(images=images, text=["exit", "way", "one way"], styles=styles))


#: Begun first, longest first: what is begun last has to be short, else one process waits for the
#: other. Measured; a file that is missing here costs balance and nothing else.
LONGEST = (
    "tests/notebooks/test_notebooks.py",
    "tests/reports",
    "tests/gpu/test_run.py",
    "tests/test_attribution.py",
    "tests/training/test_processes.py",
    "tests/training/test_trainer.py",
    "tests/test_localisation.py",
    "tests/data/test_street.py",
    "tests/widgets/test_jupyterlab.py",
    "tests/widgets/test_browser.py",
    "tests/test_cli_evaluate.py",
    "tests/ablation",
    "tests/training",
    "tests/test_distributed.py",
    "tests/test_processes.py",
    "tests/test_official.py",
)


def unit(nodeid: str) -> str:
    """What one process runs as a whole: a file, whose fixtures are then made once.

    Reports are looked at in several files, and making one takes longer than looking at it. Of the
    notebooks each has a kernel of its own.
    """
    file, test = nodeid.split("::", 1)
    if file.startswith("tests/reports/"):
        return "tests/reports"
    return file + test.partition("[")[2] if file.endswith("/test_notebooks.py") else file


def pytest_collection_modifyitems(items):
    def rank(item) -> int:
        starts = (n for n, name in enumerate(LONGEST) if item.nodeid.startswith(name))
        return next(starts, len(LONGEST))

    items.sort(key=rank)


def pytest_collection_finish():
    """What has been imported stays, and need not be gone through at every collection.

    Training collects before each of its stages, which in tests of seconds is a third of the time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return unit(nodeid)

    config.option.loadscopereorder = False  # by the number of tests, which says little here
    return Units(config, log)


_seconds: Counter[str] = Counter()
_tests: Counter[str] = Counter()


def pytest_runtest_logreport(report):
    # tests/widgets/test_x.py counts under tests/widgets, tests/test_x.py under its own name.
    group = "/".join(report.nodeid.split("::")[0].split("/")[:2])
    _seconds[group] += report.duration
    _tests[group] += report.when == "setup"


def pytest_terminal_summary(terminalreporter):
    if not _seconds:
        return
    terminalreporter.section("minutes by group")
    for group, seconds in _seconds.most_common():
        terminalreporter.write_line(f"{seconds / 60:6.2f} min  {_tests[group]:4d} tests  {group}")
    total = sum(_seconds.values())
    terminalreporter.write_line(f"{total / 60:6.2f} min  {sum(_tests.values()):4d} tests  all")
