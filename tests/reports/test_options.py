"""The command line of a report is what its notebook declares."""

import ast
import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import papermill
import pytest

from mstar.cli import __main__ as cli
from mstar.reports import runner
from mstar.reports.options import Option, fits, options, said, title
from mstar.reports.parameters import AblationReport, ImageReport
from mstar.reports.table import REPORTS

FOLDER = Path(runner.__file__).parent


def test_every_notebook_is_in_the_table():
    assert {report.notebook for report in REPORTS.values()} >= set(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", REPORTS)
def test_the_notebook_declares_what_is_checked(name):
    report = REPORTS[name]
    found = {option.name: option for option in options(report.notebook)}
    kinds = get_type_hints(report.parameters)
    assert list(found) == [field.name for field in fields(report.parameters)]
    assert {name: option.default for name, option in found.items()} == vars(report.parameters())
    assert {name: option.kind for name, option in found.items()} == {n: kinds[n] for n in found}
    assert all(option.help for option in found.values())
    assert report.parameters.report == name
    # names that the command line has taken
    assert found.keys().isdisjoint({"report", "run", "sweep"})


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
    for option in options(REPORTS[name].notebook):
        assert f"--{option.name.replace('_', '-')}" in shown and option.about() in shown
    assert "--sweep NAME=V1,V2,…" in shown


def test_types_and_defaults_are_said_in_words():
    assert Option("steps", int | None, None, "T").about() == "T [a whole number; default: none]"
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
    ("source", "expected"),
    [
        ("steps = 3", "'steps = 3' is no `name: type = default`"),
        ("steps: int", "'steps: int' is no `name: type = default`"),
        ("images: list = []", "cannot be of type 'list'"),
        (None, "no cell tagged `parameters`"),
    ],
)
def test_a_line_that_says_no_type_or_default_is_refused(source, expected, tmp_path):
    notebook = tmp_path / "a.ipynb"
    cell = {"metadata": {"tags": ["parameters"]} if source else {}, "source": [source or ""]}
    notebook.write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ValueError, match=re.escape(expected)):
        options(notebook)


@pytest.mark.parametrize(
    "settings",
    [
        ImageReport(),
        ImageReport(
            images=["my photo.png"], words=["exit,way out", "-x"], steps=0, record=["pve.*"]
        ),
        AblationReport(seeds=[4, 5], mosaics=False, parent_steps=7, runs="a/b"),
    ],
)
def test_the_command_of_a_page_makes_it_again(settings, monkeypatch):
    asked = {}
    monkeypatch.setattr(runner, "make", lambda name, values: asked.update({name: values}))
    assert cli.main(shlex.split(settings.command())[1:]) == 0
    assert type(settings)(**asked[settings.report]) == settings
