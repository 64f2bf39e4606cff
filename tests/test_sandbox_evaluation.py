"""The sandbox report: shortcuts by hand, and all of it on a small gallery."""

import json

import numpy as np
import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.cli import __main__ as cli
from mstar.data.scenes import sandbox
from mstar.evaluate.sandbox import evaluate_sandbox, rankings, shortcuts
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.texts import Query

IMAGES = 40  # the fewest that hold the fewest queries


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    config = MstarConfig.tiny()
    processor = MstarProcessor.for_config(config, character_tokenizer())
    return Bench(MstarModel(config).eval(), processor)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    for part in (tiny.model, tiny.processor):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gallery():
    return sandbox.gallery(0, sandbox.EASY, images=IMAGES, seen=12, unseen=12)


def truth_of(queries):
    return np.array([query.relevant for query in queries])


def test_perfect_scores_are_perfect_rankings(gallery):
    truth = truth_of(gallery.queries)
    found = rankings(gallery.queries, truth, truth.astype(float), 0)
    assert {row["model"].value for row in found} == {100}
    assert max(row["random"].value for row in found) < 60
    assert found["word"]["model"].count == 24
    assert found["word, seen"]["model"].count == found["word, unseen"]["model"].count == 12


def test_phrase_and_combined_are_held_against_their_best_word(gallery):
    queries = [q for q in gallery.queries if q.style in ("phrase", "combined")]
    truth = truth_of(queries)
    # a model that reads each word without an error, and of a whole query only its last word
    words = {w for q in queries for w in q.text.replace(",", " ").split()}
    reads = {
        Query(w, "word"): np.array([sandbox.matches(s, w, "word") for s in gallery.scenes], float)
        for w in words
    }
    last = np.array([reads[Query(q.text.split()[-1], "word")] for q in queries])
    asked = (("phrase", "best single word"), ("combined", "best single word"))
    found = shortcuts(gallery.scenes, queries, truth, last, reads)
    perfect = shortcuts(gallery.scenes, queries, truth, truth.astype(float), reads)
    for row in (found[name] for name in asked):
        assert row["first"].count > 0
        assert row["difference"].value <= 0, "one of the words cannot be better than the best"
        change = row["first"].value - row["second"].value
        assert row["difference"].value == pytest.approx(change)
    for row in (perfect[name] for name in asked):
        assert row["first"].value == 100 and row["second"].value < 100


def test_semantic_is_held_against_text_and_thing_alone(gallery):
    queries = [q for q in gallery.queries if q.style == "semantic"]
    truth = truth_of(queries)
    blind = {
        Query(t, "phrase" if " " in t else "word"): np.zeros(IMAGES)
        for t in (q.text.split("'")[1] for q in queries)
    }
    found = shortcuts(gallery.scenes, queries, truth, truth.astype(float), blind)
    _, _, text, text_read, thing = found.column("second").values()
    assert [row["first"].value for row in found][2:] == [100] * 3
    assert text.value == pytest.approx(100 * truth.mean())  # all images found together
    assert text.value < text_read.value < 100
    assert text.value < thing.value < 100


def test_whole_report_on_a_small_gallery(tiny):
    report = evaluate_sandbox(tiny, "easy", seed=3, scenes=IMAGES, controls=True)
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["about"]["seed"] == 3 and len(values["about"]["gallery"]) == 64
    sizes = {name: len(rows) for name, rows in values["sections"].items()}
    assert sizes == {"rankings": 8, "shortcuts": 5, "grounding": 8, "controls": 5}
    for row in values["sections"]["rankings"]:
        for estimate in (row["model"], row["random"]):
            assert 0 < estimate["low"] <= estimate["value"] <= estimate["high"] <= 100
    first, *_, last = report["controls"]
    assert first["first"] == last["first"], "both are T = 1 with its own mask"
    same = report["controls"]["T = 1", "T = 1, random mask"]
    assert same == last
    assert "T = 1, random mask" in str(report)
    again = evaluate_sandbox(tiny, "easy", seed=3, scenes=IMAGES, controls=True)
    assert again.to_json() == report.to_json()


def test_groups_without_queries_are_null(tiny):
    report = evaluate_sandbox(tiny, "crowd", scenes=IMAGES, pve_steps=0)
    rows = {row["group"]: row for row in report.to_json()["sections"]["rankings"]}
    assert rows["semantic"]["model"] is None and rows["word, large (≥ 17 px)"]["model"] is None
    assert "–" in str(report)


def test_command_prints_one_json_object(folder, capsys):
    arguments = ["evaluate", "sandbox", "--checkpoint", str(folder), "--scenes", str(IMAGES)]
    assert cli.main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert len(values["about"]["checkpoint"]) == 64 and "controls" not in values["sections"]
    assert cli.main(arguments) == 0
    assert "MAP in % [95 % interval]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "-1"], "seed must be 0 or more; got -1"),
        (["--pve-steps", "-1"], "pve_steps (T) must be 0 or more; got -1"),
        (["--scenes", "10"], "scenes must be 40 or more; got 10"),
        (["--checkpoint", "no/such/folder"], "there is no checkpoint folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(folder, capsys, options, message):
    arguments = ["evaluate", "sandbox", "--checkpoint", str(folder), "--scenes", str(IMAGES)]
    assert cli.main([*arguments, *options]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("mstar: error") == 1
    assert printed.out == ""


def test_unknown_difficulty(tiny, capsys):
    with pytest.raises(ValueError, match="unknown difficulty 'nightmare': expected one of easy"):
        evaluate_sandbox(tiny, "nightmare")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["evaluate", "sandbox", "--difficulty", "nightmare"])
    assert stopped.value.code == 2 and "invalid choice" in capsys.readouterr().err
