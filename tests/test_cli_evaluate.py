"""`mstar evaluate …` of the experiments: a table, one JSON object, one sentence for bad input."""

import csv
import inspect
import json
from pkgutil import resolve_name

import pytest

from mstar.cli import __main__ as cli
from mstar.cli.evaluate import _MADE, _METHODS, EVALUATIONS
from mstar.explain.attribution import METHODS

SMALL = {
    "importance": (
        ["importance", "query_tokens", "--scenes", "60", "--per-style", "2"],
        "query token 3",
    ),
    "localisation": (
        ["localisation", "--scenes", "40", "--per-style", "1", "--methods", "grad_cam"],
        "rank correlation",
    ),
    "masks": (["masks", "sandbox-hard", "--scenes", "40", "--tiles", "1", "2"], "tiles 1 2,"),
    "patching": (["patching", "--scenes", "2", "--difficulty", "hard"], "mask of look 0"),
    "salience": (["salience", "--scenes", "30"], "as much ground"),
    "semantics": (["semantics", "--scenes", "40"], "multi_word_scoring_steps"),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_table_and_json_of_the_same(name, tiny_checkpoint, tmp_path, capsys):
    arguments, said = SMALL[name]
    more = ["--checkpoint", str(tiny_checkpoint), "--seed", "3", "--pve-steps", "1"]
    assert cli.main(["evaluate", *arguments, *more, "--json", str(tmp_path / "found.json")]) == 0
    printed = capsys.readouterr().out
    assert said in printed and "checkpoint" in printed
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    about = found["about"]
    assert (about["seed"], about["pve_steps"]) == (3, 1) and len(about["checkpoint"]) == 64
    if name in ("importance", "localisation", "semantics"):
        assert len(about["gallery"]) == 64
    assert found["versions"] and found["title"] and all(found["sections"].values())


def test_each_format_goes_to_its_file_or_to_the_screen(tiny_checkpoint, tmp_path, capsys):
    arguments = ["evaluate", "salience", "--scenes", "12", "--checkpoint", str(tiny_checkpoint)]
    files = {form: tmp_path / "new" / f"found.{form}" for form in ("json", "csv", "html")}
    named = [part for form, file in files.items() for part in (f"--{form}", str(file))]
    assert cli.main([*arguments, *named]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("salience: ") and "as much ground" in printed, "the table as well"
    found = json.loads(files["json"].read_text(encoding="utf-8"))
    lines = csv.DictReader(files["csv"].read_text().splitlines())
    rows = [row for row in lines if row["section"] == "salient"]
    change = found["sections"]["salient"][0]["change"]
    assert [float(row["value"]) for row in rows] == [change["value"]]
    page = files["html"].read_text(encoding="utf-8")
    assert "<h1>salience</h1>" in page and f"{change['value']:.1f} [" in page
    assert cli.main([*arguments, "--csv", "--json", str(files["json"])]) == 0
    assert capsys.readouterr().out == files["csv"].read_text()


def test_a_folder_is_no_file_and_said_before_anything_runs(tmp_path, capsys):
    nowhere = ["--checkpoint", str(tmp_path / "none")]
    assert cli.main(["evaluate", "salience", "--html", str(tmp_path), *nowhere]) == 2
    assert f"{tmp_path} is a folder: --html names a file." in capsys.readouterr().err


def test_a_method_that_there_is_not(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", "localisation", "--methods", "cam"])
    assert stop.value.code == 2 and "invalid choice: 'cam'" in capsys.readouterr().err
    assert tuple(METHODS) == _METHODS


def test_every_evaluation_is_told_what_its_function_takes():
    """One table: what it names, the functions know."""
    for name, one in EVALUATIONS.items():
        taken = set(inspect.signature(resolve_name(one.function)).parameters)
        made = {"name", "folder", "difficulty", "scenes", "per_style"}  # what `_MADE` is made of
        # tiles are the bench's
        more = set(one.options) - {"tiles"} - (made if taken & set(_MADE) else set())
        assert {"bench", "pve_steps", *more} - {"seed"} <= taken, name
        assert "seed" in taken or name == "importance", name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["salience", "--scenes", "0"], "scenes must be 1 or more; got 0"),
        (["salience", "--pve-steps", "-1"], "pve_steps (T) must be 0 or more; got -1"),
        (["salience", "--seed", "-1"], "seed must be 0 or more; got -1"),
        (["patching", "--scenes", "1"], "scenes must be 2 or more; got 1"),
        (["importance", "heads", "--scenes", "60", "--per-style", "0"], "per-style must be 1 or"),
        (["localisation", "--scenes", "10"], "scenes must be 40 or more; got 10"),
        (["localisation", "--scenes", "60", "--per-style", "0"], "per-style must be 1 or more"),
        (["masks", "sandbox"], "unknown benchmark 'sandbox'"),
        (["masks", "icdar2015"], "icdar2015 needs the folder of its data set"),
        (
            ["masks", "sandbox-easy", "--scenes", "40", "--pve-steps", "-1"],
            "pve_steps (T) must be 0 or more",
        ),
        (["semantics", "--pve-steps", "0"], "pve_steps (T) must be 1 or more; got 0"),
        (["semantics", "--scenes", "3"], "scenes must be 40 or more; got 3"),
        (["sandbox", "--tiles", "2", "5"], "rising from the whole"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments, said, tiny_checkpoint, capsys):
    assert cli.main(["evaluate", *arguments, "--checkpoint", str(tiny_checkpoint)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("mstar: error: ") == 1
