"""How a run is judged while it trains, on images that it does not train on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mstar.data.lists.photographs import Photographs
from mstar.data.scenes import sandbox
from mstar.evaluate.metrics import mean_average_precision
from mstar.io.bench import Bench
from mstar.io.images import open_image
from mstar.model.modeling import MstarModel
from mstar.texts import Query
from mstar.training import reading
from mstar.training.batching import normalise
from mstar.training.recipes import READING, Stage


def judge(
    stage: Stage,
    bench: Bench,
    head: reading.ReadingHead | None,
    seed: int,
) -> dict[str, float]:
    """`exact_match` where it learns to read, `map` on scenes, nothing on strips and photographs."""
    with bench.evaluating(), torch.no_grad():
        if stage.objective == READING:
            return {"exact_match": exact_match(bench.model, head, seed)}
        if stage.data.kind == "rendered" and stage.data.of == "scenes":
            return {"map": quick_map(bench, seed, stage.pve_steps)}
        if stage.data.kind == "mixed":
            scenes = quick_map(bench, seed, stage.pve_steps, sandbox.HARD, 100)
            lists = [part for _, part in stage.data.parts if part.kind == "photographs"]
            photos = photograph_map(bench, lists, stage.pve_steps)
            return {"map": scenes, "map_photographs": photos}
    return {}


def exact_match(model: MstarModel, head: reading.ReadingHead, seed: int, count: int = 400) -> float:
    """Share of held-out strips that are read without an error."""
    strips = [sandbox.strip(seed, i, split="test") for i in range(count)]
    images = torch.stack([torch.from_numpy(strip.image) for strip in strips])
    read = [
        word
        for chunk in images.split(100)
        for word in reading.read(model.vision, head, normalise(chunk.to(model.device)))
    ]
    return sum(a == b.word for a, b in zip(read, strips, strict=True)) / count


def quick_map(
    bench: Bench,
    seed: int,
    pve_steps: int,
    difficulty: sandbox.Difficulty = sandbox.EASY,
    images: int = 300,
) -> float:
    """MAP in % of 40 words per 100 images, half of them never seen in training."""
    words = images // 5
    gallery = sandbox.gallery(seed, difficulty, images=images, seen=words, unseen=words)
    words = [query for query in gallery.queries if query.style == "word"]
    asked = [query.asked for query in words]
    scores = bench.scores(gallery.images, asked, pve_steps)
    return mean_average_precision([q.relevant for q in words], scores).value


def photograph_map(bench: Bench, lists: Sequence[Photographs], pve_steps: int) -> float:
    """MAP in % of all words of three characters or more on the photographs that are held out.

    A word counts as absent where a list does not have it, also of incomplete lists.
    """
    found = [entry for data in lists for entry, _ in replace(data, held_out=True).found()]
    read_as = bench.processor.read_as
    written = [
        {read_as(t) for t, s in zip(one.texts, one.styles, strict=True) if s == "word"}
        for one in found
    ]
    words = sorted({word for one in written for word in one if len(word) >= 3})
    if not words:
        return float("nan")
    photos = [open_image(entry.image) for entry in found]
    scores = bench.scores(photos, [Query(word, "word") for word in words], pve_steps, batch_size=8)
    relevant = [np.array([word in one for one in written]) for word in words]
    return mean_average_precision(relevant, scores).value
