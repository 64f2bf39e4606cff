"""One report made with the tiny checkpoint, and a sweep of a made-up one that fails in places."""

import contextlib
import io
import json
import shutil
import warnings
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from mstar.cli import __main__ as cli
from mstar.reports.table import REPORTS, Report

NASTY_NAME = "<img src=x onerror=alert(1)>&\"'.png"
NASTY_WORD = "</td><script>alert(2)</script>"
WORDS = ("exit", NASTY_WORD, "speed limit 25", "combined:stop+go")


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A user's own picture, wide, with a hostile name."""
    path = tmp_path_factory.mktemp("photos") / NASTY_NAME
    Image.linear_gradient("L").resize((300, 160)).convert("RGB").save(path)
    return path


class ParsedPage(HTMLParser):
    """What a page loads, shows and names."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@dataclass
class Made:
    folder: Path
    printed: str

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def report(tiny_checkpoint, photo, tmp_path_factory) -> Made:
    """`mstar report image` on one photograph, through the command line."""
    folder = tmp_path_factory.mktemp("out") / "report"
    arguments = ["--image", str(photo), "--texts", ",".join(WORDS), "--out", str(folder)]
    printed = run_report(["image", *arguments, "--checkpoint", str(tiny_checkpoint)])
    return Made(folder, printed)


def run_report(arguments: list[str]) -> str:
    """`mstar report …`, which has to succeed; what it prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("default")  # papermill and nbconvert warn about their own future
        assert cli.main(["report", *arguments]) == 0
    return output.getvalue()


NASTY_FOLDER = "<img src=x onerror=alert(3)>"
FAILS = """if "onerror" in checkpoint:
    raise ValueError("\\x1b[31mno <script>alert(4)</script>\\nsecond line")"""


@pytest.fixture(scope="session")
def made_up_report(tmp_path_factory) -> Report:
    """A quick report that has the parameters of `image` and can be made to fail."""
    image = json.loads(REPORTS["image"].notebook.read_text(encoding="utf-8"))
    (declared,) = [c for c in image["cells"] if "parameters" in c["metadata"].get("tags", [])]
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Made up & quick"},
        _code("".join(declared["source"]), tags=["parameters"]),
        _code(
            "import json, os, pathlib\n\nfrom IPython.display import HTML\n\nHTML('<p>kept</p>')"
        ),
        _code("if seed == 13:\n    os._exit(1)"),
        _code(FAILS),
        _code(
            "metrics = {'headline': {'answer': '<b>42</b>'}}\n"
            "pathlib.Path(out, '.making', 'metrics.json').write_text(json.dumps(metrics))"
        ),
        {"cell_type": "markdown", "metadata": {}, "source": "The end."},
    ]
    metadata = {"language_info": {"name": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    notebook = tmp_path_factory.mktemp("made-up") / "notebook.ipynb"
    notebook.write_text(json.dumps(content), encoding="utf-8")
    return Report(notebook, REPORTS["image"].parameters, 60)


@pytest.fixture
def made_up(made_up_report, monkeypatch) -> str:
    """Its name, for one test: the list of reports is one for all tests of a process."""
    monkeypatch.setitem(REPORTS, "made-up", made_up_report)
    return "made-up"


def _code(source: str, **metadata) -> dict:
    return dict(
        cell_type="code", metadata=metadata, source=source, outputs=[], execution_count=None
    )


@dataclass
class Swept:
    """A sweep over two checkpoints, of which the second has a hostile name and fails."""

    folder: Path
    good: Path
    bad: Path
    said: str

    @property
    def html(self) -> str:
        return (self.folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def swept(made_up_report, tiny_checkpoint, tmp_path_factory) -> Swept:
    folder, nasty = tmp_path_factory.mktemp("swept"), tmp_path_factory.mktemp("b") / NASTY_FOLDER
    shutil.copytree(tiny_checkpoint, nasty)
    good, bad = (
        folder / quote(f"checkpoint={path}", safe="=") for path in (tiny_checkpoint, nasty)
    )
    good.mkdir(), bad.mkdir()
    for path in (good / "failed.html", good / "failed.ipynb", bad / "report.html"):
        path.write_text("of an earlier run")
    arguments = ["--sweep", f"checkpoint={tiny_checkpoint},{nasty}", "--out", str(folder)]
    patch = pytest.MonkeyPatch.context()
    with patch as patched, warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
        patched.setitem(REPORTS, "made-up", made_up_report)
        warnings.simplefilter("default")
        cli.main(["report", "made-up", *arguments])
    return Swept(folder, good, bad, stopped.value.code)
