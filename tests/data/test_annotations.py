"""The MSTAR-Training annotation list: what is read, and what is refused with file and line."""

import json

import pytest
from PIL import Image

from mstar.data.lists.annotations import Annotation, Annotations

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


def test_entries_are_read_when_asked_for(root):
    entries = [GOOD, {"image": "sub/zwei ü.jpg", "text": ["café"], "type": ["semantic"]}, GOOD]
    data = Annotations(written(root, json.dumps(entries, indent=1, ensure_ascii=False)), root)
    assert len(data) == 3
    assert data[1] == Annotation(root / "sub/zwei ü.jpg", ("café",), ("semantic",))
    assert data[2].texts == ("Exit", "way out") and data[2].styles == ("word", "phrase")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image": "../outside.png"}, "'../outside.png' lies outside"),
        ({"image": "/etc/hostname"}, "lies outside"),
        ({"image": "two.png"}, "there is no image 'two.png'"),
        ({"image": "n" * 300}, "File name too long"),
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
        Annotations(file, root)


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
        ('[{"image": "one.png"}]', "has no text"),
        (f"[{json.dumps(GOOD)}]\n[]", r"line 2: expected nothing after the list, got '\[\]'"),
        ("[] and", "line 1: expected nothing after the list, got 'and'"),
        ("[\n" + "[" * 100_000, "line 2: expected an object with image, text and type, got"),
    ],
)
def test_a_file_of_another_kind_is_refused(root, text, problem):
    with pytest.raises(ValueError, match=problem):
        Annotations(written(root, text), root)


def test_line_ends_of_any_kind(root):
    lines = ["[", json.dumps(GOOD) + ",", json.dumps(GOOD | {"text": ["a", "b"]}), "]"]
    file = root.parent / "list.json"
    file.write_bytes("\r\n".join(lines).encode())
    assert Annotations(file, root)[1].texts == ("a", "b")


def test_another_encoding_is_named(root):
    file = root.parent / "latin.json"
    file.write_bytes('[{"image": "é"}]'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.json should be UTF-8"):
        Annotations(file, root)


def test_a_link_may_not_leave_the_folder_either(root):
    (root / "link.png").symlink_to(root.parent / "outside.png")
    file = written(root, json.dumps([GOOD | {"image": "link.png"}]))
    with pytest.raises(ValueError, match="lies outside"):
        Annotations(file, root)


def test_what_is_not_there_is_said(root):
    with pytest.raises(FileNotFoundError, match="no annotation file"):
        Annotations(root / "none.json", root)
    with pytest.raises(FileNotFoundError, match="no image folder"):
        Annotations(written(root, "[]"), root / "none")


def test_a_long_list_is_kept_as_places_only(root):
    file = written(root, json.dumps([GOOD] * 5000))
    data = Annotations(file, root)
    kept = sum(len(value) for value in vars(data).values() if hasattr(value, "itemsize"))
    assert kept == 2 * len(data) == 10_000
    assert data[4999].texts == ("Exit", "way out")
