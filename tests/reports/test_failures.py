"""Reports that fail, alone and in a sweep, through the real papermill with a made-up notebook."""

import re
import warnings
from urllib.parse import unquote

import papermill
import pytest

from mstar.cli import __main__ as cli
from mstar.reports import runner, sweep as sweeping

from .conftest import NASTY_FOLDER


def test_a_failed_report_keeps_what_it_had_and_says_why(swept):
    html = (swept.bad / "failed.html").read_text(encoding="utf-8")
    why = "⚠ The report failed in cell 5 with ValueError: no &lt;script&gt;alert(4)&lt;/script&gt;."
    places = [
        html.index(part)
        for part in (
            "<h1>This report failed</h1>",
            why,
            "if &#34;onerror&#34; in checkpoint:",
            "Traceback (most recent call last)",
            "second line</pre>",
            "What had been made",
            "Made up &amp; quick<a",
            "<p>kept</p>",
            "Where this page comes from",
        )
    ]
    assert places == sorted(places)
    assert "The end." not in html and "\x1b" not in html
    assert "<script>alert" not in html and NASTY_FOLDER not in html
    footer = html.rpartition("Where this page comes from")[2]
    assert "seed: 0" in footer and "checkpoint sha256" in footer
    assert {path.name for path in swept.bad.iterdir()} == {
        "failed.html", "failed.ipynb", "report.html"
    }  # fmt: skip
    assert (swept.bad / "report.html").read_text() == "of an earlier run"


def test_a_success_removes_what_an_earlier_failure_left(swept):
    assert {path.name for path in swept.good.iterdir()} == {
        "report.html", "report.ipynb", "metrics.json"
    }  # fmt: skip
    html = (swept.good / "report.html").read_text(encoding="utf-8")
    assert "<p>kept</p>" in html and "The end." in html and "onerror" not in html


def test_the_index_has_a_link_and_the_numbers_of_each_report(swept):
    html = swept.html
    assert "Made up &amp; quick</h1>" in html
    links = [unquote(link) for link in re.findall(r'<a href="([^"]+)"', html)]
    assert links == [f"{swept.good.name}/report.html", f"{swept.bad.name}/failed.html"]
    assert 'data-label="answer">&lt;b&gt;42&lt;/b&gt;</td>' in html
    assert "⚠ the report failed in cell 5 with ValueError: no &lt;script&gt;" in html
    assert "<script>alert" not in html and "<img" not in html and "https://" not in html
    footer = html.rpartition("Where this page comes from")[2]
    assert "--sweep" in footer and "seed: 0" in footer
    assert footer.count("checkpoint sha256") == 1  # the weights are the same
    assert html.count("&lt;img src=x onerror=alert(3)&gt;") == 2  # in the table and the command


def test_a_sweep_with_a_failure_ends_with_a_sentence(swept):
    index = swept.folder / "index.html"
    assert swept.said == f"mstar: error: 1 of 2 reports failed; see {index}."


def test_a_kernel_that_dies_leaves_the_cell_it_died_in(made_up, tiny_checkpoint, tmp_path):
    values = {"checkpoint": str(tiny_checkpoint), "seed": 13, "out": str(tmp_path)}
    with warnings.catch_warnings(), pytest.raises(runner.ReportFailed) as caught:
        warnings.simplefilter("default")
        runner.make(made_up, values, progress=False)
    page = tmp_path / "failed.html"
    assert caught.value.page == page and str(caught.value).endswith(f"; see {page}.")
    assert "with DeadKernelError: Kernel died" in caught.value.why
    html = page.read_text(encoding="utf-8")
    assert "os._exit(1)" in html and "<p>kept</p>" in html and "onerror" not in html


def test_without_any_cell_run_there_is_no_page(made_up, tiny_checkpoint, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no kernel today.\nAt all.")

    monkeypatch.setattr(papermill, "execute_notebook", fail)
    (tmp_path / "failed.html").write_text("of an earlier run")
    values = {"checkpoint": str(tiny_checkpoint), "out": str(tmp_path)}
    with pytest.raises(runner.ReportFailed) as caught:
        runner.make(made_up, values)
    said = "the report failed with RuntimeError: no kernel today; nothing had run."
    assert str(caught.value) == said and caught.value.page is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("stepz=1,2", "unknown report parameter 'stepz'; there is pve_steps"),
        ("pve_steps=0,x", "pve_steps must be a whole number; got 'x'"),
        ("pve_steps", "a sweep is NAME=V1,V2,… with no value empty; got 'pve_steps'"),
        ("pve_steps=", "with no value empty; got 'pve_steps='"),
        ("pve_steps=0,,1", "with no value empty"),
        ("pve_steps=1,01", "takes each value once; got 'pve_steps=1,01'"),
        ("pve_steps=0,99", "pve_steps (T) must be from 0 to 15; got 99"),
        ("texts=exit,way", "texts cannot be swept: it takes a list"),
        ("out=a,b", "out cannot be swept: each report has a folder of its own in it"),
        ("seed=1,2", "seed is swept: it takes no other value beside that"),
        ("checkpoint=<script>,b", "there is no checkpoint folder <script>"),
    ],
)
def test_a_wrong_sweep_runs_nothing(asked, expected, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--sweep", asked, "--seed", "3", "--out", str(out)]
    if not asked.startswith("checkpoint"):
        arguments += ["--checkpoint", str(tiny_checkpoint)]
    assert cli.main(["report", "image", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said and said.startswith("mstar: error: ") and "\n" not in said
    assert not out.exists()


def test_each_experiment_of_a_sweep_has_its_own_runs(tmp_path, monkeypatch):
    made = []

    def make(name, values, progress):
        made.append(values)
        raise ValueError("the runs are gone.")

    monkeypatch.setattr(sweeping, "make", make)
    values = {"runs": str(tmp_path / "runs"), "out": str(tmp_path / "out"), "seeds": [5]}
    with pytest.raises(runner.ReportFailed, match="2 of 2 reports failed"):
        sweeping.sweep("ablation", values, "parent-steps=1,2", progress=False)
    assert [(one["parent_steps"], one["runs"], one["out"]) for one in made] == [
        (n, f"{tmp_path}/runs/parent_steps={n}", f"{tmp_path}/out/parent_steps={n}") for n in (1, 2)
    ]
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    command = f"mstar report ablation --seeds 5 --runs {tmp_path}/runs --sweep parent-steps=1,2"
    assert command in html and html.count("⚠ the runs are gone<") == 2 and "<a " not in html


def test_a_report_stopped_from_the_keyboard_leaves_nothing(tmp_path, monkeypatch, capsys):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", stopped)
    out = tmp_path / "out"
    assert cli.main(["report", "image", "--out", str(out)]) == 130
    assert not out.exists() and "stopped" in capsys.readouterr().err
    out.mkdir()
    (out / "report.html").write_text("of an earlier run")
    assert cli.main(["report", "image", "--out", str(out)]) == 130
    assert [path.name for path in out.iterdir()] == ["report.html"]
