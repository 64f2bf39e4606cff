"""What the card says of photographs with outlines: `python -m tests.measure_photographs FOLDER`.

Of ICDAR 2003 in FOLDER: whether a query of two neighbouring words ranks better than the better one
of them alone (picked with the truth), what the masks of a second look are worth, and the salience
experiment, in one tile. Two words of the list stand beside each other on one line, or one below the
other; phrases are made of the former, combined texts of both.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

import mstar
from mstar import Query, evaluate, hooks, load
from mstar.data import benchmarks
from mstar.evaluate import paired
from mstar.evaluate.grounding import OutlinedPhotographs
from mstar.evaluate.metrics import average_precisions
from mstar.experiments.salience import salience

#: Heights of a word between it and the next, at most.
_GAP = 1.0


def beside(one: NDArray, other: NDArray) -> tuple[bool, bool]:
    """Whether the other outline follows on the same line, and whether it stands below."""
    (left, top), (right, bottom) = one.min(0), one.max(0)
    (left2, top2), (right2, bottom2) = other.min(0), other.max(0)
    gap = _GAP * (bottom - top)
    line = min(bottom, bottom2) - max(top, top2) > 0.5 * min(bottom - top, bottom2 - top2)
    column = min(right, right2) - max(left, left2) > 0.5 * min(right - left, right2 - left2)
    follows = line and 0 <= left2 - right + gap / 2 <= 1.5 * gap
    below = column and 0 <= top2 - bottom + gap / 2 <= 1.5 * gap
    return bool(follows), bool(below)


def pairs_of(photographs: OutlinedPhotographs) -> dict[Query, set[int]]:
    """Query of two neighbouring words -> the photographs in which they are neighbours."""
    found: dict[Query, set[int]] = {}
    for number, one in enumerate(photographs):
        for first, outline in one.words:
            for second, other in one.words:
                follows, below = beside(np.asarray(outline), np.asarray(other))
                if first != second and follows:
                    found.setdefault(Query(f"{first} {second}", "phrase"), set()).add(number)
                if first != second and (follows or below):
                    combined = Query(f"{first}, {second}", "combined")
                    found.setdefault(combined, set()).add(number)
    return found


def second_look(bench: mstar.Workbench, benchmark: benchmarks.Benchmark) -> Iterator[str]:
    """MAP with masks as they are, beside empty ones and as many tokens at random, by text size."""

    nothing = torch.zeros(2 * [bench.config.grid_size], dtype=torch.bool)
    plain, others = bench.scores(benchmark.images, benchmark.queries, 1), {}
    masks = {"empty": hooks.force_mask(0, nothing), "random": hooks.random_masks(0)}
    for name, hook in masks.items():
        with bench.hooks(hook):
            others[name] = bench.scores(benchmark.images, benchmark.queries, 1)
    for group in evaluate.groups(benchmark):
        own = group.precisions(benchmark, plain)
        for name, scores in others.items():
            both = paired(own, group.precisions(benchmark, scores))
            yield (
                f"{group.name}: MAP {both.first}, {name} masks {both.second}, difference "
                f"{both.difference}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="of ICDAR 2003")
    parser.add_argument("--checkpoint")
    parser.add_argument("--pve-steps", type=int)
    args = parser.parse_args()
    bench = load(args.checkpoint)
    photographs = OutlinedPhotographs(benchmarks.load("icdar2003", args.folder))

    asked = pairs_of(photographs)
    words = sorted({word for query in asked for word in query.text.replace(",", "").split()})
    queries = [*asked, *(Query(word, "word") for word in words)]
    images = [one.image for one in photographs]
    scores = dict(zip(queries, bench.scores(images, queries, args.pve_steps), strict=True))
    for style in ("phrase", "combined"):
        whole, single = [], []
        for query, shown in asked.items():
            if query.style != style:
                continue
            relevant = np.isin(np.arange(len(images)), list(shown))[None]
            parts = query.text.replace(",", "").split()
            whole += average_precisions(relevant, scores[query][None]).tolist()
            single.append(
                max(average_precisions(relevant, scores[Query(p, "word")][None])[0] for p in parts)
            )
        both = paired(whole, single)
        print(
            f"{style}: {len(whole)} queries, MAP {both.first}, their best single word "
            f"{both.second}, difference {both.difference}"
        )
    print(*second_look(bench, photographs.benchmark), sep="\n")
    for pve_steps in (0, 1):
        print(f"\nT = {pve_steps}\n{salience(bench, photographs, pve_steps)}")


if __name__ == "__main__":
    main()
