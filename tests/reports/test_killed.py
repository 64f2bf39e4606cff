"""A report that is stopped or killed, and folders whose names papermill would fill in."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mstar.cli import __main__ as cli
from mstar.files import MAKING
from mstar.reports import runner
from mstar.reports.table import REPORTS, Report

SCRIPT = """
import sys
sys.argv[0] = "mstar"
from pathlib import Path
from mstar.cli.__main__ import main
from mstar.reports.table import REPORTS, Report
REPORTS["image"] = Report(Path(sys.argv[1]), REPORTS["image"].parameters, 60)
sys.exit(main(["report", "image", "--out", *sys.argv[2:]]))
"""
SLOW = "import time\n\ntime.sleep(0.7)"
MADE = {"report.html", "report.ipynb", "metrics.json", "trace"}


@pytest.fixture
def slow(made_up_report, tmp_path) -> Path:
    """A notebook that takes a moment before and after it has written something."""
    content = json.loads(made_up_report.notebook.read_text(encoding="utf-8"))
    wait = dict(content["cells"][-2], source=SLOW)
    trace = dict(wait, source="path = pathlib.Path(out, '.making', 'trace')\npath.mkdir()\n"
                 "_ = (path / 'x').write_text('new')")  # fmt: skip
    content["cells"][-2:] = [wait, trace, content["cells"][-2], wait]
    notebook = tmp_path / "slow.ipynb"
    notebook.write_text(json.dumps(content), encoding="utf-8")
    return notebook


def held(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*")
            if p.is_file() and MAKING not in p.parts}  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "how", "there"),
    [
        ("", signal.SIGTERM, True),
        (".lock", signal.SIGTERM, False),
        ("report.ipynb", signal.SIGTERM, True),
        ("report.ipynb", signal.SIGKILL, True),
        ("trace/x", signal.SIGINT, False),
        ("trace/x", signal.SIGKILL, False),
        ("metrics.json", signal.SIGTERM, True),
        ("metrics.json", signal.SIGKILL, True),
    ],
)
def test_a_report_killed_at_any_moment(slow, tmp_path, moment, how, there):
    out = tmp_path / "out"
    if there:
        (out / "trace").mkdir(parents=True)
        for name in (MADE - {"trace"}) | {"trace/x"}:
            (out / name).write_text("old")
    before = held(out)
    command = [sys.executable, "-c", SCRIPT, str(slow), str(out)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while run.poll() is None and not (moment and (out / MAKING / moment).exists()):
        if not moment and "mstar" in Path(f"/proc/{run.pid}/cmdline").read_text():
            time.sleep(1)
            break
        time.sleep(0.01)
    run.send_signal(how)
    said = run.communicate()[1]
    assert held(out) == before
    if how != signal.SIGKILL:
        if moment:
            assert run.returncode == 130 and "stopped; what was finished is kept" in said
            assert out.exists() == there and not (out / MAKING).exists()
        assert "Traceback" not in said


def test_the_next_report_puts_in_order_what_a_killed_one_left(slow, tmp_path):
    out = tmp_path / "out"
    (out / MAKING / "old").mkdir(parents=True)
    (out / MAKING / "report.html").write_text("new")
    (out / MAKING / "old" / "metrics.json").write_text("old")
    (out / "metrics.json").write_text("new")
    command = [sys.executable, "-c", SCRIPT, str(slow), str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        while not (out / MAKING / "report.ipynb").exists():
            assert run.poll() is None
            time.sleep(0.01)
        assert held(out) == {"metrics.json": "old"}
    assert run.returncode == 0 and {path.name for path in out.iterdir()} == MADE


BRACES = ("{", "}", "a{b}", "{0}{out}", "{seed!x}", "{{}}")


@pytest.mark.parametrize("name", BRACES)
@pytest.mark.filterwarnings("default")
def test_braces_in_a_path(made_up, tiny_checkpoint, photo, tmp_path, monkeypatch, name):
    """Of the package, of what goes in and of what comes out."""
    package, given = tmp_path / f"package{name}", tmp_path / f"given{name}"
    package.mkdir(), given.mkdir()
    report = REPORTS[made_up]
    (package / report.notebook.name).write_bytes(report.notebook.read_bytes())
    monkeypatch.setitem(
        REPORTS, made_up, Report(package / report.notebook.name, report.parameters, 60)
    )
    os.symlink(tiny_checkpoint, given / name)
    (given / f"{name}.png").write_bytes(photo.read_bytes())
    values = {
        "checkpoint": str(given / name),
        "images": [str(given / f"{name}.png")],
        "texts": ["exit"],
    }
    page = runner.make(made_up, values | {"out": str(tmp_path / name / name)}, progress=False)
    assert page == tmp_path / name / name / "report.html" and page.is_file()
    assert {path.name for path in page.parent.iterdir()} == MADE - {"trace"}


@pytest.mark.filterwarnings("default")
def test_braces_on_the_command_line(made_up_report, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(REPORTS, "image", made_up_report)
    out = tmp_path / "{a}{0}"
    assert (
        cli.main(["report", "image", "--checkpoint", str(tiny_checkpoint), "--out", str(out)]) == 0
    )
    assert (out / "report.html").is_file()
