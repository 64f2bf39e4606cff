"""The reports on retrieval, end to end with the tiny checkpoint, on photographs with bad names."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from plotly.offline import get_plotlyjs

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.cli import __main__ as cli
from mstar.evaluate import spotters as peers
from mstar.io.processing import character_tokenizer
from mstar.reports import compare_report, retrieval_report
from mstar.reports.retrieval_parameters import CompareReport, RetrievalReport

from .conftest import NASTY_NAME, NASTY_WORD, ParsedPage, run_report


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Six photographs and three queries in MQTR's layout; names and texts are hostile."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "phrase/images").mkdir(parents=True)
    names = [NASTY_NAME, *(f"{i}.png" for i in range(5))]
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "phrase/images" / name)
    queries = {NASTY_WORD: names[:1], "way out": names[1:3], "speed limit": names[3:]}
    (folder / "phrase/text_queries.json").write_text(json.dumps(queries))
    return folder


@dataclass
class Page:
    folder: Path

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    @property
    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def retrieval(photos, tiny_checkpoint, tmp_path_factory) -> Page:
    folder = tmp_path_factory.mktemp("out") / "retrieval"
    run_report(
        ["retrieval", "--benchmark", "mqtr-phrase", "--folder", str(photos), "--peers", "random",
         "parts", "--checkpoint", str(tiny_checkpoint), "--out", str(folder)]
    )  # fmt: skip
    return Page(folder)


@pytest.fixture(scope="session")
def reordering(tmp_path_factory) -> Path:
    """A checkpoint of random weights whose re-ranking changes the ranking of `photos`."""
    folder = tmp_path_factory.mktemp("reordering")
    torch.manual_seed(2)
    config = MstarConfig.tiny(pve_steps=2, initializer_range=0.2)
    MstarModel(config).save_pretrained(folder)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def compare(photos, reordering, tmp_path_factory) -> Page:
    folder = tmp_path_factory.mktemp("out") / "compare"
    run_report(
        ["compare", "--benchmark", "mqtr-phrase", "--folder", str(photos), "--rerank",
         "--checkpoint", str(reordering), "--pve-steps", "2", "0", "--out", str(folder)]
    )  # fmt: skip
    return Page(folder)


@pytest.mark.parametrize("made", ["retrieval", "compare"])
def test_the_page_is_one_small_file_that_trusts_nothing(made, request):
    page = request.getfixturevalue(made)
    names = {path.name for path in page.folder.iterdir()}
    assert names == {"report.html", "report.ipynb", "metrics.json"}
    assert len(page.html) < 10_000_000
    assert NASTY_NAME not in page.html and NASTY_WORD not in page.html
    assert "alert(2)&lt;/script&gt;" in page.html
    if made == "retrieval":  # the file's name, in the text of its thumbnail
        assert "alert(1)&gt;" in page.html
    ours = page.html.replace(get_plotlyjs(), "")  # which names servers of maps that it never asks
    assert re.findall(r"""url\((?!data:)|@import|https?://(?!www\.w3\.org)""", ours) == []
    assert len(page.html) - len(ours) == len(get_plotlyjs())
    pictures = [a for _, a in ParsedPage(page.html).tags if a.get("role") == "img"]
    assert pictures and all((picture.get("aria-label") or "").strip() for picture in pictures)


def test_the_numbers_of_the_page_are_those_of_the_metrics(retrieval):
    metrics = retrieval.metrics
    ranked = metrics["sections"]["map"]
    assert [row["run"] for row in ranked if row["group"] == "phrase"] == [
        "MSTAR", "MSTAR, re-ranked", "without PVE (T = 0)", "without masks",
        "without instruction", "without multi-word branch", "random",
    ]  # fmt: skip
    assert metrics["headline"].keys() == {"MAP, phrase"}
    assert f">{metrics['headline']['MAP, phrase']}<" in retrieval.html
    queries = metrics["queries"]
    assert [query["text"] for query in queries] == [NASTY_WORD, "way out", "speed limit"]
    mean = np.mean([query["AP"]["MSTAR"] for query in queries])
    assert ranked[0]["map"]["value"] == pytest.approx(mean)
    made = metrics["provenance"]
    assert made["command"].startswith("mstar report retrieval --benchmark mqtr-phrase --folder ")
    assert made["T"] == 2 and len(made["checkpoint sha256"]) == 64
    for part in ("Queries that go worst", "What re-ranking changed", "Time", "Why: the first"):
        assert part in retrieval.html


def test_arms_are_paired_with_the_first(compare, reordering):
    metrics = compare.metrics
    name = reordering.name
    two, none = f"{name}, T = 2", f"{name}, T = 0"
    assert set(metrics["headline"]) == {f"{two}, MAP, phrase", f"{none}, MAP, phrase"}
    change = np.mean([query["AP"][none] - query["AP"][two] for query in metrics["queries"]])
    assert f"{change:+.1f} [".replace("-", "−") in compare.html
    assert f"Against {two}" in compare.html and "after re-ranking: --rerank" in compare.html
    assert "images/s" not in compare.html  # measured one after the other, it would not be fair
    assert "query by query" in compare.html


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
@pytest.mark.parametrize("made", ["retrieval", "compare"])
def test_it_opens_offline_at_any_width(made, scheme, width, request, open_page):
    page = request.getfixturevalue(made)
    opened = open_page(page.folder / "report.html", scheme, width)
    assert opened.page.locator("figure").count() >= 4 and opened.wrong == []
    assert opened.page.locator(".mv-plot").count() >= 2 and opened.unreadable() == []
    scrolled = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert scrolled[0] <= scrolled[1]


BAD = {
    "unknown benchmark": (["retrieval", "--benchmark", "svd"], "unknown benchmark 'svd'"),
    "no folder": (["retrieval", "--benchmark", "svt"], "svt needs the folder of its data set"),
    "a folder too many": (["compare", "--folder", "."], "is rendered and has no folder"),
    "missing data": (["retrieval", "--benchmark", "svt", "--folder", "{}"], "there is no"),
    "unknown peer": (["retrieval", "--peers", "orc"], "unknown peer 'orc'"),
    "missing peer": (["retrieval", "--peers", "tesseract"], "Tesseract is not installed"),
    "T": (["retrieval", "--pve-steps", "99"], "from 0 to 15; got 99"),
    "shown": (["compare", "--shown", "-1"], "shown must be from 0 to 20; got -1"),
    "seed": (["retrieval", "--seed", "-1"], "seed must be 0 or more; got -1"),
    "scenes": (["compare", "--scenes", "3"], "scenes must be 40 or more; got 3"),
    "kept": (["retrieval", "--kept", "{}/none/x"], "cannot be written"),
    "one arm": (
        ["compare", "--pve-steps", "1"],
        "two checkpoints or values of pve_steps",
    ),
    "twice": (["compare", "--pve-steps", "1", "1"], "pve_steps has an entry twice: 1, 1"),
    "no checkpoint": (["compare", "--checkpoint", "{}/none"], "there is no checkpoint folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_anything_runs(case, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    arguments, said = BAD[case]
    arguments = [argument.format(tmp_path) for argument in arguments]
    assert cli.main(["report", *arguments, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and printed.startswith("mstar: error: ") and "\n" not in printed
    assert not (tmp_path / "out").exists()


def test_the_embedded_weights_on_photographs_come_with_a_warning(tiny_checkpoint):
    (note,) = retrieval_report.notes(RetrievalReport(benchmark="icdar2003"))
    assert "2.1 M parameters" in note.body
    assert retrieval_report.notes(RetrievalReport()) == []
    assert (
        retrieval_report.notes(RetrievalReport(benchmark="svt", checkpoint=str(tiny_checkpoint)))
        == []
    )


def test_arms_are_models_by_steps(tiny_checkpoint):
    settings = CompareReport(checkpoint=["", str(tiny_checkpoint)], pve_steps=[])
    assert list(settings.arms()) == ["embedded, T = 1", f"{tiny_checkpoint.name}, T = 2"]
    assert list(CompareReport(checkpoint=["embedded"]).arms()) == [
        "embedded, T = 1",
        "embedded, T = 0",
    ]


@pytest.mark.parametrize("report", [compare_report, retrieval_report])
def test_a_photograph_that_cannot_be_read_is_left_out_and_named(
    report, photos, tiny_checkpoint, tmp_path
):
    folder = tmp_path / "own"
    shutil.copytree(photos, folder)
    (folder / "phrase/images/<b>.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    listing = folder / "phrase/text_queries.json"
    asked = json.loads(listing.read_text()) | {"gone": ["<b>.jpg"], "日本": ["1.png"]}
    listing.write_text(json.dumps(asked))
    values = {"benchmark": "mqtr-phrase", "folder": str(folder), "out": str(tmp_path / "out")}
    if report is compare_report:
        settings = CompareReport.checked(values | {"checkpoint": [str(tiny_checkpoint)]})
    else:
        settings = RetrievalReport.checked(values | {"checkpoint": str(tiny_checkpoint)})
    ranked = report.rank(settings)
    assert len(ranked.benchmark.images) == 6 and len(ranked.benchmark.queries) == 3
    note = report.numbers(ranked)[0].html
    assert "Left out: 1 photograph that cannot be read" in note
    assert "not asked, as the checkpoint&#39;s tokenizer cannot read them: &#39;日本&#39;" in note
    assert "phrase/images/&lt;b&gt;.jpg: " in note and "<b>.jpg" not in note
    (tmp_path / "out").mkdir()
    report.save(settings, ranked)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["left_out"]) == ["phrase/images/<b>.jpg"]
