"""How a run is judged while it trains, on images that it does not train on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mstar.data.lists.annotations import Annotation
from mstar.data.lists.photographs import Few, Photographs
from mstar.data.scenes import sandbox
from mstar.evaluate.metrics import mean_average_precision
from mstar.io.bench import Bench
from mstar.io.images import open_image
from mstar.model.modeling import MstarModel
from mstar.texts import Query
from mstar.training import reading
from mstar.training.batching import normalise
from mstar.training.recipes import READING, Stage

#: Steps between two looks at how good the model is, unless a stage says otherwise.
_EVERY = 1000
#: Photographs among which those that judge have to be found, at most.
_AMONG = 200


def due(stage: Stage, step: int, steps: int) -> bool:
    """Whether the model is judged after so many steps of a stage; its end always is."""
    if not stage.judged:
        return step % _EVERY == 0 or step == steps
    return step in {round(steps * part / stage.judged) for part in range(stage.judged + 1)}


def judge(
    stage: Stage,
    bench: Bench,
    head: reading.ReadingHead | None,
    seed: int,
) -> dict[str, float]:
    """`exact_match` where it learns to read, `map` on scenes, nothing on strips and photographs.

    Of few photographs, `map_photographs` of those held out among the others.
    """
    with bench.evaluating(), torch.no_grad():
        if stage.objective == READING:
            return {"exact_match": exact_match(bench.model, head, seed)}
        if stage.data.kind == "rendered" and stage.data.of == "scenes":
            return {"map": quick_map(bench, seed, stage.pve_steps)}
        if few := [part for _, part in getattr(stage.data, "parts", ()) if isinstance(part, Few)]:
            return {"map_photographs": few_map(bench, few, stage.pve_steps)}
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
    written = [_words(bench, entry) for entry in found]
    words = sorted({word for one in written for word in one if len(word) >= 3})
    if not words:
        return float("nan")
    photos = [open_image(entry.image) for entry in found]
    scores = bench.scores(photos, [Query(word, "word") for word in words], pve_steps, batch_size=8)
    relevant = [np.array([word in one for one in written]) for word in words]
    return mean_average_precision(relevant, scores).value


def few_map(bench: Bench, lists: Sequence[Few], pve_steps: int) -> float:
    """MAP in % of the words on the photographs that are held out, among those trained on too.

    Of a word, photographs that were trained on and show it are left out of the ranking: they would
    answer it by heart. NaN where those held out show no word.
    """
    held, others = (
        [entry for data in lists for entry, _ in replace(data, held_out=out).found()]
        for out in (True, False)
    )
    every = [*held, *others[:_AMONG]]
    written = [_words(bench, entry) for entry in every]
    words = sorted(set().union(*written[: len(held)]))
    if not words:
        return float("nan")
    paths, asked = [entry.image for entry in every], [Query(word, "word") for word in words]
    scores = bench.scores(paths, asked, pve_steps, batch_size=8)
    shows = np.array([[word in one for one in written] for word in words])
    trained = np.arange(len(every)) >= len(held)
    kept = [~(trained & row) for row in shows]
    found = [
        mean_average_precision([row[keep]], one[None, keep]).value
        for row, one, keep in zip(shows, scores, kept, strict=True)
    ]
    return float(np.mean(found))


def _words(bench: Bench, entry: Annotation) -> set[str]:
    """The words of a photograph's list, as the processor reads them."""
    texts = zip(entry.texts, entry.styles, strict=True)
    return {bench.processor.read_as(text) for text, style in texts if style == "word"}
