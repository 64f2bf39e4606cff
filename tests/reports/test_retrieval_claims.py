"""What the pages on retrieval say, held against rankings whose numbers are known by hand."""

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mstar.data.benchmarks import Benchmark, load
from mstar.evaluate.benchmark import RankedBenchmark, Run
from mstar.evaluate.metrics import average_precisions
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.reports import compare_report, retrieval_report
from mstar.reports.compare_report import Compared
from mstar.reports.retrieval_parameters import RetrievalReport
from mstar.search.gallery import Gallery, Hit
from mstar.texts import Query

from .test_retrieval_report import compare, photos, reordering  # noqa: F401  (fixtures)

#: Three queries, four images; by cosine every ranking is n0 n1 n2 n3.
RELEVANT = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=bool)
COSINE = np.tile([4.0, 3, 2, 1], (3, 1))
#: The first query's answer falls to place 2, the second's rise to 1 and 2.
RERANKED = np.array([[4.0, 5, 2, 1], [4.0, 6, 5, 1], [4.0, 3, 2, 1]])
BEFORE, AFTER = [100, 58, 25], [50, 100, 25]  # AP


class Searched:
    """A gallery that explains by heart, and takes its time over re-ranking."""

    bench = SimpleNamespace(device="cpu")
    pve_steps, tiles = 1, (1,)

    def forget(self):
        pass

    def search(self, query, ratio):
        time.sleep(0.001 if ratio == 0 else 0.05)

    def explain_each(self, query, images):
        return [
            SimpleNamespace(
                query=query,
                hit=Hit(image, f"n{image}", image + 11, 0.5, image + 1, 0.25, None, 1, 3, 2),
                kind="cosine",
                lead=-0.5,
                words=(SimpleNamespace(word="a", added=-0.00004),),
            )
            for image in images
        ]


@pytest.fixture
def benchmark() -> Benchmark:
    images = [np.full((8, 8, 3), 60 * n, dtype=np.uint8) for n in range(4)]
    queries = tuple(Query(text, "word") for text in "abc")
    names = ("n0", "n1", "n2", "n3")
    return Benchmark("by hand", images, names, queries, RELEVANT, np.full((3, 4), np.nan))


@pytest.fixture
def ranked(benchmark) -> RankedBenchmark:
    runs = [Run("MSTAR", COSINE, 8.0), Run("MSTAR, re-ranked", RERANKED, 4.0)]
    return RankedBenchmark(benchmark, Searched(), runs, 0)


def words(picture) -> str:
    """The text of a picture, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", picture.body).split())


def shown(picture) -> list[tuple[int, str, bool]]:
    """(rank, name, whether it answers) of all thumbnails, as they are described and as marked."""
    found = re.findall(
        r'aria-label="Rank (\d), (\w+), (answers|does not answer) the query\."[^>]*></span>'
        r"<b>(\d) ([✓✗])</b>",
        picture.body,
    )
    assert all(rank == said and (does == "answers") == (sign == "✓")
               for rank, _, does, said, sign in found)  # fmt: skip
    return [(int(rank), name, does == "answers") for rank, name, does, *_ in found]


def in_order(text: str, parts: list[str]) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_the_worst_and_the_best_are_those_with_their_images_in_order(ranked):
    worst, _, best = retrieval_report.extremes(RetrievalReport(shown=2), ranked)
    assert in_order(words(worst), ["c word; AP 25, 1 answer", "b word; AP 58, 2 answers"])
    assert "AP 100" not in words(worst)
    assert in_order(words(best), ["a word; AP 100, 1 answer", "b word; AP 58"])
    assert "AP 25" not in words(best)
    wrong_first = [(1, "n0", False), (2, "n1", False), (3, "n2", False), (4, "n3", True)]
    assert shown(worst)[:4] == wrong_first
    assert shown(best)[:2] == [(1, "n0", True), (2, "n1", False)]


def test_the_reasons_are_of_the_first_wrong_and_the_first_right_image(ranked):
    _, reasons, _ = retrieval_report.extremes(RetrievalReport(shown=1), ranked)
    said = words(reasons)
    assert "c ✗ n0 1 → 11 0.250 look 1, query token 2 cosine −0.500 a 0.000" in said
    assert "c ✓ n3 4 → 14 0.250" in said


def test_the_reasons_name_the_tile_where_there_are_several(ranked, monkeypatch):
    monkeypatch.setattr(Searched, "tiles", (1, 2))
    _, reasons, _ = retrieval_report.extremes(RetrievalReport(shown=1), ranked)
    assert "c ✗ n0 1 → 11 0.250 look 1, tile 3, query token 2 cosine" in words(reasons)


def test_what_reranking_changed_is_told_the_right_way_round(ranked):
    table, lost, won = retrieval_report.reranking(RetrievalReport(shown=3), ranked)
    before, after = (np.mean(values) for values in ([100, 175 / 3, 25], [50, 100, 25]))
    found = re.search(r"word ([\d.]+) \[.*?\] ([\d.]+) \[.*?\] ([+−][\d.]+)", words(table))
    assert float(found[1]) == pytest.approx(before, abs=0.05)
    assert float(found[2]) == pytest.approx(after, abs=0.05)
    assert float(found[3].replace("−", "-")) == pytest.approx(after - before, abs=0.06)
    assert "1 better, 1 worse" in words(table)
    assert "Lost most" in words(lost) and "a word; AP 100 → 50" in words(lost)
    assert "Gained most" in words(won) and "b word; AP 58 → 100" in words(won)
    assert shown(won)[:2] == [(1, "n1", True), (2, "n2", True)]  # after re-ranking


def test_the_numbers_have_their_ceiling(ranked):
    *_, precise, curves = retrieval_report.numbers(ranked)
    assert "Precision among the 4 best" in words(precise)
    most = 100 * np.mean([1, 2, 1]) / 4
    assert re.search(rf"the most there can be .*?{most:.1f} \[", words(precise))
    assert "recall in %" in words(curves)


def test_the_two_searches_are_timed_apart(ranked):
    said = words(retrieval_report.timing(ranked))
    by_cosine, reranked = (
        int(re.search(rf"one query, {name} (\d+) ms", said)[1])
        for name in ("by cosine", "re-ranked")
    )
    assert by_cosine < 30 < reranked
    assert "MSTAR 8.0 images/s" in said and "re-ranked 4.0 images/s" in said


@pytest.fixture
def compared(benchmark) -> Compared:
    """Thirty queries, all better in the second arm and worse in the third."""
    many = replace(
        benchmark,
        queries=tuple(Query(f"q{n}", "word") for n in range(30)),
        relevant=np.tile([False, True, False, False], (30, 1)),
        areas=np.full((30, 4), np.nan),
    )
    rankings = {"first": [4, 3, 2, 1], "up": [3, 4, 2, 1], "down": [4, 2, 3, 1]}
    runs = [Run(name, np.tile(np.float64(row), (30, 1)), 1.0) for name, row in rankings.items()]
    return Compared(many, runs)


def test_better_is_better_and_worse_is_worse(compared):
    against, of_each = compare_report.numbers(compared)
    said = words(against)
    assert "Against first" in said
    assert "word up +50.0 [+50.0, +50.0] better 30 better, 0 worse of 30" in said
    assert "word down −16.7 [−16.7, −16.7] worse 0 better, 30 worse of 30" in said
    assert in_order(words(of_each), ["first", "50.0 [", "up", "100.0 [", "down", "33.3 ["])


def test_few_queries_give_no_verdict(compared):
    few = compared.benchmark
    rows = slice(0, 19)
    fewer = replace(
        few, queries=few.queries[rows], relevant=few.relevant[rows], areas=few.areas[rows]
    )
    runs = [replace(run, scores=run.scores[rows]) for run in compared.runs]
    against, of_each = compare_report.numbers(Compared(fewer, runs))
    assert "too few 19 better" in words(against) and "] better" not in words(against)
    assert "Intervals over fewer than 20" in words(of_each)


def test_the_first_arm_runs_across_and_the_other_upwards(compared):
    up, down = compare_report.charts(compared)
    for picture, name, place in ((up, "up", (50, 100)), (down, "down", (50, 33))):
        assert f"upwards: {name}: AP in %" in words(picture)
        assert "first: AP in %" in words(picture)
        assert f"<title>q0: {place[0]} and {place[1]}</title>" in picture.body
    (x, y), (_, low) = (_point(picture.body) for picture in (up, down))
    ticks = [float(at) for at in re.findall(r'<path class="mv-tick" d="M([\d.]+)', up.body)]
    assert x == pytest.approx((min(ticks) + max(ticks)) / 2)  # AP 50
    assert y < low  # AP 100 is above AP 33


def _point(body: str) -> tuple[float, float]:
    return tuple(float(at) for at in re.search(r'cx="([\d.]+)" cy="([\d.]+)"', body).groups())


def test_reranked_arms_are_reranked(compare, photos, reordering):  # noqa: F811
    bench = load_checkpoint(reordering)
    model, processor = bench.model, bench.processor
    asked = load("mqtr-phrase", photos)
    gallery = Gallery.embed(Bench(model, processor), asked.images, pve_steps=2)
    (name,) = {name for one in compare.metrics["queries"] for name in one["AP"] if "T = 2" in name}
    found = [query["AP"][name] for query in compare.metrics["queries"]]
    expected = average_precisions(asked.relevant, gallery.reranked_scores(asked.queries).numpy())
    by_cosine = average_precisions(asked.relevant, gallery.scores(asked.queries).numpy())
    assert found == pytest.approx(expected.tolist())
    assert (expected != by_cosine).any(), "else this test says nothing"
