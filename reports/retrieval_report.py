"""What `retrieval.ipynb` shows: a checkpoint on a benchmark, by numbers and by queries."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstar.data.benchmarks import Benchmark
from mstar.evaluate.benchmark import (
    RankedBenchmark,
    at_best,
    best_count,
    groups,
    most_at_best,
    rank_benchmark,
)
from mstar.evaluate.metrics import (
    average_precisions,
    paired,
    precision_recall,
)
from mstar.io.checkpoints import default_device, load_checkpoint
from mstar.reports.rankings import (
    by_run,
    difference,
    headline,
    left_out,
    movers,
    per_query,
    signed,
)
from mstar.tiles import tile_count
from mstar.widgets import figures
from mstar.widgets.figures.parts import place_said
from mstar.widgets.picture import Picture

from .parameters import tiled
from .provenance import provenance, write_metrics
from .retrieval_parameters import RetrievalReport

_TOP = 6  # images shown for a query
_TIMED = 20  # queries


def notes(settings: RetrievalReport) -> list[Picture]:
    """What a reader has to know first."""
    if not (settings.uses_embedded and settings.of_photographs):
        return []
    return [
        figures.note(
            "The embedded weights are small",
            "2.1 M parameters, trained on rendered text and 1,048 photographs: these numbers say "
            "how hard the photographs are for them, not what the method can do. `--checkpoint` "
            "names another checkpoint.",
        )
    ]


def rank(settings: RetrievalReport) -> RankedBenchmark:
    """Rank the benchmark with the checkpoint and with its peers.

    Raises:
        ImportError: a peer that is not installed.
    """
    bench = load_checkpoint(settings.checkpoints["checkpoint"], default_device())
    tiled(bench.processor, settings.tiles)
    return rank_benchmark(
        bench,
        settings.load(),
        settings.pve_steps,
        settings.peers,
        settings.seed,
        Path(settings.kept) if settings.kept else None,
    )


def in_short(ranked: RankedBenchmark) -> dict[str, str]:
    """MAP by style, by cosine and re-ranked, and what a search does by itself."""
    cosine, final = (headline(run, ranked.benchmark) for run in ranked.runs[:2])
    config = ranked.gallery.bench.config
    on = config.rerank_ratio > 0 and config.rerank_weight > 0
    said = f"on for the best {config.rerank_ratio:.0%}" if on else "off"
    return {
        "benchmark": f"{ranked.benchmark.name}, {len(ranked.benchmark.images)} images",
        **{name: f"{cosine[name]} by cosine; {final[name]} re-ranked" for name in cosine},
        "re-ranking": f"measured here, to tell what it does; in a search it is {said}, "
        "as the checkpoint's configuration says",
    }


def numbers(ranked: RankedBenchmark) -> list[Picture]:
    """MAP by style and by size, precision among the ten best, precision by recall."""
    benchmark, found = ranked.benchmark, groups(ranked.benchmark)
    styles = [group for group in found if group.at_scale is None]
    shown = [
        *left_out(benchmark),
        figures.scores(
            "MAP by style",
            f"{benchmark.name}: {len(benchmark.images)} images. Mean average precision in %, as "
            "scikit-learn computes it, with 95 % intervals (bootstrap over queries). Runs on the "
            "same queries share what is hard about them, so two intervals that overlap may still "
            "be a difference: mstar report compare pairs the queries.",
            by_run(benchmark, ranked.runs, styles),
        ),
    ]
    sizes = [group for group in found if group.at_scale is not None]
    if sizes:
        shown.append(
            figures.scores(
                "MAP by size of the text",
                "All matching texts of the benchmark in three equal parts, by the share of the "
                "image that the text covers. Images that match at another size are left out of "
                "that ranking, so finding them neither helps nor harms (the paper's rule).",
                by_run(benchmark, ranked.runs, sizes),
            )
        )
    best = best_count(benchmark)
    precise = {run.name: at_best(benchmark, run.scores) for run in ranked.runs}
    precise["the most there can be"] = most_at_best(benchmark)
    shown.append(
        figures.scores(
            f"Precision among the {best} best",
            "How many of the first images answer the query; most queries have fewer answers than "
            "there are places.",
            {"all queries": precise},
        )
    )
    panels = {}
    for group in styles:
        relevant = benchmark.relevant[group.rows]
        curves = {
            run.name: precision_recall(relevant, run.scores[group.rows])[1]
            for run in ranked.runs
            if not run.name.startswith("without")
        }
        panels[group.name] = curves
    recall = np.linspace(0, 1, 101)
    shown.append(
        figures.precision_recall(
            "Precision by recall",
            "To find this share of the answers, how pure is the list until there? Interpolated "
            "precision, mean over queries.",
            recall,
            panels,
        )
    )
    return shown


def extremes(settings: RetrievalReport, ranked: RankedBenchmark) -> list[Picture]:
    """The queries that go worst and best, style by style, with their best images, and why."""
    benchmark, run = ranked.benchmark, ranked.runs[0]
    precisions = average_precisions(benchmark.relevant, run.scores)
    answers = benchmark.relevant.sum(1)
    worst, best = [], []
    for group in groups(benchmark):
        if group.at_scale is None:
            rows = np.flatnonzero(group.rows & ~np.isnan(precisions))
            # among equals those with most answers say most
            order = rows[np.lexsort((-answers[rows], precisions[rows]))]
            worst += [row for row in order[: settings.shown].tolist() if precisions[row] < 100]
            order = rows[np.lexsort((-answers[rows], -precisions[rows]))]
            best += order[: settings.shown].tolist()

    def shown(title: str, caption: str, rows: Sequence[int]) -> Picture:
        said = [
            f"AP {precisions[row]:.0f}, {answers[row]} answer{'s' if answers[row] > 1 else ''}"
            for row in rows
        ]
        return queries(title, caption, benchmark, run.scores, rows, said)

    return [
        shown("Queries that go worst", "By cosine. ✓ answers the query, ✗ does not.", worst),
        _reasons(ranked, worst),
        shown("Queries that go best", "Of equal AP those with most answers.", best),
    ]


def _reasons(ranked: RankedBenchmark, rows: Sequence[int]) -> Picture:
    """For some queries the first image that does not answer beside the first that does."""
    benchmark, scores = ranked.benchmark, ranked.runs[0].scores
    tiles = tile_count(ranked.gallery.tiles)
    lines = []
    for row in rows:
        order = np.argsort(-scores[row], kind="stable")
        relevant = benchmark.relevant[row, order]
        signs = {"✗": ~relevant, "✓": relevant}
        first = {sign: int(order[of.argmax()]) for sign, of in signs.items() if of.any()}
        explained = ranked.gallery.explain_each(benchmark.queries[row], list(first.values()))
        for sign, why in zip(first, explained, strict=True):
            words = ", ".join(f"{one.word} {signed(one.added)}" for one in why.words)
            lines.append(
                [
                    f"{why.query.text} {sign}",
                    why.hit.name,
                    f"{why.hit.cosine_rank} → {why.hit.rank}",
                    f"{why.hit.cosine:.3f}",
                    place_said(why.hit.look, why.hit.tile, why.hit.query_token, tiles),
                    f"{why.kind} {signed(why.lead)}",
                    words or "–",
                ]
            )
    return figures.table(
        "Why: the first image that does not answer, and the first that does",
        "Its rank by cosine and after re-ranking; the vision embedding that counted most, and its "
        "lead over the next (near zero another would have served as well); and what each word "
        "of a longer text adds: the score with it less the score of the text without it.",
        ["Text", "Image", "Rank, cosine → re-ranked", "Cosine", "Decided by", "Lead", "Words add"],
        lines,
    )


def reranking(settings: RetrievalReport, ranked: RankedBenchmark) -> list[Picture]:
    """What the matching head's second opinion changed."""
    benchmark, (cosine, final) = ranked.benchmark, ranked.runs[:2]
    rows = []
    for group in groups(benchmark):
        found = paired(*(group.precisions(benchmark, run.scores) for run in (final, cosine)))
        change = found.difference
        if change.count:
            queries_ = f"{found.better} better, {found.worse} worse"
            rows.append([group.name, found.second, found.first, difference(change), queries_])
    shown = [
        figures.table(
            "What re-ranking changed",
            "The best few images of each query are looked at again together with the text, and "
            "the probability that they match is added to their cosine. Paired by query: an "
            "interval of the difference above 0 is a gain.",
            ["", "MAP, cosine", "MAP, re-ranked", "Difference [95 %]", "Queries"],
            rows,
        )
    ]
    before = average_precisions(benchmark.relevant, cosine.scores)
    after = average_precisions(benchmark.relevant, final.scores)
    lost, won = movers(before, after, settings.shown)
    for title, chosen in (("Lost most by re-ranking", lost), ("Gained most by re-ranking", won)):
        if chosen:
            said = [f"AP {before[row]:.0f} → {after[row]:.0f}" for row in chosen]
            caption = "The best images after re-ranking."
            shown.append(queries(title, caption, benchmark, final.scores, chosen, said))
    return shown


def timing(ranked: RankedBenchmark) -> Picture:
    """Images/s of all that looked at images, and the time of a search."""
    gallery = ranked.gallery
    rows = [[run.name, f"{run.rate:.1f} images/s"] for run in ranked.runs if run.rate is not None]
    asked = ranked.benchmark.queries[:_TIMED]
    for name, ratio in (("one query, by cosine", 0), ("one query, re-ranked", None)):
        seconds = []
        for query in asked:
            gallery.forget()  # as for a query that comes alone
            clock = time.perf_counter()
            gallery.search(query, ratio=ratio)
            seconds.append(time.perf_counter() - clock)
        rows.append([name, f"{1000 * median(seconds):.0f} ms (median of {len(asked)})"])
    return figures.table(
        "Time",
        "Images/s from the file to the scores of all queries (of a spotter, to the words), on "
        f"{gallery.bench.device}; a gallery that is embedded once does not pay that again.",
        ["", "as measured for this page"],
        rows,
    )


def queries(
    title: str,
    caption: str,
    benchmark: Benchmark,
    scores: NDArray[np.floating],
    rows: Sequence[int],
    said: Sequence[str],
) -> Picture:
    """Some queries of a benchmark with their best images.

    Args:
        scores: [Q, B].
        rows: which queries.
        said: of each, its numbers in words.
    """
    shown = []
    for row, words in zip(rows, said, strict=True):
        best = np.argsort(-scores[row], kind="stable")[:_TOP].tolist()
        answers = benchmark.relevant[row, best].tolist()
        shown.append(figures.Ranking(benchmark.queries[row], words, best, answers))
    return figures.queries(title, caption, shown, benchmark.images, benchmark.names)


def save(settings: RetrievalReport, ranked: RankedBenchmark) -> dict[str, Any]:
    """Write `metrics.json`: every number, and the AP of every query in every run.

    Returns:
        where the page comes from.
    """
    made = provenance(
        settings,
        benchmark=f"{ranked.benchmark.name}: {len(ranked.benchmark.images)} images, "
        f"{len(ranked.benchmark.queries)} queries",
        T=ranked.gallery.pve_steps,
        device=str(ranked.gallery.bench.device),
    )
    write_metrics(
        settings,
        made,
        headline(ranked.runs[0], ranked.benchmark),
        sections=ranked.result().to_json()["sections"],
        left_out=ranked.benchmark.left_out,
        queries=per_query(ranked.benchmark, ranked.runs),
    )
    return made
