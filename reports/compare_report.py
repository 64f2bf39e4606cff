"""What `compare.ipynb` shows: models or settings side by side, query by query."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # as text, which the runner passes on to the terminal

from mstar.data.benchmarks import Benchmark, asked_of, readable
from mstar.evaluate.benchmark import Run, groups
from mstar.evaluate.metrics import FEW, average_precisions, paired
from mstar.io.bench import Bench
from mstar.io.checkpoints import default_device, load_checkpoint
from mstar.search.gallery import Gallery
from mstar.widgets import figures
from mstar.widgets.picture import Picture

from .parameters import tiled
from .provenance import provenance, write_metrics
from .rankings import left_out
from .retrieval_parameters import CompareReport
from .retrieval_report import by_run, difference, headline, movers, per_query, queries


@dataclass(frozen=True, eq=False)
class Compared:
    """A benchmark and a ranking of it by each arm; the others are held against the first."""

    benchmark: Benchmark
    runs: list[Run]


def rank(settings: CompareReport) -> Compared:
    """Rank the benchmark with every arm, one after the other."""
    read = [load_checkpoint(folder).processor.reads for folder in settings.checkpoints.values()]
    benchmark = asked_of(readable(settings.load()), lambda text: all(one(text) for one in read))
    runs = []
    for label, (folder, pve_steps) in tqdm(settings.arms().items(), desc="arms"):
        bench = load_checkpoint(folder, default_device())
        tiled(bench.processor, settings.tiles)
        runs.append(Run(label, _scores(settings, benchmark, bench, pve_steps), None))
    return Compared(benchmark, runs)


def _scores(
    settings: CompareReport,
    benchmark: Benchmark,
    bench: Bench,
    pve_steps: int,
) -> NDArray[np.float32]:
    """The scores of one arm; its gallery is gone before the next one's is made."""
    gallery = Gallery.embed(bench, benchmark.images, pve_steps=pve_steps)
    score = gallery.reranked_scores if settings.rerank else gallery.scores
    return score(benchmark.queries).numpy()


def ranked_by(settings: CompareReport) -> dict[str, str]:
    """Whether re-ranking was on, and why."""
    how = "after re-ranking: --rerank was given" if settings.rerank else "by cosine: no --rerank"
    return {"ranked": how}


def in_short(compared: Compared) -> dict[str, str]:
    """MAP of each arm by style."""
    return {
        f"{run.name}, {label}": value
        for run in compared.runs
        for label, value in headline(run, compared.benchmark).items()
    }


def numbers(compared: Compared) -> list[Picture]:
    """MAP of every arm, and the differences to the first, paired by query."""
    benchmark, (first, *others) = compared.benchmark, compared.runs
    found, rows = groups(benchmark), []
    for group in found:
        base = group.precisions(benchmark, first.scores)
        for run in others:
            pair = paired(group.precisions(benchmark, run.scores), base)
            change = pair.difference
            if change.count:
                sure = "better" if change.low > 0 else "worse" if change.high < 0 else "not clear"
                if change.count < FEW:
                    sure = "too few"
                queries_ = f"{pair.better} better, {pair.worse} worse of {change.count}"
                rows.append([group.name, run.name, difference(change), sure, queries_])
    return [
        *left_out(benchmark),
        figures.table(
            f"Against {first.name}",
            "Differences in MAP over the same queries, with 95 % intervals (bootstrap over the "
            "differences of each query): the whole interval above 0 is better, below 0 worse. Of "
            "twenty comparisons without any effect one is expected to look like one. Fewer than "
            f"{FEW} queries are too few to say.",
            ["Queries", "Arm", "Difference [95 %]", "So", "Query by query"],
            rows,
        ),
        figures.scores(
            "MAP of each",
            f"{benchmark.name}: {len(benchmark.images)} images, in % with 95 % intervals.",
            by_run(benchmark, compared.runs, found),
        ),
    ]


def charts(compared: Compared) -> list[Picture]:
    """Every query in the first arm against each of the others."""
    benchmark, first = compared.benchmark, compared.runs[0]
    precisions = {
        run.name: average_precisions(benchmark.relevant, run.scores) for run in compared.runs
    }
    shown = []
    for run in compared.runs[1:]:
        panels = {}
        for group in groups(benchmark):
            if group.at_scale is None:
                rows = np.flatnonzero(group.rows)
                names = [benchmark.queries[row].text for row in rows]
                pair = (precisions[first.name][rows], precisions[run.name][rows])
                panels[group.name] = (*pair, names)
        shown.append(
            figures.against(
                f"{run.name} against {first.name}, query by query",
                "A point above the line is a query that the arm ranks better.",
                first.name,
                run.name,
                panels,
            )
        )
    return shown


def changed(settings: CompareReport, compared: Compared) -> list[Picture]:
    """The queries that changed most in each arm, with their images there."""
    benchmark, first = compared.benchmark, compared.runs[0]
    before = average_precisions(benchmark.relevant, first.scores)
    shown = []
    for run in compared.runs[1:]:
        after = average_precisions(benchmark.relevant, run.scores)
        lost, won = movers(before, after, settings.shown)
        for what, rows in (("loses", lost), ("gains", won)):
            if rows:
                said = [f"AP {before[row]:.0f} → {after[row]:.0f}" for row in rows]
                title = f"Where {run.name} {what} most"
                caption = f"Its own best images; AP in {first.name} → {run.name}."
                shown.append(queries(title, caption, benchmark, run.scores, rows, said))
    return shown


def save(settings: CompareReport, compared: Compared) -> dict[str, Any]:
    """Write `metrics.json`: the AP of every query in every arm.

    Returns:
        where the page comes from.
    """
    benchmark = compared.benchmark
    made = provenance(
        settings,
        benchmark=f"{benchmark.name}: {len(benchmark.images)} images, "
        f"{len(benchmark.queries)} queries",
        device=default_device(),
    )
    write_metrics(settings, made, in_short(compared), queries=per_query(benchmark, compared.runs),
                  left_out=benchmark.left_out)  # fmt: skip
    return made
