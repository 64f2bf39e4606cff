"""The report on images, end to end, with a tiny checkpoint of random weights."""

import json
import re

import nbformat
import pytest

from mstar import Trace
from mstar.explain.assignment import explain_words
from mstar.reports import image_report as steps
from mstar.reports.parameters import ImageReport
from mstar.widgets.picture import SCRIPT, STYLE

from .conftest import NASTY_NAME, NASTY_WORD, WORDS, ParsedPage


@pytest.fixture(scope="module")
def page(report) -> ParsedPage:
    return ParsedPage(report.html)


def test_it_prints_the_path_of_one_small_file(report):
    assert report.printed.strip() == str(report.folder / "report.html")
    assert (report.folder / "report.html").stat().st_size < 10_000_000
    names = {"report.html", "report.ipynb", "metrics.json", "trace"}
    assert {path.name for path in report.folder.iterdir()} == names


def test_it_loads_nothing_from_anywhere(report, page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, name)
    assert re.findall(r"""url\((?!data:)|@import|https?://(?!www\.w3\.org)""", report.html) == []


def test_script_and_style_come_once(report):
    assert report.html.count(STYLE) == report.html.count(SCRIPT) == 1
    assert report.html.index(STYLE) < report.html.index('class="mstar-view')
    assert report.html.rindex('class="mstar-view') < report.html.index(SCRIPT)


def test_every_picture_has_a_text_and_no_id_is_given_twice(page):
    pictures = [a for tag, a in page.tags if tag == "img" or a.get("role") == "img"]
    assert len(pictures) > 50
    assert all((a.get("alt") or a.get("aria-label") or "").strip() for a in pictures)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_no_code_is_shown(report):
    assert "ImageReport" not in report.html
    assert "jp-InputPrompt" not in report.html


def test_names_and_words_are_escaped(report, page):
    assert NASTY_NAME not in report.html and NASTY_WORD not in report.html
    assert not any(a.get("src") == "x" or "onerror" in a for _, a in page.tags)
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in report.html
    assert "alert(2)&lt;/script&gt;" in report.html


def test_metrics_and_traces_agree(report, tiny_checkpoint):
    metrics = json.loads((report.folder / "metrics.json").read_text(encoding="utf-8"))
    (image,) = metrics["images"]
    trace = Trace.load(report.folder / "trace" / "0")
    assert image["image"] == NASTY_NAME
    assert [look["look"] for look in image["looks"]] == [0, 1, 2]
    assert [row["text"] for row in image["queries"]] == [*WORDS[:3], "stop, go"]
    assert {row["of"] for row in image["queries"]} == {29}
    rows = explain_words(trace)
    for row, again in zip(image["queries"], rows, strict=True):
        assert (row["look"], row["query_token"]) == (again.look, again.query_token)
        assert row["value"] == pytest.approx(again.value)
    provenance = metrics["provenance"]
    assert provenance["command"].startswith("mstar report image --images ")
    assert provenance["settings"]["texts"] == [",".join(WORDS)]
    assert provenance["T"] == 2 and len(provenance["checkpoint sha256"]) == 64


def test_the_page_says_where_it_comes_from(report):
    metrics = json.loads((report.folder / "metrics.json").read_text(encoding="utf-8"))
    footer = report.html.rpartition("Where this page comes from")[2]
    assert metrics["provenance"]["checkpoint sha256"] in footer
    assert "pve_steps: default" in footer and "seed: 0" in footer and "torch 2." in footer
    assert set(metrics["headline"]) == {"ranked first", "median rank", "never attended"}
    assert metrics["headline"]["median rank"].endswith(" of 29")


def test_the_executed_notebook_has_no_error(report):
    notebook = nbformat.read(report.folder / "report.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(
        output.output_type == "error"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def test_the_samples_are_asked_for_their_own_labels(tiny_checkpoint):
    settings = ImageReport.checked({"checkpoint": str(tiny_checkpoint)})
    subjects = steps.subjects(settings)
    assert [subject.place for subject in subjects] == [0, 1, 2, 3]
    assert all({"word"} < {style for _, style in subject.queries} for subject in subjects)


def test_a_photograph_and_the_embedded_weights_come_with_a_warning():
    warned = steps.notes(ImageReport(images=["mine.jpg"], texts=["exit"]))
    (note,) = [picture.body for picture in warned]
    assert "checkpoint is small" in note and "mstar convert" in note
    assert steps.notes(ImageReport()) == []
    assert steps.notes(ImageReport(images=["mine.jpg"], checkpoint="released")) == []


def test_what_does_not_fit_into_the_page_is_left_out_and_said(tiny_checkpoint, monkeypatch):
    settings = ImageReport.checked(
        {"checkpoint": str(tiny_checkpoint), "texts": ["exit", "way out"]}
    )
    bench = steps.load(settings)
    (one,) = steps.study(settings, bench, steps.subjects(settings)[:1])
    whole = "".join(picture.body for picture in one.pictures())
    assert "Greedy against Hungarian" in whole and "Left out" not in whole
    monkeypatch.setattr(steps, "_BUDGET", 200_000)
    small = "".join(picture.body for picture in one.pictures())
    assert "The assignment view, to keep the page small" in small
    assert "Greedy against Hungarian" not in small


def test_a_report_on_tiles_says_which_tile_answered(photo, tiny_checkpoint, tmp_path):
    asked = {"images": [str(photo)], "texts": ["exit,way out"], "tiles": [1, 2]}
    asked |= {"checkpoint": str(tiny_checkpoint), "out": str(tmp_path / "out")}
    settings = ImageReport.checked(asked)
    assert "--tiles 1 2" in settings.command()
    bench = steps.load(settings)
    (one,) = steps.study(settings, bench, steps.subjects(settings))
    assert one.trace.boxes.shape == (1, 5, 4)
    word = one.evidence[0]
    whole = "".join(picture.body for picture in one.pictures())
    assert f"look {word.look}, tile {word.tile}, query token {word.query_token}" in whole
    assert "The maps of all 5 tiles are laid back onto the photograph" in whole
    made = steps.save(settings, bench, [one])
    assert made["tiles"] == "5, each of that size"
