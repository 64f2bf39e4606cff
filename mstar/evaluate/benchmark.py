"""A checkpoint on a benchmark beside its peers: same images, same queries, one table.

The peers are a random ranking, text spotters with edit distance, and the model itself with parts
switched off.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mstar.data.benchmarks import Benchmark, asked_of, readable, said_of
from mstar.distributed import processes
from mstar.errors import LARGEST_SEED, check_range
from mstar.evaluate.metrics import (
    Estimate,
    at_scale,
    estimate,
    precision_at,
    random_scores,
    scale_average_precisions,
)
from mstar.evaluate.spotters import (
    check_kept,
    check_peers,
    make_spotters,
    spot_all,
    spotting_scores,
)
from mstar.evaluate.table import COUNTED, RATE, Column, Result, Section
from mstar.hooks.interventions import empty_mask
from mstar.io.bench import Bench
from mstar.io.processing import MstarProcessor
from mstar.search.gallery import Gallery
from mstar.texts import STYLES, Query, words_of

Array = NDArray[np.float64]

#: What may stand beside the model; `parts` are several.

_MAP = (Column("group", "queries"), Column("run", "ranked by"), Column("map", "MAP", COUNTED))
_BEST = (Column("run", "ranked by"), Column("precision"), Column("rate", "images/s", RATE))


@dataclass(frozen=True, eq=False)
class Run:
    """One ranking of a benchmark.

    Attributes:
        name: who ranked.
        scores: [Q, B].
        rate: images/s, from the file to the scores of all queries, or to the words that a spotter
            read; None = looked at no image now.
    """

    name: str
    scores: Array
    rate: float | None


@dataclass(frozen=True, eq=False)
class Group:
    """Some queries of a benchmark, and which images count as positive for them.

    Attributes:
        name: of the group.
        rows: bool [Q].
        at_scale: bool [Q, B], where only matches of a size count; None = all do.
    """

    name: str
    rows: NDArray[np.bool_]
    at_scale: NDArray[np.bool_] | None = None

    def precisions(self, benchmark: Benchmark, scores: Array) -> Array:
        """AP of the group's queries in %."""
        counted = benchmark.relevant if self.at_scale is None else self.at_scale
        rows = self.rows
        return scale_average_precisions(benchmark.relevant[rows], counted[rows], scores[rows])


@dataclass(frozen=True, eq=False)
class RankedBenchmark:
    """A benchmark, the gallery that the model made of it, and all rankings; the model's first."""

    benchmark: Benchmark
    gallery: Gallery
    runs: list[Run]
    seed: int

    def result(self) -> Result:
        """In numbers: the sections `map`, by group and run, and `best`.

        `best` has the precision among the best images (how many: `best` in about) and images/s of
        each run, and at its end what a perfect ranking has, as most queries have few answers.
        """
        benchmark = self.benchmark
        about = dict(
            benchmark=benchmark.name, images=len(benchmark.images), queries=len(benchmark.queries),
            pve_steps=self.gallery.pve_steps, best=best_count(benchmark), seed=self.seed,
            left_out=benchmark.left_out, unread=benchmark.unread,
        )  # fmt: skip
        ranked = [
            (group.name, run.name, estimate(group.precisions(benchmark, run.scores)))
            for group in groups(benchmark)
            for run in self.runs
        ]
        best = [(run.name, at_best(benchmark, run.scores), run.rate) for run in self.runs]
        best.append(("the most there can be", most_at_best(benchmark), None))
        sections = [
            Section("map", "MAP in % [95 % interval]", _MAP, ranked, keys=2),
            Section("best", f"precision among the {best_count(benchmark)} best in %", _BEST, best),
        ]
        return Result("benchmark", about, sections, said_of(benchmark))


def best_count(benchmark: Benchmark) -> int:
    """Among how many images precision is taken: ten, or all."""
    return min(10, len(benchmark.images))


def at_best(benchmark: Benchmark, scores: Array) -> Estimate:
    """Precision in % among the best images, over the queries with an answer; scores [Q, B]."""
    asked = benchmark.relevant.any(1)
    k = best_count(benchmark)
    return estimate(precision_at(benchmark.relevant[asked], scores[asked], k))


def most_at_best(benchmark: Benchmark) -> Estimate:
    """`at_best` of a perfect ranking."""
    return at_best(benchmark, benchmark.relevant.astype(float))


def rank_benchmark(
    bench: Bench,
    benchmark: Benchmark,
    pve_steps: int | None = None,
    peers: Sequence[str] = ("random",),
    seed: int = 0,
    kept: Path | None = None,
    strict: bool = False,
) -> RankedBenchmark:
    """Rank a benchmark with a model, by cosine and re-ranked, and with its peers.

    Each process of `mstar.distributed.joined` embeds its share; the first alone asks spotters.

    Args:
        peers: of `PEERS`; parts are the model with one part off at a time, see `_parts`.
        seed: of the random ranking.
        kept: a file in which what spotters read is kept, see `spot_all`.
        strict: raise where a photograph or a query cannot be read; else they are left out, see
            `readable` and `asked_of`.

    Raises:
        UserError: an unknown peer, a negative seed, or a file that cannot be; see `readable`.
        ImportError: a peer that is not installed.
    """
    check_peers(peers)
    check_range("seed", seed, 0, LARGEST_SEED)
    check_kept(kept)
    spotters = make_spotters(peers)  # or say so at once
    benchmark = readable(benchmark, strict)
    if not strict:
        benchmark = asked_of(benchmark, bench.processor.reads)
    images, queries = benchmark.images, benchmark.queries
    # the first time is always slow
    Gallery.embed(bench, images[:1], pve_steps=pve_steps).reranked_scores(queries[:1])
    seconds, gallery = timed(lambda: Gallery.embed(bench, images, benchmark.names, pve_steps,
                                                    shared=True))  # fmt: skip
    cosine_seconds, cosine = timed(lambda: gallery.scores(queries))
    rerank_seconds, reranked = timed(lambda: gallery.reranked_scores(queries))
    runs = [
        Run("MSTAR", cosine.numpy(), len(images) / (seconds + cosine_seconds)),
        Run("MSTAR, re-ranked", reranked.numpy(), len(images) / (seconds + rerank_seconds)),
    ]
    if "parts" in peers:
        runs += _parts(gallery, benchmark)
    for spotter in spotters if processes()[0] == 0 else ():  # what it reads is for the table alone
        lines, rate = spot_all(spotter, images, kept)
        words = [words_of(query) for query in queries]
        for name, joined in ((spotter.name, False), (f"{spotter.name}, joined", True)):
            runs.append(Run(name, spotting_scores(words, lines, joined), rate))
    if "random" in peers:
        runs.append(Run("random", random_scores(benchmark.relevant.shape, seed), None))
    return RankedBenchmark(benchmark, gallery, runs, seed)


def groups(benchmark: Benchmark) -> list[Group]:
    """The queries by style, and by the size of the matching text where positions are known.

    Sizes are thirds: of all matching texts of a benchmark, the smallest third, the middle and the
    largest, judged scale-wise (see `scale_average_precisions`).
    """
    style = np.array([query.style for query in benchmark.queries])
    found = [Group(name, style == name) for name in STYLES if (style == name).any()]
    areas = benchmark.areas
    if np.isnan(areas).all():
        return found
    everyone = np.ones(len(style), dtype=bool)
    third, two_thirds = np.nanquantile(areas, (1 / 3, 2 / 3))
    for name, low, high in (
        (f"small text (up to {100 * third:.3g} % of the image)", -1, third),
        (f"middling text (up to {100 * two_thirds:.3g} %)", third, two_thirds),
        (f"large text (over {100 * two_thirds:.3g} %)", two_thirds, 1),
    ):
        found.append(Group(name, everyone, at_scale(areas, low, high)))
    return found


def _parts(gallery: Gallery, benchmark: Benchmark) -> list[Run]:
    """The same weights with one part switched off at a time; none is trained without it.

    - PVE: one look.
    - mask: all looks, each with an empty mask (where T > 0).
    - instruction: the query alone, without its style.
    - multi-word branch: a query of several words scores the mean of its words (where there is a
      branch, and such queries).
    """
    bench, images, queries = gallery.bench, benchmark.images, benchmark.queries
    runs = []

    def add(name: str, pve_steps: int) -> None:
        embed = partial(Gallery.embed, bench, images, pve_steps=pve_steps, shared=True)
        seconds, found = timed(lambda: embed().scores(queries))
        runs.append(Run(name, found.numpy(), len(images) / seconds))

    if gallery.pve_steps:
        add("without PVE (T = 0)", 0)
        masks = {f"pve.{t}.mask": empty_mask for t in range(gallery.pve_steps)}
        with bench.hooks(masks):
            add("without masks", gallery.pve_steps)
    # texts alone change below: the gallery serves again, and its time is the model's own
    with _instructions(bench.processor, "none"):
        runs.append(Run("without instruction", gallery.scores(queries).numpy(), None))
    if bench.config.multi_word_branch and any(query.style != "word" for query in queries):
        scores = _mean_of_words(gallery, queries)
        runs.append(Run("without multi-word branch", scores, None))
    return runs


def _mean_of_words(gallery: Gallery, queries: Sequence[Query]) -> Array:
    reads = gallery.bench.processor.reads
    parts = [
        [query]
        if query.style == "word"
        else [Query(word, "word") for word in words_of(query) if reads(word)] or [query]
        for query in queries
    ]
    words = list(dict.fromkeys(word for some in parts for word in some))
    by_word = dict(zip(words, gallery.scores(words).numpy(), strict=True))
    return np.stack([np.mean([by_word[word] for word in some], axis=0) for some in parts])


@contextmanager
def _instructions(processor: MstarProcessor, prompts: str) -> Iterator[None]:
    before, processor.prompts = processor.prompts, prompts
    try:
        yield
    finally:
        processor.prompts = before


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that some work takes, and what it returns; a GPU's work is waited for."""
    clock = time.perf_counter()
    done = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - clock, done
