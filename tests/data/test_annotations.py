"""The MSTAR-Training annotation list: what is read, and what is refused with file and line."""

import json

import numpy as np
import pytest
from PIL import Image

from mstar.data.annotations import AnnotatedImages
from mstar.data.sandbox import collate

GOOD = {"image": "one.png", "text": ["Exit", "way out"], "type": ["word", "phrase"], "image_id": 7}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for name, colour in (("one.png", "red"), ("sub/zwei ü.jpg", "blue")):
        Image.new("RGB", (40, 20), colour).save(folder / name)
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.png")
    return folder


def written(root, text):
    file = root.parent / "list.json"
    file.write_text(text, encoding="utf-8")
    return file


def test_items_are_like_those_of_the_sandbox(root):
    entries = [GOOD, {"image": "sub/zwei ü.jpg", "text": ["café"], "type": ["semantic"]}, GOOD]
    file = written(root, json.dumps(entries, indent=1, ensure_ascii=False))
    data = AnnotatedImages(file, root, size=16)
    assert len(data) == 3
    item = data[1]
    assert item["texts"] == ["café"] and item["styles"] == ["semantic"]
    assert item["image"].shape == (16, 16, 3)
    assert np.allclose(item["image"].float().mean((0, 1)), [0, 0, 254], atol=2)
    batch = collate([data[i] for i in range(3)])
    assert batch["texts"][2] == ["Exit", "way out"] and batch["image"].shape == (3, 16, 16, 3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image": "../outside.png"}, "'../outside.png' lies outside"),
        ({"image": "/etc/hostname"}, "lies outside"),
        ({"image": "two.png"}, "there is no image 'two.png'"),
        ({"image": ["one.png"]}, "image should be a path"),
        ({"text": "Exit"}, "at least one text; got 'Exit'"),
        ({"text": [], "type": []}, "at least one text; got"),
        ({"type": ["word"]}, "one style for each of 2 texts; got"),
        ({"type": ["word", "verse"]}, "unknown style 'verse': expected one of word, phrase"),
        ({"text": ["Exit", " . "]}, "should have letters or digits; got ' . '"),
        ({"text": ["Exit", 5]}, "should have letters or digits; got 5"),
    ],
)
def test_an_entry_that_is_wrong_is_named_by_file_and_line(root, change, problem):
    lines = ["[", json.dumps(GOOD) + ",", json.dumps(GOOD | change), "]"]
    file = written(root, "\n".join(lines))
    with pytest.raises(ValueError, match=rf"list\.json, line 3: .*{problem}"):
        AnnotatedImages(file, root, size=16)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"image": 1}', "line 1: expected a JSON list"),
        ("", "line 1: expected a JSON list"),
        ("[]", "lists no image"),
        ("[\n\n{'image': 1}]", "line 3: expected valid JSON"),
        (f"[{json.dumps(GOOD)}\n{json.dumps(GOOD)}]", "line 2: expected a comma or the end"),
        (f"[{json.dumps(GOOD)}", "line 1: expected a comma or the end of the list, got ''"),
        ("[\n3]", "line 2: expected an object with image, text and type; got 3"),
        ('[{"image": "one.png"}]', "has no text and no type"),
    ],
)
def test_a_file_of_another_kind_is_refused(root, text, problem):
    with pytest.raises(ValueError, match=problem):
        AnnotatedImages(written(root, text), root, size=16)


def test_line_ends_of_any_kind(root):
    lines = ["[", json.dumps(GOOD) + ",", json.dumps(GOOD | {"text": ["a", "b"]}), "]"]
    file = root.parent / "list.json"
    file.write_bytes("\r\n".join(lines).encode())
    assert AnnotatedImages(file, root, size=16).annotation(1).texts == ("a", "b")


def test_another_encoding_is_named(root):
    file = root.parent / "latin.json"
    file.write_bytes('[{"image": "é"}]'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.json should be UTF-8"):
        AnnotatedImages(file, root, size=16)


def test_a_link_may_not_leave_the_folder_either(root):
    (root / "link.png").symlink_to(root.parent / "outside.png")
    file = written(root, json.dumps([GOOD | {"image": "link.png"}]))
    with pytest.raises(ValueError, match="lies outside"):
        AnnotatedImages(file, root, size=16)


def test_what_is_not_there_is_said(root):
    with pytest.raises(FileNotFoundError, match="no annotation file"):
        AnnotatedImages(root / "none.json", root, size=16)
    with pytest.raises(FileNotFoundError, match="no image folder"):
        AnnotatedImages(written(root, "[]"), root / "none", size=16)


def test_a_long_list_is_kept_as_places_only(root):
    file = written(root, json.dumps([GOOD] * 5000))
    data = AnnotatedImages(file, root, size=16)
    kept = sum(len(value) for value in vars(data).values() if hasattr(value, "itemsize"))
    assert kept == 2 * len(data) == 10_000
    assert data.annotation(4999).texts == ("Exit", "way out")
