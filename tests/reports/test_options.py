"""The command line of a report is what its notebook declares."""

import ast
import json
import shlex
import subprocess
import sys
from pathlib import Path

import papermill
import pytest

from mstar.cli import __main__ as cli
from mstar.reports import runner
from mstar.reports.options import Option, cell, fits, options, said, title
from mstar.reports.parameters import AblationReport, ImageReport
from mstar.reports.table import REPORTS

FOLDER = Path(runner.__file__).parent


def test_every_notebook_is_in_the_table():
    assert {report.notebook for report in REPORTS.values()} >= set(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", REPORTS)
def test_the_notebook_s_cell_is_what_the_dataclass_declares(name):
    """`options.cell` of the dataclass, to the letter: names, types, defaults, comments."""
    parameters = REPORTS[name].parameters
    notebook = json.loads(REPORTS[name].notebook.read_text(encoding="utf-8"))
    tagged = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    assert ["".join(one["source"]) for one in tagged] == [cell(parameters)]
    after = "".join(notebook["cells"][notebook["cells"].index(tagged[0]) + 1]["source"])
    assert f"settings = {parameters.__name__}.of_notebook(globals())" in after
    found = options(parameters)
    assert {one.name: one.default for one in found} == vars(parameters())
    assert all(one.help and len(line) <= 100
               for one, line in zip(found, cell(parameters).splitlines(), strict=True))  # fmt: skip
    assert parameters.report == name
    # names that the command line has taken
    assert {one.name for one in found}.isdisjoint({"report", "run", "sweep"})


def test_a_notebook_s_globals_are_checked_and_the_rest_passed_over():
    given = vars(ImageReport()) | {"display": print, "pve_steps": 1}
    assert ImageReport.of_notebook(given) == ImageReport(pve_steps=1)
    with pytest.raises(ValueError, match="pve_steps must be a whole number or None; got '1'"):
        ImageReport.of_notebook(given | {"pve_steps": "1"})
    assert ImageReport().images is not ImageReport().images, "a list of its own each"


@pytest.mark.parametrize("name", REPORTS)
def test_papermill_reads_the_same(name):
    inspected = papermill.inspect_notebook(REPORTS[name].notebook)
    defaults = {name: ast.literal_eval(one["default"]) for name, one in inspected.items()}
    assert defaults == vars(REPORTS[name].parameters())


@pytest.mark.parametrize("name", REPORTS)
def test_help_lists_them_with_types_and_defaults(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", name, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert title(REPORTS[name].notebook) in shown
    for option in options(REPORTS[name].parameters):
        assert f"--{option.name.replace('_', '-')}" in shown and option.about() in shown
    assert "--sweep NAME=V1,V2,…" in shown


def test_types_and_defaults_are_said_in_words():
    assert Option("pve_steps", int | None, None, "T").about() == "T [a whole number; default: none]"
    assert Option("a", bool, True, "x").about() == "x [true or false; default: true]"
    assert Option("a", list[int], [1, 2], "x").about() == (
        "x [a list of whole numbers; default: 1 2]"
    )
    assert Option("a", float, 0.5, "x").about() == "x [a number; default: 0.5]"
    assert said(int | None) == "a whole number or None"


def test_help_needs_neither_torch_nor_papermill():
    code = (
        "import sys, mstar.cli.__main__\n"
        "try: mstar.cli.__main__.main(['report', 'image', '--help'])\n"
        "except SystemExit: print('LOADED', *sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=FOLDER.parent
    )
    loaded = set(run.stdout.partition("LOADED ")[2].split())
    assert loaded.isdisjoint({"torch", "transformers", "papermill", "nbformat", "widgets"})
    assert "mstar.reports.options" in loaded


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, float, True),
        (1.5, float, True),
        (True, float, False),
        (1.0, int, False),
        (True, int, False),
        (None, int | None, True),
        (None, int, False),
        ([1, 2], list[int], True),
        ([1, "2"], list[int], False),
        ([1, 2.5], list[float], True),
    ],
)
def test_what_fits(value, kind, expected):
    assert fits(value, kind) is expected


@pytest.mark.parametrize(
    "settings",
    [
        ImageReport(),
        ImageReport(
            images=["my photo.png"], texts=["exit,way out", "-x"], pve_steps=0, record=["pve.*"]
        ),
        AblationReport(seeds=[4, 5], mosaics=False, parent_steps=7, runs="a/b"),
    ],
)
def test_the_command_of_a_page_makes_it_again(settings, monkeypatch):
    asked = {}
    monkeypatch.setattr(runner, "make", lambda name, values: asked.update({name: values}))
    assert cli.main(shlex.split(settings.command())[1:]) == 0
    assert type(settings)(**asked[settings.report]) == settings
