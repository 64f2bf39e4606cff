"""`mstar evaluate …` of the experiments: a table, one JSON object, one sentence for bad input."""

import json

import pytest

from mstar import cli

SMALL = {
    "importance": (["importance", "queries", "--images", "60", "--per-style", "2"], "query 3"),
    "localisation": (
        ["localisation", "--images", "40", "--per-style", "1", "--methods", "grad_cam"],
        "rank correlation",
    ),
    "masks": (["masks", "sandbox-hard", "--images", "40"], "watershed, look 1"),
    "patching": (["patching", "--images", "2", "--difficulty", "hard"], "mask of look 1"),
    "salience": (["salience", "--images", "30"], "as much ground covered"),
    "semantics": (["semantics", "--images", "40"], "multi_word_scoring_steps"),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_table_and_json_of_the_same(name, tiny_checkpoint, capsys):
    arguments, said = SMALL[name]
    arguments = ["evaluate", *arguments, "--checkpoint", str(tiny_checkpoint), "--seed", "3"]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert said in printed and "checkpoint" in printed
    assert cli.main([*arguments, "--json", "--steps", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    about = found.pop("about")
    assert (about["seed"], about["steps"]) == (3, 1) and len(about["checkpoint"]) == 64
    assert about["versions"] and len(found) >= 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["salience", "--images", "0"], "images must be 1 or more; got 0"),
        (["salience", "--steps", "-1"], "steps (T) must be from 0 to 64; got -1"),
        (["salience", "--seed", "-1"], "whole number from 0 to"),
        (["patching", "--images", "1"], "patching needs two pairs at least; got 1"),
        (["importance", "heads", "--images", "60", "--per-style", "0"], "per-style must be 1 or"),
        (["localisation", "--images", "10"], "images must be 40 or more; got 10"),
        (["localisation", "--images", "60", "--methods", "cam"], "unknown method 'cam'"),
        (["localisation", "--images", "60", "--per-style", "0"], "per-style must be 1 or more"),
        (["masks", "sandbox"], "unknown benchmark 'sandbox'"),
        (["masks", "icdar2015"], "icdar2015 needs the folder of its data set"),
        (["masks", "sandbox-easy", "--images", "40", "--steps", "-1"], "steps (T) must be from 0"),
        (["semantics", "--steps", "0"], "steps (T) must be 1 or more; got 0"),
        (["semantics", "--images", "3"], "images must be 40 or more; got 3"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments, said, tiny_checkpoint, capsys):
    assert cli.main(["evaluate", *arguments, "--checkpoint", str(tiny_checkpoint)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("mstar: error: ") == 1
