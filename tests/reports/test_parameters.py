"""Every wrong parameter is refused before anything runs, in one sentence, with exit code 2."""

from pathlib import Path

import pytest
from PIL import Image

from mstar.cli import __main__ as cli
from mstar.reports.parameters import ImageReport
from mstar.texts import parse_query


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (40, 30)).save(folder / "good.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    Image.new("1", (14000, 14000)).save(folder / "bomb.png")
    (folder / "file").write_text("")
    (folder / "empty").mkdir()
    return folder


BAD = {
    "missing image": (["--image", "{}/none.png", "--texts", "a"], "there is no image"),
    "broken image": (["--image", "{}/broken.jpg", "--texts", "a"], "cannot be read as an image"),
    "an empty folder": (["--image", "{}/empty", "--texts", "a"], "there is no image in"),
    "bomb": (["--image", "{}/bomb.png", "--texts", "a"], "14000×14000 pixels"),
    "no texts": (["--image", "{}/good.png"], "no texts"),
    "empty words": (["--image", "{}/good.png", "--texts", ", ,"], "no texts"),
    "words without letters": (["--texts", "exit,***"], "has no words"),
    "unknown style": (["--texts", "shout:exit"], "unknown style 'shout'"),
    "unknown hook": (["--record", "pve.0.maks"], "near matches: pve.0.mask"),
    "step beyond T": (["--pve-steps", "0", "--record", "pve.1.mask"], "no hook point is called"),
    "T < 0": (["--pve-steps", "-1"], "got -1"),
    "tiles": (["--tiles", "2"], "rising from the whole: (1,), (1, 2) or (1, 2, 3); got [2]"),
    "small tiles": (["--tiles", "1", "5"], "at most 4 tiles along a side; got 5"),
    "size": (["--size", "66"], "66 is not a multiple of the patch size 4"),
    "huge size": (["--size", "800000"], "up to 2048 pixels; got 800000"),
    "pairs": (["--record", "itm.*"], "no hook point is called 'itm.*'"),
    "no such checkpoint": (["--checkpoint", "{}/none"], "there is no checkpoint folder"),
    "wrong checkpoint": (["--checkpoint", "{}"], "is no MSTAR checkpoint"),
    "out is a file": (["--out", "{}/file"], "is a file"),
    "too many words": (["--texts", ",".join(f"w{i}" for i in range(99))], "at most 24 texts"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_code_2(case, pictures, tiny_checkpoint, capsys):
    arguments, expected = BAD[case]
    arguments = [a.format(pictures) if "{}" in a else a for a in arguments]
    if "--checkpoint" not in arguments:
        arguments += ["--checkpoint", str(tiny_checkpoint)]
    if "--out" not in arguments:
        arguments += ["--out", str(pictures / "out")]

    assert cli.main(["report", "image", *arguments]) == 2

    said = capsys.readouterr().err.strip()
    assert expected in said
    assert said.startswith("mstar: error: ") and said.endswith(".") and "\n" not in said
    assert not (pictures / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["image", "--wrods", "exit"], "--wrods"),
        (["image", "--pve-steps", "two"], "invalid int value: 'two'"),
        (["imagge"], "invalid choice: 'imagge'"),
    ],
)
def test_an_unknown_name_or_a_wrong_type_is_code_2(arguments, expected, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", *arguments])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def test_one_value_and_commas_are_a_list_as_papermill_gives_them():
    settings = ImageReport.checked({"texts": "exit, way out", "tiles": "1,2", "record": "mim.*"})
    assert settings.texts == ["exit", "way out"] and settings.tiles == [1, 2]
    assert ImageReport.checked({"tiles": 1}).tiles == [1]


def test_a_folder_is_taken_where_photographs_are_asked_for(tmp_path):
    for name in ("b.png", "a.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    settings = ImageReport.checked({"images": str(tmp_path), "texts": "exit"})
    assert [path.name for path in settings.files()] == ["a.png", "b.png"]


def test_words_are_split_at_commas():
    words = ["exit, speed limit 25", "exit"]
    assert ImageReport(texts=words).queries() == [("exit", "word"), ("speed limit 25", "phrase")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"txets": ["exit"]}, "unknown report parameter 'txets'; there is texts"),
        ({"texts": 3}, "texts must be a list of texts; got [3]."),
        ({"texts": [1]}, "texts must be a list of texts"),
        ({"pve_steps": "2"}, "pve_steps must be a whole number or None; got '2'."),
        ({"pve_steps": True}, "pve_steps must be a whole number or None; got True."),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_names_and_types_are_checked(values, expected):
    with pytest.raises(ValueError, match="report parameter") as caught:
        ImageReport.checked(values)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--seeds", "1", "1"], "seeds are different whole numbers from 0 on; got [1, 1]"),
        (["--steps", "0"], "steps must be 1 or more; got 0"),
        (["--gallery", "39"], "gallery must be 40 or more; got 39"),
        (["--scenes", "3"], "a mosaic is made of 4 images; got images 3"),
        (["--checkpoint", "{}"], "is no MSTAR checkpoint"),
        (["--runs", "{}/file"], "is a file: --runs names a folder"),
        (["--out", "{}/file"], "is a file: --out names a folder"),
    ],
)
def test_a_wrong_ablation_is_one_sentence_and_code_2(arguments, expected, pictures, capsys):
    arguments = [a.format(pictures) for a in arguments]
    folders = ["--runs", str(pictures / "runs"), "--out", str(pictures / "out")]
    assert cli.main(["report", "ablation", *folders, *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said and said.startswith("mstar: error: ") and "\n" not in said
    assert not (pictures / "out").exists() and not (pictures / "runs").exists()


def test_a_query_names_its_style_or_shows_it():
    assert parse_query("Exit") == ("Exit", "word")
    assert parse_query("speed limit 25") == ("speed limit 25", "phrase")
    assert parse_query("word:new york") == ("new york", "word")
    assert parse_query("combined:1888 + celtic") == ("1888, celtic", "combined")
    assert parse_query("semantic:'dream big' on a shirt") == ("'dream big' on a shirt", "semantic")
    assert parse_query("12:30") == ("12:30", "word")
