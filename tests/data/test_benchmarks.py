"""What all benchmarks share, the list of them, and the two that run on real photographs."""

import numpy as np
import pytest
from PIL import Image

from mstar.data import benchmarks
from mstar.data.areas import polygon_area, share
from mstar.data.benchmarks import LOADERS, Photographs, load, rendered
from mstar.data.benchmarks.by_image import icdar2015
from mstar.data.benchmarks.places import inside, pairs, pictures
from mstar.data.benchmarks.rectangles import icdar2003
from mstar.data.benchmarks.texts import largest, most_frequent, text_filter, words
from mstar.data.scenes import sandbox
from mstar.evaluate.sandbox import evaluate_sandbox
from mstar.io.decoding import UnreadableImage


def picture(path, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def test_photographs_are_opened_when_asked_for(tmp_path):
    paths = [picture(tmp_path / f"{i}.png", (i, 1)) for i in (1, 2, 3)]
    paths[1].write_text("broken")
    photos = Photographs(iter(paths))
    assert len(photos) == 3 and photos.paths == tuple(paths)
    assert photos[0].size == (1, 1) and photos[-1].size == (3, 1) and photos[0].mode == "RGB"
    some = photos[1:]
    assert isinstance(some, Photographs) and some.paths == tuple(paths[1:])
    with pytest.raises(UnreadableImage, match=r"2\.png cannot be read"):
        some[0]
    assert [photo.width for photo in photos[::2]] == [1, 3]


def test_names_on_the_command_line(tmp_path):
    assert list(LOADERS) == [
        "svt", "iiit-str", "ctr", "total-text", "ctw1500", "icdar2015", "icdar2003", "pstr",
        "csvtr", "mqtr-word", "mqtr-phrase", "mqtr-combined", "mqtr-semantic",
    ]  # fmt: skip
    with pytest.raises(
        ValueError, match=r"unknown benchmark 'ICDAR15': expected one of icdar2015, .*svt, iiit-str"
    ):
        load("ICDAR15", tmp_path)


@pytest.mark.parametrize("name", LOADERS)
def test_a_data_set_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere, which should hold [A-Z]"):
        load(name, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        load(name, tmp_path)  # an empty folder


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("U.S.A!", "usa"),
        ("#1 M&M's $5", "1 mm's 5"),
        ("'GM'", "gm"),
        ("'", ""),
        ("###", ""),
        ("70%", "70%"),
    ],
)
def test_text_filter(text, asked):
    assert text_filter(text) == asked


def test_words_share_the_area_of_their_line_by_their_letters():
    found = dict(words("FRESH! bread of day", 0.3))
    assert found == pytest.approx({"fresh": 0.1, "bread": 0.1, "day": 0.06})
    assert not list(words("### ((( at", 0.3))


def test_the_largest_instance_counts():
    assert largest([("exit", 0.1), ("exit", 0.3), ("way", 0.0), ("exit", 0.2)]) == {
        "exit": 0.3,
        "way": 0.0,
    }


def test_equally_frequent_texts_come_in_alphabetical_order():
    shown = [{"b": 0, "c": 0}, {"c": 0, "a": 0}, {"d": 0}]
    assert most_frequent(shown, 3) == ["c", "a", "b"]


def test_areas():
    square = [(1, 1), (4, 1), (4, 3), (1, 3)]
    assert polygon_area(square) == polygon_area(square[::-1]) == 6
    assert polygon_area([(0, 0), (4, 0), (0, 3)]) == 6
    assert polygon_area([(0, 0), (10**9, 0), (10**9, 10**9), (0, 10**9)]) == 10**18
    assert share(6, 24) == 0.25 and share(30, 24) == 1


def test_nothing_outside_the_folder_is_opened(tmp_path):
    folder = tmp_path / "set"
    picture(folder / "images/1.png")
    outside = picture(tmp_path / "outside.png")
    assert inside(folder, "images/../images/1.png") == folder / "images/1.png"
    (folder / "link").symlink_to("images")
    assert inside(folder, "link/1.png") == folder / "link/1.png"
    (folder / "images/2.png").symlink_to(outside)
    (folder / "out").symlink_to(tmp_path)
    for name in ("../outside.png", str(outside), "images/2.png", "out/outside.png", "out"):
        with pytest.raises(ValueError, match="leads out of"):
            inside(folder, name)
    with pytest.raises(ValueError, match=r"2\.png' leads out of"):
        pictures(folder, "images", "pictures")
    (folder / "images/2.png").unlink()
    (folder / "images/2.png").symlink_to("2.png")
    with pytest.raises(FileNotFoundError, match=r"no .*2\.png, which should be one of pictures"):
        pictures(folder, "images", "pictures")


def test_pictures_are_sorted_and_nothing_else_is_one(tmp_path):
    for name in ("b.JPG", "a10.png", "a9.jpeg"):
        picture(tmp_path / "images" / name)
    (tmp_path / "images/folder.jpg").mkdir()
    for name in ("._b.jpg", ".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / "images" / name).write_text("")
    assert list(pictures(tmp_path, "images", "pictures")) == ["a10.png", "a9.jpeg", "b.JPG"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no picture \(\.jpg, \.png, …\) in .*empty"):
        pictures(tmp_path, "empty", "pictures")


def test_pictures_and_their_files_come_in_pairs(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        picture(tmp_path / "images" / name)
    (tmp_path / "gt").mkdir()
    for name in ("gt_1.txt", "gt_2.txt", "gt_readme.txt", "._gt_3.txt", "4.txt"):
        (tmp_path / "gt" / name).write_text("")

    def found():
        return [(a.name, b.name) for a, b in pairs(tmp_path, "images", "gt", "gt_*.txt").items()]

    assert found() == [("1.jpg", "gt_1.txt"), ("2.jpg", "gt_2.txt")]
    (tmp_path / "gt/gt_3.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"images lacks the pictures of 1 of 3 .*gt_3\.txt"):
        found()
    (tmp_path / "gt/gt_1.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"gt_1\.txt, which should be the words of 1\.jpg"):
        found()


def test_a_rendered_gallery_has_the_queries_of_the_sandbox_evaluation(tiny):
    found = rendered("hard", seed=3, scenes=60)
    again = evaluate_sandbox(tiny, "hard", seed=3, scenes=60)
    gallery = sandbox.gallery(3, sandbox.HARD, 60, seen=12, unseen=12)
    assert again.about["gallery"] == gallery.hash
    assert found.name == "sandbox hard, seed 3"
    assert found.queries == tuple(query.asked for query in gallery.queries)
    assert {query.style for query in found.queries} == {"word", "phrase", "combined", "semantic"}
    assert found.names[:2] == ("0000.png", "0001.png") and len(set(found.names)) == 60
    np.testing.assert_array_equal(found.images[7], gallery.images[7])
    for query, relevant, areas in zip(gallery.queries, found.relevant, found.areas, strict=True):
        np.testing.assert_array_equal(relevant, query.relevant)
        np.testing.assert_array_equal(relevant, ~np.isnan(areas))
    assert np.nanmin(found.areas) > 0 and np.nanmax(found.areas) < 1
    row = next(i for i, query in enumerate(gallery.queries) if query.style == "combined")
    column = int(found.relevant[row].argmax())
    scene = gallery.scenes[column]
    regions = sandbox.locate(scene, found.queries[row].text, "combined")
    assert len(regions) > 1
    covered = sum(polygon_area(region.polygon) for region in regions)
    assert found.areas[row, column] == covered / (scene.image.shape[0] * scene.image.shape[1])
    np.testing.assert_array_equal(found.polygons[column][0], scene.regions[0].polygon)


def test_an_unknown_difficulty_is_named():
    with pytest.raises(ValueError, match="'simple': expected one of easy, hard, crowd"):
        benchmarks.rendered("simple")


def test_the_real_photographs(photos_root):
    older, newer = icdar2003(photos_root / "ICDAR2003"), icdar2015(photos_root / "ICDAR2015")
    assert len(older.images) == 80 and len(newer.images) == 200
    assert list(newer.names) == sorted(newer.names)
    for found in (older, newer):
        assert len(found.queries) == 100 == len({query.text for query in found.queries})
        counts = found.relevant.sum(1)
        assert counts.min() >= 1 and (np.diff(counts) <= 0).all()
        assert len(set(found.names)) == len(found.images) and found.images[0].mode == "RGB"
        np.testing.assert_array_equal(found.relevant, ~np.isnan(found.areas))
        assert np.nanmin(found.areas) > 1e-5 and np.nanmax(found.areas) < 0.5
