"""Is the text there, and where: probabilities and regions of a search, held against photographs."""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tqdm.auto import tqdm

from mstar.data.benchmarks import Benchmark
from mstar.data.lists.photographs import Lists, Photographs
from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.evaluate.grounding import OutlinedPhotographs
from mstar.evaluate.metrics import estimate
from mstar.evaluate.table import PERCENT, Column, Result, Section
from mstar.explain.regions import Region, region
from mstar.io.bench import Bench
from mstar.io.images import IMAGES_AT_ONCE
from mstar.search.presence import SAID, Presence
from mstar.texts import Query

#: Words of fewer letters are found everywhere.
_LETTERS = 3
_BINS = 5


def calibrate(
    bench: Bench, real: Lists, pve_steps: int | None = None, batch_size: int = 8
) -> Presence:
    """Measure how a word's cosine says whether it is there, on photographs with their texts.

    Of the lists those photographs count that judge a training run: weights have not seen them.
    Every word of any of them is compared with every photograph; a logistic regression of the
    cosine, in which photographs that show the word weigh as much as those that do not.

    Raises:
        UserError: too few photographs, or words, to tell anything.
    """
    found = [entry for entry, _ in Photographs(tuple(real), held_out=True).found()]
    read_as = bench.processor.read_as
    written = [
        {read_as(t) for t, s in zip(e.texts, e.styles, strict=True) if s == "word"} for e in found
    ]
    words = sorted({word for one in written for word in one if len(word) >= _LETTERS})
    if len(found) < 10 or len(words) < 10:
        raise UserError(
            f"calibration needs ten photographs that judge (8 % of a list) and ten words; got "
            f"{len(found)} and {len(words)}: give longer lists."
        )
    paths, queries = [entry.image for entry in found], [Query(word, "word") for word in words]
    cosine = bench.scores(paths, queries, pve_steps, batch_size).ravel()
    shown = np.array([[word in one for one in written] for word in words]).ravel()
    fit = LogisticRegression(C=1e6, class_weight="balanced", max_iter=1000)
    fit.fit(cosine[:, None].astype(float), shown)
    slope, intercept = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    about = {
        "photographs": len(found),
        "words": len(words),
        "pairs": len(shown),
        "pairs that are there": int(shown.sum()),
    }
    return Presence({"word": (round(slope, 4), round(intercept, 4))}, about)


def presence(
    bench: Bench,
    benchmark: Benchmark,
    calibrated: Presence,
    seed: int = 0,
    pve_steps: int | None = None,
) -> Result:
    """Hold regions and probabilities against photographs whose every word is outlined.

    Sections: `places` (of words that are there: IoU of the region's box with the word's, and
    whether its centre lies on the word, beside the tile as a region and any token of it);
    `reliability` (pairs of word and photograph by the probability that they are there, as for one
    photograph at even odds: each pair that is there weighs as much as those that are not);
    `absence` (words of the gallery, and as many that no photograph shows: how often the search says
    that it found them).

    Args:
        seed: draws words that no photograph shows, from those of the rendered scenes.
    """
    photographs = OutlinedPhotographs(benchmark)
    rng = np.random.default_rng(seed)
    written = [{word for word, _ in one.words} for one in photographs]
    words = sorted({word for one in written for word in one if len(word) >= _LETTERS})
    everything = {word for one in written for word in one}
    others = [word for word in sandbox.words("train") if word not in everything]
    absent = rng.choice(others, min(len(words), len(others)), replace=False).tolist()
    queries = [Query(word, "word") for word in [*words, *absent]]
    cosine = bench.scores([one.image for one in photographs], queries, pve_steps, IMAGES_AT_ONCE)
    slope, intercept = calibrated.styles["word"]
    odds = slope * cosine.astype(float) + intercept
    shown = np.array([[query.text in one for one in written] for query in queries])
    about = {
        "benchmark": benchmark.name,
        "photographs": len(photographs),
        "words": len(words),
        "absent words": len(absent),
        "calibrated on": ", ".join(f"{value} {name}" for name, value in calibrated.about.items()),
    }
    sections = [
        _places(bench, photographs, pve_steps),
        _reliability(odds[: len(words)], shown[: len(words)]),
        _absence(odds - log(len(photographs)), shown, len(words)),
    ]
    return Result("Places and doubts", about, sections)


def _places(bench: Bench, photographs: OutlinedPhotographs, pve_steps: int | None) -> Section:
    measured: list[tuple[float, float, float, float]] = []
    for one in tqdm(photographs, desc="places", unit="photo", leave=False):
        words = [(word, outline) for word, outline in one.words if len(word) >= _LETTERS]
        if not words:
            continue
        trace = bench.trace(one.image, [Query(w, "word") for w, _ in words], pve_steps=pve_steps)
        for number, (word, _) in enumerate(words):
            embedding = int(trace["mim.similarity"][0, number].argmax())
            found = region(trace, embedding)
            tiles, count = trace.boxes.shape[1], bench.config.num_query_tokens
            tile = trace.boxes[0, embedding // count % tiles].tolist()
            # what stands there several times: the nearest
            places = [box(outline, one.size) for text, outline in words if text == word]
            measured.append(
                (
                    max(overlap(found.box, place) for place in places),
                    float(any(_inside(found, place) for place in places)),
                    max(overlap(tile, place) for place in places),
                    max(_share(tile, place) for place in places),
                )
            )
    iou, pointing, by_tile, by_chance = (100 * np.array(measured)).T
    rows = [
        ("IoU of the region with the word", estimate(iou), estimate(by_tile), "the tile"),
        ("its centre lies on the word", estimate(pointing), estimate(by_chance), "any place of it"),
        ("regions with IoU ≥ 0.5", estimate(100.0 * (iou >= 50)), estimate(100.0 * (by_tile >= 50)),
         "the tile"),
    ]  # fmt: skip
    columns = Column("measure"), Column("model"), Column("chance"), Column("of", "")
    return Section("places", "places, in %", columns, rows)


def box(outline: NDArray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box of an outline [points, 2] in px, as shares of a photograph of (height, width)."""
    left, top = outline.min(0) / size[::-1]
    right, bottom = outline.max(0) / size[::-1]
    return float(left), float(top), float(right), float(bottom)


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    common = _common(one, other)
    union = _area(one) + _area(other) - common
    return common / union if union else 0.0


def _share(of: Sequence[float], other: Sequence[float]) -> float:
    return _common(of, other) / _area(of)


def _common(one: Sequence[float], other: Sequence[float]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


def _area(one: Sequence[float]) -> float:
    return (one[2] - one[0]) * (one[3] - one[1])


def _inside(found: Region, place: Sequence[float]) -> bool:
    return place[0] <= found.x <= place[2] and place[1] <= found.y <= place[3]


def _reliability(odds: NDArray, shown: NDArray) -> Section:
    """By bins of the probability; both kinds of pairs weigh the same."""
    probability, there = 1 / (1 + np.exp(-odds.ravel())), shown.ravel()
    weight = np.where(there, 0.5 / there.sum(), 0.5 / (~there).sum())
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    rows, error = [], 0.0
    for number in range(_BINS):
        here = place == number
        total = weight[here].sum()
        said = float((weight * probability)[here].sum() / total) if total else None
        right = float((weight * there)[here].sum() / total) if total else None
        error += 0 if said is None else float(total * abs(said - right))
        name = f"{100 * number // _BINS} to {100 * (number + 1) // _BINS} %"
        rows.append(
            (name, *(None if v is None else 100 * v for v in (said, right)), int(here.sum()))
        )
    rows.append(("mean gap", None, 100 * error, len(there)))
    columns = (
        Column("probability"), Column("said", "mean probability", PERCENT),
        Column("there", "are there", PERCENT), Column("pairs"),
    )  # fmt: skip
    return Section("reliability", "is it there? pairs at even odds", columns, rows)


def _absence(odds: NDArray, shown: NDArray, words: int) -> Section:
    best = odds.argmax(1)
    said = odds.max(1) >= log(SAID / (1 - SAID))
    right = shown[np.arange(len(shown)), best]
    rows = [
        ("words that are there, said to be found", estimate(100.0 * said[:words])),
        ("and the best photograph shows them", estimate(100.0 * (said & right)[:words])),
        ("words that are nowhere, said to be found (false alarms)", estimate(100.0 * said[words:])),
    ]
    return Section("absence", "in the whole gallery, in %", (Column("what"), Column("share")), rows)
