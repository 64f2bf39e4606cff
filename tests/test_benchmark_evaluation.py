"""A benchmark ranked by the model, by the model with parts off, by spotters and at random."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mstar.cli import __main__ as cli
from mstar.data.benchmarks import Benchmark, rendered
from mstar.evaluate import benchmark as benchmark_evaluation, spotters as peers
from mstar.evaluate.benchmark import at_best, best_count, groups, most_at_best, rank_benchmark
from mstar.evaluate.metrics import average_precisions
from mstar.io.bench import Bench
from mstar.texts import Query


class Reader:
    """A spotter that knows the answer."""

    name = "Reader"
    answers = (["EXIT", "way out!"], ["stopgo"], [])
    read = 0

    def spot(self, image):
        self.read += 1
        return self.answers[int(image[0, 0, 0])]


@pytest.fixture
def benchmark() -> Benchmark:
    """Three images, whose first pixel says which they are; the third shows nothing."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    noise[:, 0, 0, 0] = range(3)
    queries = (Query("exit", "word"), Query("way out", "phrase"), Query("stop, go", "combined"))
    relevant = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=bool)
    areas = np.where(relevant, [[0.01], [0.2], [0.05]], np.nan)
    return Benchmark("made up", list(noise), ("a", "b", "c"), queries, relevant, areas)


def test_the_model_ranks_as_everywhere_and_its_parts_can_be_switched_off(tiny, benchmark):
    model, processor = tiny.model, tiny.processor
    ranked = rank_benchmark(tiny, benchmark, peers=("parts", "random"), seed=3)
    names = [run.name for run in ranked.runs]
    assert names == [
        "MSTAR",
        "MSTAR, re-ranked",
        "without PVE (T = 0)",
        "without masks",
        "without instruction",
        "without multi-word branch",
        "random",
    ]
    scores = {run.name: run.scores for run in ranked.runs}
    for name, pve_steps in (("MSTAR", None), ("without PVE (T = 0)", 0)):
        expected = Bench(model, processor).scores(benchmark.images, benchmark.queries, pve_steps)
        np.testing.assert_allclose(scores[name], expected, atol=1e-5)
    # the best two of three gain a probability
    gained = scores["MSTAR, re-ranked"] - scores["MSTAR"]
    assert ((gained > 0).sum(1) == 2).all() and gained.min() == 0
    words = [Query(word, "word") for word in ("way", "out")]
    mean = Bench(model, processor).scores(benchmark.images, words).mean(0)
    np.testing.assert_allclose(scores["without multi-word branch"][1], mean, atol=1e-5)
    word = scores["without multi-word branch"][0]
    np.testing.assert_allclose(word, scores["MSTAR"][0], atol=1e-5)
    assert not np.allclose(scores["without instruction"], scores["MSTAR"], atol=1e-4)
    assert processor.prompts == "paper"  # as it was
    processor.prompts = "none"
    try:
        bare = Bench(model, processor).scores(benchmark.images, benchmark.queries)
    finally:
        processor.prompts = "paper"
    np.testing.assert_allclose(scores["without instruction"], bare, atol=1e-5)
    assert not np.allclose(scores["without masks"], scores["MSTAR"], atol=1e-6)
    rates = {run.name: run.rate for run in ranked.runs}
    assert rates["random"] is None and rates["MSTAR"] > 0 < rates["MSTAR, re-ranked"]


def test_images_a_second_are_of_embedding_and_scoring(tiny, benchmark, monkeypatch):
    monkeypatch.setattr(benchmark_evaluation, "timed", lambda work: (2.0, work()))
    ranked = rank_benchmark(tiny, benchmark, peers=("parts",))
    rates = {run.name: run.rate for run in ranked.runs}
    assert rates["MSTAR"] == rates["MSTAR, re-ranked"] == 3 / 4
    assert rates["without PVE (T = 0)"] == 3 / 2 and rates["without instruction"] is None


def test_precision_among_the_best_leaves_out_queries_without_an_answer(benchmark):
    relevant = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    asked = replace(benchmark, relevant=relevant)
    scores = np.array([[1.0, 2, 3]] * 3)
    found = at_best(asked, scores)  # among the three best, which are all
    assert (found.count, found.value) == (2, pytest.approx(50))
    assert most_at_best(asked) == found
    many = replace(asked, images=list(benchmark.images) * 5, relevant=np.tile(relevant, 5))
    scores = np.tile(scores, 5) + np.arange(15) / 100
    assert best_count(many) == 10
    assert most_at_best(many).value == pytest.approx((50 + 100) / 2)
    assert at_best(many, scores).value < most_at_best(many).value


def test_a_query_of_signs_alone_stands_for_itself_without_the_branch(tiny, benchmark):
    queries = (Query(", ,", "phrase"), *benchmark.queries[1:])
    ranked = rank_benchmark(tiny, replace(benchmark, queries=queries), peers=("parts",))
    scores = {run.name: run.scores for run in ranked.runs}
    assert scores["without multi-word branch"].shape == (3, 3)


def test_a_spotter_is_a_row_with_its_speed(tiny, benchmark, monkeypatch):
    monkeypatch.setitem(peers.SPOTTERS, "rapidocr", Reader)
    ranked = rank_benchmark(tiny, benchmark, peers=("rapidocr",))
    plain, joined = ranked.runs[2:]
    assert (plain.name, joined.name) == ("Reader", "Reader, joined") and plain.rate > 0
    assert average_precisions(benchmark.relevant, joined.scores).tolist() == [100, 100, 100]
    assert plain.scores[0, 0] == plain.scores[1, 0] == 1 and plain.scores[2, 1] < 1


def test_what_a_spotter_read_is_kept(benchmark, tmp_path):
    kept, reader = tmp_path / "kept.jsonl", Reader()
    assert peers.spot_all(reader, benchmark.images[:2], kept)[1] > 0
    with kept.open("a") as file:
        file.write('\n{"peer": "Reader", "imag')  # killed here
    lines, rate = peers.spot_all(reader, benchmark.images, kept)
    assert reader.read == 3 and lines == list(Reader.answers)
    assert rate > 0
    # nothing was read, so nothing was measured
    assert peers.spot_all(reader, benchmark.images, kept)[1] is None and reader.read == 3


@pytest.mark.parametrize("lines", ["[1]", "[null]", '"exit"', "7"])
def test_what_no_spotter_wrote_is_read_anew(benchmark, tmp_path, lines):
    kept, reader = tmp_path / "kept.jsonl", Reader()
    peers.spot_all(reader, benchmark.images[:1], kept)
    entry = json.loads(kept.read_text())
    kept.write_text(json.dumps(entry).replace('["EXIT", "way out!"]', lines) + "\n" + "[" * 10**5)
    assert peers.spot_all(reader, benchmark.images[:1], kept)[0] == [["EXIT", "way out!"]]
    assert reader.read == 2


def test_a_kept_file_that_is_no_text_is_said_before_anything_runs(tiny, benchmark, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"kept\.jsonl is no text: name an earlier run's file"):
        peers.check_kept(kept)
    with pytest.raises(ValueError, match="is no text"):
        rank_benchmark(tiny, benchmark, kept=kept)


def test_a_peer_named_twice_is_asked_once(tiny, benchmark, monkeypatch):
    monkeypatch.setitem(peers.SPOTTERS, "rapidocr", Reader)
    ranked = rank_benchmark(tiny, benchmark, peers=("rapidocr", "rapidocr"))
    assert [run.name for run in ranked.runs[2:]] == ["Reader", "Reader, joined"]


def test_groups_are_styles_and_thirds_by_size(benchmark):
    found = {group.name: group for group in groups(benchmark)}
    assert list(found) == [
        "word",
        "phrase",
        "combined",
        "small text (up to 3.67 % of the image)",
        "middling text (up to 10 %)",
        "large text (over 10 %)",
    ]
    scores = np.array([[1.0, 2, 3]] * 3)
    assert found["phrase"].precisions(benchmark, scores) == pytest.approx([100 / 3])
    small = found["small text (up to 3.67 % of the image)"].precisions(benchmark, scores)
    assert small[0] == pytest.approx(100 / 3) and np.isnan(small[1:]).all()


def test_a_set_without_positions_has_no_sizes(benchmark):
    areas = np.full(benchmark.relevant.shape, np.nan)
    bare = replace(benchmark, areas=areas)
    assert [group.name for group in groups(bare)] == ["word", "phrase", "combined"]


def test_an_unknown_or_missing_peer_is_refused_before_anything_runs(tiny, benchmark, monkeypatch):
    with pytest.raises(ValueError, match="unknown peer 'orc': expected some of random, rapidocr"):
        rank_benchmark(tiny, benchmark, peers=("orc",))
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match="Tesseract is not installed"):
        rank_benchmark(tiny, benchmark, peers=("tesseract",))


# The command line


@pytest.fixture
def own(tmp_path):
    """Photographs of one's own, laid out as MQTR."""
    folder = tmp_path / "own/word/images"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.effect_noise((50, 40), 90).convert("RGB").save(folder / name)
    queries = {"exit": ["a.png"], "stop": ["b.png", "c.png"]}
    (folder.parent / "text_queries.json").write_text(json.dumps(queries))
    return folder.parents[1]


def test_evaluate_benchmark(own, tiny_checkpoint, capsys):
    arguments = ["evaluate", "benchmark", "mqtr-word", str(own), "--kept", str(own / "read.jsonl")]
    arguments.append("--checkpoint")
    assert cli.main([*arguments, str(tiny_checkpoint), "--peers", "random", "parts"]) == 0
    printed = capsys.readouterr().out
    assert "images 3, queries 2" in printed and "pve_steps 2" in printed and "] of 2\n" in printed
    assert "precision among the 3 best in %" in printed and "the most there can be" in printed
    assert "Intervals over fewer than 20 are narrower than they should be" in printed
    assert "without PVE (T = 0)" in printed and "images/s" in printed
    assert cli.main([*arguments, str(tiny_checkpoint), "--json", "--pve-steps", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["about"]["kept"] == str(own / "read.jsonl")
    assert found["about"]["pve_steps"] == 0 and len(found["about"]["checkpoint"]) == 64
    runs = ["MSTAR", "MSTAR, re-ranked", "random"]
    assert [(row["group"], row["run"]) for row in found["sections"]["map"]] == [
        ("word", run) for run in runs
    ]
    best = found["sections"]["best"]
    assert [row["run"] for row in best] == [*runs, "the most there can be"]
    assert best[0]["rate"] > 0 and best[2]["rate"] is best[3]["rate"] is None


def test_a_rendered_benchmark_needs_no_folder(tiny_checkpoint, capsys):
    arguments = [
        "evaluate",
        "benchmark",
        "sandbox-crowd",
        "--scenes",
        "40",
        "--seed",
        "5",
        "--json",
    ]
    assert cli.main([*arguments, "--checkpoint", str(tiny_checkpoint)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["about"]["benchmark"] == "sandbox crowd, seed 5"
    assert found["about"]["images"] == 40 == len(rendered("crowd", 5, 40).images)
    assert any(row["group"].startswith("small text") for row in found["sections"]["map"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["svd", "."], "unknown benchmark 'svd': expected one of svt"),
        (["svt"], "svt needs the folder of its data set"),
        (["sandbox-easy", "."], "sandbox-easy is rendered and has no folder"),
        (["icdar2015", "{}/none"], "there is no folder"),
        (["mqtr-word", "{}", "--scenes", "60"], "mqtr-word is not rendered: leave out the number"),
        (["sandbox-easy", "--scenes", "0"], "scenes must be 40 or more; got 0"),
        (["mqtr-word", "{}", "--peers", "orc"], "unknown peer 'orc'"),
        (["mqtr-word", "{}", "--pve-steps", "-1"], "pve_steps (T) must be 0 or more; got -1"),
        (["mqtr-word", "{}", "--seed", "-1"], "seed must be 0 or more; got -1"),
        (["mqtr-word", "{}", "--kept", "{}/none/x"], "{}/none/x cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments, said, own, tiny_checkpoint, capsys):
    arguments = [argument.format(own) for argument in arguments]
    checkpoint = ["--checkpoint", str(tiny_checkpoint)]
    assert cli.main(["evaluate", "benchmark", *arguments, *checkpoint]) == 2
    printed = capsys.readouterr().err
    assert f"mstar: error: {said.format(own)}" in printed


def test_a_peer_that_is_not_installed_is_code_2(own, tiny_checkpoint, capsys, monkeypatch):
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    arguments = [
        "mqtr-word",
        str(own),
        "--peers",
        "tesseract",
        "--checkpoint",
        str(tiny_checkpoint),
    ]
    assert cli.main(["evaluate", "benchmark", *arguments]) == 2
    assert "Tesseract is not installed" in capsys.readouterr().err


def test_an_unreadable_photograph_is_left_out_and_named(own, tiny_checkpoint, capsys):
    folder = own / "word/images"
    (name, *others) = sorted(path.name for path in folder.iterdir())
    whole = (folder / others[0]).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    command = ["evaluate", "benchmark", "mqtr-word", str(own), "--checkpoint", str(tiny_checkpoint)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "left out: 1 photograph that cannot be read" in printed and name in printed
    assert cli.main([*command, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)["about"]
    assert about["images"] == len(others) and list(about["left_out"]) == [f"word/images/{name}"]
    assert cli.main([*command, "--strict"]) == 2
    assert f"{name} cannot be read as an image" in capsys.readouterr().err


def test_a_query_that_the_checkpoint_cannot_read_is_not_asked_and_named(
    own, tiny_checkpoint, capsys
):
    listing = own / "word/text_queries.json"
    asked = json.loads(listing.read_text()) | {"日本": ["a.png"]}
    listing.write_text(json.dumps(asked))
    command = ["evaluate", "benchmark", "mqtr-word", str(own), "--checkpoint", str(tiny_checkpoint)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "not asked, as the checkpoint's tokenizer cannot read them: '日本'" in printed
    assert cli.main([*command, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)["about"]
    assert about["queries"] == 2 and about["unread"] == ["日本"]
    assert cli.main([*command, "--strict"]) == 2
    assert "the query '日本' cannot be read" in capsys.readouterr().err
    listing.write_text(json.dumps({"日本": ["a.png"]}))
    assert cli.main(command) == 2
    assert "the query '日本' cannot be read" in capsys.readouterr().err
