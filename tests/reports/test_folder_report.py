"""The report that looks through many photographs, and ranks in a gallery of one's own."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from mstar import Gallery
from mstar.cli import __main__ as cli
from mstar.data.scenes import sandbox
from mstar.reports import folder_report, image_report
from mstar.reports.folder_parameters import FolderReport
from mstar.reports.parameters import ImageReport
from mstar.search.ranking import rank
from mstar.texts import Query
from mstar.widgets.picture import SCRIPT

from .conftest import Made, ParsedPage, run_report

NASTY = "11 <b>&.png"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Twelve photographs in a folder with one below it, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    (folder / "below").mkdir(parents=True)
    entries = []
    for i in range(12):
        scene = sandbox.scene(9, i, "test", sandbox.EASY)
        name = {0: "below/0.png", 11: NASTY}.get(i, f"{i}.png")
        Image.fromarray(scene.image).save(folder / name)
        words = [one.word for one in scene.regions]
        entries.append({"image": name, "text": words, "type": ["word"] * len(words)})
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (folder.parent / "list.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module")
def gallery(photos, tiny_checkpoint) -> str:
    folder = str(photos.parent / "mine")
    assert cli.main(["index", str(photos), folder, "--checkpoint", str(tiny_checkpoint)]) == 0
    return folder


@pytest.fixture(scope="module")
def looked(photos, tiny_checkpoint, tmp_path_factory) -> Made:
    out = tmp_path_factory.mktemp("out") / "folder"
    known = ["--known", str(photos.parent / "list.json"), "--checkpoint", str(tiny_checkpoint)]
    printed = run_report(["folder", "--images", str(photos), *known, "--out", str(out)])
    return Made(out, printed)


def test_a_folder_is_one_offline_page_that_names_what_it_leaves_out(looked):
    assert looked.printed.strip() == str(looked.folder / "report.html")
    assert {p.name for p in looked.folder.iterdir()} == {
        "report.html", "report.ipynb", "metrics.json",
    }  # fmt: skip
    page = ParsedPage(looked.html)
    (inside,) = [given["srcdoc"] for tag, given in page.tags if tag == "iframe"]
    for html in (looked.html, inside):
        for _, given in ParsedPage(html).tags:
            for name in ("src", "href", "srcset", "data", "action", "poster"):
                assert (given.get(name) or "data:").startswith(("data:", "#"))
        assert re.findall(r"url\((?!data:)|@import|https?://(?!www\.w3\.org)", html) == []
    assert "1 photograph could not be read and is left out" in looked.html
    assert "broken.jpg cannot be read as an image" in looked.html
    assert NASTY not in looked.html and NASTY not in inside
    assert inside.count("url(data:image/jpeg") <= 12 and looked.html.count(SCRIPT) == 1


def test_its_numbers_are_those_of_a_search(looked, photos, gallery):
    metrics = json.loads((looked.folder / "metrics.json").read_text(encoding="utf-8"))
    entries = json.loads((photos.parent / "list.json").read_text())
    shows = {entry["image"]: entry["text"] for entry in entries}
    words = sorted({word for texts in shows.values() for word in texts})
    rows = metrics["queries"]
    assert [(row["text"], row["style"]) for row in rows] == [(word, "word") for word in words]
    found = Gallery.open(gallery).search_many([Query(word, "word") for word in words], 3)
    for row, hits in zip(rows, found, strict=True):
        assert [hit["name"] for hit in row["hits"]] == [hit.name for hit in hits]
        assert row["right"] == (row["text"] in shows[hits[0].name])
    right = sum(row["right"] for row in rows)
    assert metrics["headline"]["first is right"] == f"{right} of {len(words)} texts"
    assert metrics["headline"]["photographs"] == "12"
    assert re.search(r"twenty texts at a time, \d\.\d MB", metrics["headline"]["what is shown"])
    assert list(metrics["unreadable"]) == ["broken.jpg"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_looked_through_inside_the_page(looked, open_page, scheme):
    for width in (390, 1200):
        opened = open_page(looked.folder / "report.html", scheme, width)
        assert opened.wrong == [] and opened.unreadable() == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    inside = opened.page.frame_locator("iframe")
    said = inside.locator("output")
    every = json.loads((looked.folder / "metrics.json").read_text(encoding="utf-8"))["queries"]
    assert said.inner_text().startswith(f"{len(every)} of {len(every)} texts, page 1 of ")
    assert inside.locator("section:visible").count() == min(20, len(every))
    inside.locator("[data-flag]").select_option("wrong")
    wrong = sum(not row["right"] for row in every)
    assert said.inner_text().startswith(f"{wrong} of {len(every)} texts")
    dark = inside.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_gallery_is_looked_through_as_it_is(gallery, photos, tiny_checkpoint):
    settings = FolderReport.checked({"gallery": gallery, "texts": "exit,phrase:way out"})
    assert settings.checkpoints == {"checkpoint": tiny_checkpoint}
    assert settings.folder.resolve() == photos.resolve()
    found = folder_report.look_through(settings)
    expected = Gallery.open(gallery).search_many(settings.queries(), 3)
    assert [hits for _, hits in found.shown.answers] == expected
    assert found.known is None and found.right(0) is None and found.images == 12
    assert "first is right" not in folder_report.headline(found)
    assert found.shown.page.count("<section") == 2 and "wrong answers" not in found.shown.page


def test_without_a_folder_it_shows_the_samples_and_their_words():
    settings = FolderReport.checked({})
    words = settings.queries()
    assert len(settings.texts_known()) == 28 and {style for _, style in words} == {"word"}
    assert settings.command() == "mstar report folder" and settings.uses_embedded
    assert image_report.notes(settings) == []
    mine = FolderReport(images="mine", texts=["exit"])
    assert "is small" in image_report.notes(mine)[0].body


def test_more_texts_than_a_page_has_room_for_are_refused(photos):
    texts = ",".join(f"w{i}" for i in range(1001))
    with pytest.raises(ValueError, match="at most 1000 texts; got 1001: name some of them"):
        FolderReport.checked({"images": str(photos), "texts": texts})


def studied(gallery: str, image: Path, **more) -> list[image_report.Study]:
    asked = {"images": [str(image)], "texts": ["exit", "combined:stop+go"], "gallery": gallery}
    settings = ImageReport.checked(asked | more)
    assert f"--gallery {gallery}" in settings.command()
    bench = image_report.load(settings)
    return image_report.study(settings, bench, image_report.subjects(settings))


def test_an_image_ranks_in_a_gallery_of_ones_own(gallery, photos, tmp_path):
    shutil.copy(photos / "below/0.png", tmp_path / "copy.png")
    for image in (photos / "below/0.png", tmp_path / "copy.png"):  # told by what is in it
        (one,) = studied(gallery, image)
        opened = Gallery.open(gallery)
        place = opened.names.index("below/0.png")
        scores = opened.scores(one.subject.queries)
        assert one.ranks == [rank(row, place) for row in scores]
        assert one.own == place and {r.total for r in one.ranks} == {12}
    other = sandbox.scene(77, 0, "test", sandbox.EASY).image
    Image.fromarray(other).save(tmp_path / "other.png")
    (one,) = studied(gallery, tmp_path / "other.png")
    own = one.trace["scores"].flatten()
    expected = [
        rank(torch.cat([row, own[n : n + 1]]), 12)
        for n, row in enumerate(opened.scores(one.subject.queries))
    ]
    assert one.ranks == expected and {r.total for r in one.ranks} == {13}
    page = "".join(picture.body for picture in one.pictures())
    assert "Where it ranks in the gallery mine" in page and "✓ marks" not in page
    assert "the sample gallery" not in page


def test_a_gallery_whose_photographs_are_gone_still_ranks(gallery, photos, tmp_path):
    shutil.copytree(photos.parent / "mine", tmp_path / "elsewhere")
    (one,) = studied(str(tmp_path / "elsewhere"), photos / "1.png")
    assert "Where it ranks in the gallery elsewhere" in one.pictures()[-1].body


def test_the_page_says_which_gallery(gallery, photos, tmp_path):
    asked = ["--images", str(photos / "1.png"), "--texts", "exit", "--gallery", gallery]
    run_report(["image", *asked, "--out", str(tmp_path / "out")])
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["provenance"]["the gallery mine"] == f"12 images in {gallery}"
    assert metrics["headline"]["median rank"].endswith(" of 12")
    assert "Where it ranks in the gallery mine" in (tmp_path / "out/report.html").read_text()
