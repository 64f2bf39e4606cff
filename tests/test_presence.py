"""Where an answer stands, and how likely it is there."""

import json
import shutil
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from PIL import Image

from mstar import Gallery, Workbench, load
from mstar.cli.__main__ import main
from mstar.data.benchmarks import load as benchmark
from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.experiments.presence import box, calibrate, overlap, presence
from mstar.explain.regions import around, region
from mstar.io.bench import Bench
from mstar.io.embedded import ASSETS
from mstar.search.presence import PRESENCE, Presence, absent, locate
from mstar.texts import Query
from mstar.widgets import LookThrough

MEASURED = Presence({"word": (10.0, -5.0)}, {"photographs": 107})


def test_a_region_is_the_part_around_the_largest_value():
    values = np.zeros((10, 20))
    values[2:4, 5:9], values[2, 6], values[8, 1] = 1, 1.5, 1.2
    found = around(values, (0.5, 0, 1, 1))
    assert found.box == pytest.approx(
        (0.5 + 0.5 * 4 / 20, 0.1, 0.5 + 0.5 * 10 / 20, 0.5), abs=0.051
    )
    assert (found.x, found.y) == pytest.approx((0.5 + 0.5 * 6.5 / 20, 0.25))
    assert found.bottom < 0.8  # what is apart from it does not count


def test_on_rendered_scenes_regions_lie_on_their_words():
    """The embedded checkpoint has learnt to look: far from chance, on scenes that chose nothing."""
    bench, hits, overlaps, chance = load(), [], [], []
    for index in range(12):
        scene = sandbox.scene(4321, index, "test", sandbox.EASY)
        size = scene.image.shape[:2]
        words = [Query(one.word, "word") for one in scene.regions]
        trace = bench.trace(scene.image, words)
        for number, one in enumerate(scene.regions):
            place = box(np.asarray(one.polygon), size)
            found = region(trace, int(trace["mim.similarity"][0, number].argmax()))
            hits.append(place[0] <= found.x <= place[2] and place[1] <= found.y <= place[3])
            overlaps.append(overlap(found.box, place))
            chance.append((place[2] - place[0]) * (place[3] - place[1]))
    assert np.mean(hits) > 0.8 and np.mean(overlaps) > 0.35 > 3 * np.mean(chance)


def test_a_larger_gallery_doubts_more():
    alone, many = (MEASURED.probability(0.9, "word", images) for images in (1, 100))
    assert alone == pytest.approx(1 / (1 + exp(-4))) and many < 0.5 < alone
    assert MEASURED.probability(0.9, "word", 100) == pytest.approx(1 / (1 + exp(-(4 - log(100)))))
    assert MEASURED.probability(0.9, "phrase") is None
    assert MEASURED.tells("word", 100) and not MEASURED.tells("word", 200)
    assert absent([0.2, None, 0.49]) and absent([0.5, 0.1]) is False and absent([None]) is None


def test_numbers_belong_to_their_weights(tiny_checkpoint, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    assert Presence.of(folder) is None
    MEASURED.save(folder)
    assert Presence.of(folder) == MEASURED
    assert load(folder).config.pve_steps == 2  # a checkpoint as before
    other = json.loads((folder / PRESENCE).read_text()) | {"checkpoint": "of others"}
    (folder / PRESENCE).write_text(json.dumps(other))
    assert Presence.of(folder) is None
    (folder / PRESENCE).write_text('{"styles": {"word": [1]}}')
    with pytest.raises(UserError, match="make it anew with `mstar calibrate`"):
        Presence.of(folder)


def test_the_embedded_checkpoint_has_its_own():
    found = Presence.of(ASSETS / "checkpoint")
    assert found.styles["word"][0] > 0 and found.about["photographs"] > 100


@pytest.fixture
def own(tmp_path):
    """200 photographs and a list of their words."""
    entries = []
    for number in range(200):
        entries.append({"image": f"{number}.png", "text": [f"word{number % 50}"], "type": ["word"]})
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    path = tmp_path / "list.json"
    path.write_text(json.dumps(entries))
    return str(path), str(tmp_path)


def test_calibration_gives_back_what_made_the_cosines(own, tiny, monkeypatch):
    """Cosines of two bells of equal width: the log odds are a line that can be worked out."""
    rng = np.random.default_rng(0)

    def scores(bench, images, queries, pve_steps, batch_size):
        words = [f"word{int(path.stem) % 50}" for path in images]
        there = np.array([[query.text == word for word in words] for query in queries])
        return rng.normal(np.where(there, 0.7, 0.4), 0.1)

    monkeypatch.setattr(Bench, "scores", scores)
    found = calibrate(tiny, (own,))
    slope, intercept = found.styles["word"]
    assert slope == pytest.approx(0.3 / 0.1**2, rel=0.4)
    assert -intercept / slope == pytest.approx(0.55, abs=0.03)
    assert found.about["photographs"] > 10
    with pytest.raises(UserError, match="needs ten photographs that judge"):
        calibrate(tiny, _shorter(own))


def _shorter(own):
    path, root = own
    short = path.replace("list.json", "short.json")
    with open(path) as whole, open(short, "w") as part:
        json.dump(json.load(whole)[:30], part)
    return ((short, root),)


def test_the_evaluation_counts_what_is_there(tiny):
    rendered = benchmark("sandbox-easy", None, 3, 40)
    sure = presence(tiny, rendered, Presence({"word": (0.0, 50.0)}))
    never = presence(tiny, rendered, Presence({"word": (0.0, -50.0)}))
    alarms = "words that are nowhere, said to be found (false alarms)"
    assert sure["absence"][alarms]["share"].value == 100
    assert never["absence"][alarms]["share"].value == 0
    bins = sure["reliability"]["80 to 100 %"]
    assert bins["said"] == pytest.approx(100) and bins["there"] == pytest.approx(50)
    assert sure["reliability"]["mean gap"]["there"] == pytest.approx(50)
    places = sure["places"]["IoU of the region with the word"]
    assert 0 <= places["model"].value <= 100 and 0 < places["chance"].value < 50


def test_hits_are_located_and_what_is_gone_is_not():
    bench, photos = load(), [sandbox.scene(9, i, "test", sandbox.EASY) for i in range(3)]
    word = photos[1].regions[0]
    gallery = Gallery.embed(bench, [scene.image for scene in photos])
    query = Query(word.word, "word")
    hits = gallery.search(query, k=3)
    hits = sorted(hits, key=lambda hit: hit.image != 1)  # the photograph that has the word
    first, *_ = found = locate(gallery, query, hits, MEASURED)
    assert [one.hit for one in found] == hits
    place = box(np.asarray(word.polygon), photos[1].image.shape[:2])
    assert overlap(first.region.box, place) > 0.2
    assert first.presence == MEASURED.probability(hits[0].cosine, "word", 3)
    (gone,) = locate(_Lost(gallery), query, hits[:1])
    assert gone.photo is None and gone.region is None and gone.presence is None


class _Lost:
    """A gallery whose photographs were deleted."""

    class _Nothing:
        def __getitem__(self, index):
            raise FileNotFoundError("gone")

    def __init__(self, gallery):
        self.bench, self.images = gallery.bench, self._Nothing()
        self.pve_steps, self.tiles = gallery.pve_steps, gallery.tiles

    def __len__(self):
        return 3


def test_a_page_shows_photographs_with_their_regions(tmp_path, tiny_checkpoint, capsys):
    photos, checkpoint = tmp_path / "photos", tmp_path / "checkpoint"
    photos.mkdir()
    shutil.copytree(tiny_checkpoint, checkpoint)
    for i in range(3):
        scene = sandbox.scene(9, i, "test", sandbox.EASY)
        Image.fromarray(scene.image).save(photos / f"{i} <b>.png")
    assert main(["index", str(photos), str(tmp_path / "g"), "--checkpoint", str(checkpoint)]) == 0
    search = ["search", str(tmp_path / "g"), "exit", "phrase:way out", "--page"]
    assert main([*search, str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count('role="img" aria-label=') == page.count('<i style="left:') == 6
    assert page.count("url(data:image/jpeg") == 3  # each photograph once
    assert "&lt;b&gt;" in page and "<b>.png" not in page and "http" not in page
    assert "not measured for this checkpoint" in page and "No photograph shows it" not in page
    replace(MEASURED, styles={"word": (0.0, -9.0)}).save(checkpoint)  # whatever the cosine
    assert main([*search, str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "No photograph shows it" not in page and "is too unsure to" in page
    replace(MEASURED, styles={"word": (99.0, -97.0)}).save(checkpoint)
    assert main([*search, str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("No photograph shows it") == 1 and "0 %</b> there" in page
    capsys.readouterr()
    assert main([*search[:2], "--page", "x.html"]) == 2
    assert "--page shows the answers to queries: name one." in capsys.readouterr().err


def test_a_notebook_can_look_through_a_gallery(tiny, tmp_path, open_page):
    photos = [sandbox.scene(9, i, "test", sandbox.EASY) for i in range(3)]
    gallery = Gallery.embed(tiny, [scene.image for scene in photos], ["a", "b", "<i>c"])
    known = {"a": ["Exit", "open"], "b": ["stop", "way out"]}
    shown = LookThrough(gallery, known=known, presence=MEASURED, top=2)
    assert shown.page.count("<section") == 3  # its words; a text of several is asked for by name
    assert LookThrough(gallery, ["phrase:way out"], known).page.count("✓</b>") <= 1
    (tmp_path / "notebook.html").write_text(f"<meta charset=utf-8>{shown._repr_html_()}")
    inside = open_page(tmp_path / "notebook.html").page.frame_locator("iframe")
    inside.locator("[data-words]").fill("exit")
    assert inside.locator("output").inner_text() == "1 of 3 texts, page 1 of 1"
    assert "<i>c" not in shown.page and shown.save(tmp_path / "x.html").read_text() == shown.page


def test_a_folder_is_a_gallery_whose_names_are_those_of_its_files(tiny, tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/1.png", "2.png"):
        photo = sandbox.scene(9, len(name), "test", sandbox.EASY).image
        Image.fromarray(photo).save(tmp_path / name)
    bench = Workbench(tiny)
    gallery = bench.gallery(str(tmp_path))
    assert gallery.names == ("2.png", "b/1.png")
    files = [tmp_path / name for name in gallery.names]
    assert (gallery.scores("exit").numpy() == bench.gallery(files).scores("exit").numpy()).all()
    shown = LookThrough(bench.gallery(tmp_path), known={"b/1.png": ["exit"]}).page
    assert shown.count("<figure>") == shown.count("url(data:image/jpeg") == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no image in"):
        bench.gallery(tmp_path / "none")


def test_a_page_of_many_photographs_stays_small(tiny, monkeypatch):
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (300, 400, 3), np.uint8) for _ in range(6)]
    gallery = Gallery.embed(tiny, photos)
    whole = LookThrough(gallery, ["exit", "open"], top=6).page
    assert whole.count("aspect-ratio: 400 / 300") == 6
    monkeypatch.setattr("mstar.search.presence._BYTES", 120_000)
    small = LookThrough(gallery, ["exit", "open"], top=6).page
    assert small.count("url(data:image/jpeg") == 6 and small.count("<figure>") == 12
    assert len(whole) / 5 > 100_000 and len(small) < 200_000 < len(whole)


def test_the_command_line_calibrates_its_checkpoint(own, tmp_path, tiny_checkpoint, capsys):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, checkpoint)
    evaluate = ["evaluate", "presence", "sandbox-easy", "--scenes", "40"]
    assert main([*evaluate, "--checkpoint", str(checkpoint)]) == 2
    assert "how likely it is there: run `mstar calibrate`" in capsys.readouterr().err
    assert main(["calibrate", "--real", *own, "--checkpoint", str(checkpoint)]) == 0
    assert str(checkpoint / PRESENCE) in capsys.readouterr().out
    assert main([*evaluate, "--checkpoint", str(checkpoint)]) == 0
    assert "false alarms" in capsys.readouterr().out


def test_a_page_can_be_looked_through(tmp_path, tiny_checkpoint, open_page):
    photos, entries = tmp_path / "photos", []
    photos.mkdir()
    for i in range(12):
        scene = sandbox.scene(9, i, "test", sandbox.EASY)
        Image.fromarray(scene.image).save(photos / f"{i}.png")
        words = [one.word for one in scene.regions] + (["one", "two", "three"] if i == 3 else [])
        entries.append({"image": f"{i}.png", "text": words, "type": ["word"] * len(words)})
    (tmp_path / "list.json").write_text(json.dumps(entries))
    gallery, page = str(tmp_path / "g"), tmp_path / "page.html"
    assert main(["index", str(photos), gallery, "--checkpoint", str(tiny_checkpoint)]) == 0
    known = ["--known", str(tmp_path / "list.json"), "--top", "2", "--page", str(page)]
    assert main(["search", gallery, *known]) == 0
    words = {text for entry in entries for text in entry["text"]}
    shown = page.read_text()
    right = {w: [e["image"] for e in entries if w in e["text"]] for w in words}
    first = [
        (hits[0].name, word)
        for word, hits in zip(
            sorted(words),
            Gallery.open(gallery).search_many([Query(w, "word") for w in sorted(words)], 2),
            strict=True,
        )
    ]
    wrong = sum(name not in right[word] for name, word in first)
    assert shown.count("<section") == len(words) and 0 < wrong < len(words)
    for scheme in ("light", "dark"):
        one = open_page(page, scheme, 390)
        assert one.unreadable() == [] and one.wrong == []
        assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    opened = open_page(page).page
    said = opened.locator("output")
    pages = -(-len(words) // 20)
    assert said.inner_text() == f"{len(words)} of {len(words)} texts, page 1 of {pages}"
    assert opened.locator("section:visible").count() == 20
    opened.select_option("[data-flag]", "wrong")
    assert said.inner_text().startswith(f"{wrong} of {len(words)} texts")
    opened.select_option("[data-flag]", "")
    opened.click("button:has-text('On')")
    assert f"page 2 of {pages}" in said.inner_text()
    opened.fill("[data-words]", "three")
    assert "three" in opened.locator("section:visible h2").all_inner_texts()[0]
    assert main(["search", gallery, "exit", "--known", "x.json"]) == 2
