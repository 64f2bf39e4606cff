"""`mstar report page`: the offline page of a notebook that papermill or somebody has run."""

import re

import nbformat
import pytest

from mstar.cli.__main__ import main
from mstar.widgets import notes

FIGURE = {"text/html": notes.heading("A picture").html, "text/plain": "Picture"}
LIVE = {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/plain": "View"}


def executed(tmp_path):
    """A notebook as papermill leaves one: parameters as given, prints, a view and its picture."""
    cell, output = nbformat.v4.new_code_cell, nbformat.v4.new_output
    given = cell("texts = 'exit'", metadata={"tags": ["injected-parameters"]})
    shown = [output("display_data", data=FIGURE), output("display_data", data=LIVE)]
    cells = [
        nbformat.v4.new_markdown_cell("# My <own> title\n\nSaid."),
        given,
        cell("print(1 < 2)", outputs=[output("stream", text="the answer: True\n")]),
        cell("view", outputs=shown),
    ]
    path = tmp_path / "run 7.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_any_notebook_becomes_a_page_with_its_code(tmp_path, capsys, open_page):
    path = executed(tmp_path)
    assert main(["report", "page", str(path)]) == 0
    assert capsys.readouterr().out == f"{path.with_suffix('.html')}\n"
    html = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "<title>run 7 – My &lt;own&gt; title</title>" in html
    opened = open_page(path.with_suffix(".html"))
    said = opened.page.locator("main").inner_text()
    for part in ("texts = 'exit'", "print(1 < 2)", "the answer: True", "A picture"):
        assert part in said
    assert "View" not in said, "the live view has its still picture"
    assert opened.wrong == []


def test_the_page_of_a_report_is_what_the_report_made(report, tmp_path):
    out = tmp_path / "again.html"
    assert main(["report", "page", str(report.folder / "report.ipynb"), "--out", str(out)]) == 0
    made = report.html
    again = out.read_text(encoding="utf-8")
    assert re.sub("<title>.*?</title>", "", again) == re.sub("<title>.*?</title>", "", made)
    assert "<title>report – What MSTAR looked at" in again


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "is no Jupyter notebook"),
        ('{"a": 1}', "is no Jupyter notebook"),
        (nbformat.writes(nbformat.v4.new_notebook()), "has no outputs: run it first"),
    ],
)
def test_what_was_not_run_is_refused(content, said, tmp_path, capsys):
    (tmp_path / "one.ipynb").write_text(content)
    assert main(["report", "page", str(tmp_path / "one.ipynb")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "one.html").exists()
