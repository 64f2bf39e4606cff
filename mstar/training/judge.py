"""How a run is judged while it trains, on fresh images."""

import torch

from ..data import sandbox
from ..evaluation import mean_average_precision
from ..inference import evaluating, rank_gallery
from ..modeling import MstarModel
from ..processing import MstarProcessor
from . import reading
from .batching import normalise
from .recipes import READING, Stage


def judge(
    stage: Stage,
    model: MstarModel,
    processor: MstarProcessor,
    head: reading.ReadingHead | None,
    seed: int,
) -> dict[str, float]:
    """`exact_match` where it learns to read, `map` on scenes, nothing on strips and photographs."""
    with evaluating(model), torch.no_grad():
        if stage.objective == READING:
            return {"exact_match": exact_match(model, head, seed)}
        if stage.data.kind == "rendered" and stage.data.of == "scenes":
            return {"map": quick_map(model, processor, seed, stage.pve_steps)}
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


def quick_map(model: MstarModel, processor: MstarProcessor, seed: int, steps: int) -> float:
    """MAP in % of 120 words, half of them never seen in training, on 300 images."""
    gallery = sandbox.gallery(seed, sandbox.EASY, images=300, seen=60, unseen=60)
    words = [query for query in gallery.queries if query.style == "word"]
    asked = [query.asked for query in words]
    scores = rank_gallery(model, processor, gallery.images, asked, steps=steps)
    return mean_average_precision([q.relevant for q in words], scores).value
