"""The sample photographs: files, labels and outlines, checked against the scene table."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstar.texts import STYLES, clean_caption
from tests.samples.artwork import draw, font_path
from tests.samples.labels import all_labels, answers_combined, called, lines
from tests.samples.plan import FINISHES, THINGS, Line, Print, Scene
from tests.samples.scenes import SCENES

FOLDER = Path(__file__).resolve().parents[1] / "mstar" / "assets" / "samples"
LABELS = FOLDER / "samples.json"


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    return json.loads(LABELS.read_text(encoding="utf-8"))["images"]


@pytest.fixture(scope="module")
def rendered(entries) -> list[Scene]:
    """The scenes that have a photograph, in the order of the entries: not all have one yet."""
    scenes = {f"{scene.name}.jpg": scene for scene in SCENES}
    return [scenes[entry["file"]] for entry in entries]


@pytest.fixture(scope="module")
def queries(entries) -> dict[tuple[str, str], set[str]]:
    """Every query with the images that answer it."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for query in zip(entry["texts"], entry["styles"], strict=True):
            found.setdefault(query, set()).add(entry["file"])
    return found


def test_every_photograph_is_of_a_scene_and_no_file_is_left_over(entries):
    table = [f"{scene.name}.jpg" for scene in SCENES]
    names = [entry["file"] for entry in entries]
    assert len(set(table)) == len(table)
    assert len(names) >= 24
    assert names == [name for name in table if name in names]
    assert sorted(path.name for path in FOLDER.glob("*.jpg")) == sorted(names)


def test_photographs_are_large_images_in_small_files(entries, rendered):
    sizes = {}
    for entry, scene in zip(entries, rendered, strict=True):
        path = FOLDER / entry["file"]
        with Image.open(path) as image:
            image.load()
            assert image.mode == "RGB"
            assert image.size == tuple(entry["size"]) == scene.size
        assert max(scene.size) >= 640
        sizes[path.name] = path.stat().st_size
    assert max(sizes.values()) <= 110_000, sizes
    assert sum(sizes.values()) <= 3_000_000
    assert {scene.size[0] > scene.size[1] for scene in rendered} == {True, False}


def test_labels_follow_from_the_scene_table(entries, rendered):
    labels = all_labels(SCENES)
    for entry, scene in zip(entries, rendered, strict=True):
        assert (entry["texts"], entry["styles"]) == labels[scene.name], scene.name


def test_labels_are_lower_case_texts_of_all_styles(entries, queries):
    for text, style in queries:
        assert style in STYLES
        # What a query loses when it is cleaned, no label may depend on.
        assert text == clean_caption(text), text
    for entry in entries:
        assert len(set(zip(entry["texts"], entry["styles"], strict=True))) == len(entry["texts"])
        assert {"word", "combined", "semantic"} <= set(entry["styles"]), entry["file"]
    assert {style for _, style in queries} == set(STYLES)


def test_every_photograph_has_several_lines():
    for scene in SCENES:
        assert 3 <= len(lines(scene)) <= 20, scene.name
        for thing in scene.things:
            if thing.prints:
                assert called(thing) in THINGS, (scene.name, thing.kind)
            for spec in thing.prints:
                assert spec.finish in FINISHES
                assert all(font_path(line.font).is_file() for line in spec.lines)


def test_texts_recur_but_no_query_is_answered_by_most_images(queries, rendered):
    counts = {style: Counter() for style in STYLES}
    for (_, style), files in queries.items():
        counts[style][min(len(files), 2)] += 1
    assert all(counts[style][2] for style in STYLES), counts
    assert counts["word"][2] >= 40
    assert max(len(files) for files in queries.values()) <= len(rendered) // 3


def _semantic(queries) -> dict[str, dict[str, set[str]]]:
    """By text and thing the images that have the text on the thing."""
    found: dict[str, dict[str, set[str]]] = {}
    for (query, style), files in queries.items():
        if style == "semantic":
            text, thing = query[1:].split("' on a ")
            found.setdefault(text, {})[thing] = files
    return found


def test_hard_negatives_the_same_text_on_another_thing(queries):
    elsewhere = [
        text
        for text, on in _semantic(queries).items()
        if len(on) > 1 and len(set.union(*on.values())) > 1
    ]
    assert len(elsewhere) >= 20
    assert {"fresh milk", "fresh bread", "coffee", "green hill"} <= set(elsewhere)


def test_hard_negatives_the_same_thing_with_another_text_or_none(rendered):
    with_text, bare = Counter(), Counter()
    for scene in rendered:
        with_text.update({called(t) for t in scene.things if t.prints})
        bare.update({t.kind for t in scene.things if not t.prints and t.kind in THINGS})
    assert sum(count > 1 for count in with_text.values()) >= 8
    assert {"bottle", "mug"} <= set(bare)


def test_hard_negatives_the_same_words_in_another_order(queries):
    phrases = {text for text, style in queries if style == "phrase"}
    assert {"dream big", "big dream", "live music", "music live"} <= phrases
    for one, other in (("dream big", "big dream"), ("live music", "music live")):
        assert queries[one, "phrase"].isdisjoint(queries[other, "phrase"])


def test_hard_negatives_words_that_look_alike(queries):
    for one, other in (("coffee", "toffee"), ("house", "horse"), ("road", "roads")):
        assert queries[one, "word"] - queries[other, "word"]
        assert (other, "word") in queries


def test_combined_texts_stand_on_separate_lines():
    all_lines = [("sign", ("green", "street")), ("sign", ("one", "way"))]
    assert answers_combined(all_lines, ["one way", "green"])
    assert not answers_combined(all_lines, ["green", "street"])
    assert not answers_combined(all_lines, ["one", "way", "green"])


def test_outlines_are_inside_their_images_and_name_the_words(entries, rendered):
    for entry, scene in zip(entries, rendered, strict=True):
        wide, high = entry["size"]
        written = [(word, thing) for thing, words in lines(scene) for word in words]
        outlined = [(outline["word"], outline["thing"]) for outline in entry["outlines"]]
        assert outlined == written, scene.name
        for outline in entry["outlines"]:
            points = outline["points"]
            assert len(points) == 4
            assert all(0 <= x <= wide and 0 <= y <= high for x, y in points), (scene.name, outline)
            area = sum(
                x0 * y1 - x1 * y0
                for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True)
            )
            assert area / 2 > 40, (scene.name, outline)  # clockwise on the screen, and not a dot


def test_artwork_finds_the_ink_of_every_word():
    spec = Print("front", (Line("Fresh Milk", 0.5, 0.4, "#000000"),), "#ffffff")
    image, placed = draw(spec, 0.4, 0.1)
    assert [word.word for word in placed] == ["fresh", "milk"]
    ink = np.asarray(image.convert("L")) < 128
    found = np.zeros_like(ink)
    for word in placed:
        left, bottom, right, top = word.box
        rows = slice(round((1 - top) * ink.shape[0]), round((1 - bottom) * ink.shape[0]))
        columns = slice(round(left * ink.shape[1]), round(right * ink.shape[1]))
        found[rows, columns] = True
        across = ink[rows, columns].any(0)
        assert across[:6].any() and across[-6:].any()  # the box is tight
    assert not (ink & ~found).any()
