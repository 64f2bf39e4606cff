"""Searching a gallery: ranking scores, and re-ranking the best of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from .evaluation import evaluating
from .modeling import MstarModel
from .outputs import ImageEncoding
from .processing import MstarProcessor


def rerank_count(images: int, ratio: float) -> int:
    """How many of a gallery's best images are re-ranked: max(2, ⌈ratio · images⌉), if there are.

    The released scripts take ⌊ratio · images⌋, which is nothing in a small gallery.
    """
    rounding = 1e-9  # 0.07 · 100 is a little more than 7
    return min(images, max(2, ceil(ratio * images - rounding)))


def rerank(
    scores: Tensor, probability: Tensor | Callable[[int, Tensor], Tensor], ratio: float
) -> Tensor:
    """Add the matching probability to each text's best images (official.md 12).

    Args:
        scores: [N, B], texts by images.
        probability: softmax of the matching logits, class 1, as [N, B]; or a function of a text's
            index and the indices of its k best images, best first, that computes them, [k].
        ratio: share of the gallery that is re-ranked, see `rerank_count`.

    Returns:
        [N, B]; the scores of all other images are unchanged.
    """
    best = scores.topk(rerank_count(scores.shape[1], ratio), dim=1).indices  # [N, k]
    if isinstance(probability, Tensor):
        added = probability.gather(1, best)
    else:
        added = torch.stack([probability(text, images) for text, images in enumerate(best)])
    return scores.scatter_add(1, best, added.to(scores))


@dataclass(frozen=True)
class Hit:
    """One image of a ranked gallery.

    Attributes:
        image: its index in the gallery.
        rank, score: in the final ranking; 1 = first.
        cosine_rank, cosine: by cosine alone.
        probability: that the text is in the image, by the matching head; NaN = not re-ranked.
        step, query: the vision embedding that counted most, see `deciding_embeddings`.
    """

    image: int
    rank: int
    score: float
    cosine_rank: int
    cosine: float
    probability: float
    step: int
    query: int


class Gallery:
    """Images embedded once, in memory, and searched by text.

    Args:
        images: what the processor takes.
        steps: T; None = the configuration's.
    """

    def __init__(
        self,
        model: MstarModel,
        processor: MstarProcessor,
        images: Sequence[Image.Image],
        steps: int | None = None,
        batch_size: int = 16,
    ):
        if not len(images):
            raise ValueError("a gallery needs at least one image.")
        self.model, self.processor = model, processor
        parts = []
        with evaluating(model), torch.no_grad():
            for start in tqdm(range(0, len(images), batch_size), desc="gallery", leave=False):
                batch = list(images[start : start + batch_size])
                pixels = processor(images=batch)["pixel_values"].to(model.device, model.dtype)
                parts.append(model.encode_images(pixels, steps))
        self._images = ImageEncoding(
            torch.cat([part.tokens for part in parts]),
            parts[0].grid,
            [],
            torch.cat([part.embeddings for part in parts]),
            torch.cat([part.features for part in parts]),
        )

    def __len__(self) -> int:
        return len(self._images.features)

    @torch.no_grad()
    def search(self, text: str, style: str, ratio: float | None = None) -> list[Hit]:
        """Every image, best first: by cosine, the best of them re-ranked by the matching head.

        Args:
            ratio: share that is re-ranked, see `rerank_count`; None = the configuration's.
        """
        model = self.model
        data = self.processor(text=[text], styles=[style]).to(model.device)
        ids, attention = data["input_ids"], data["attention_mask"]
        encoded = model.encode_texts(ids, attention)
        cosine = model.score(self._images, encoded, data["is_word"])  # [1, B]

        probability: dict[int, float] = {}  # of the images that are re-ranked

        def matched(_: int, best: Tensor) -> Tensor:
            rows = len(best)
            pairs = ids.expand(rows, -1), attention.expand(rows, -1)
            found = model.match(self._images.tokens[best], *pairs).softmax(-1)[:, 1]
            probability.update(zip(best.tolist(), found.tolist(), strict=True))
            return found

        ratio = model.config.rerank_ratio if ratio is None else ratio
        final = rerank(cosine, matched, ratio)[0]
        chosen = model.deciding_embeddings(self._images, encoded, data["is_word"])[0]
        by_cosine = _ranks(cosine[0])
        hits = []
        for rank, image in enumerate(final.argsort(descending=True, stable=True).tolist(), 1):
            step, query = divmod(int(chosen[image]), model.config.num_query_tokens)
            hits.append(
                Hit(
                    image,
                    rank,
                    float(final[image]),
                    by_cosine[image],
                    float(cosine[0, image]),
                    probability.get(image, float("nan")),
                    step,
                    query,
                )
            )
        return hits


def _ranks(scores: Tensor) -> dict[int, int]:
    order = scores.argsort(descending=True, stable=True).tolist()
    return {image: rank for rank, image in enumerate(order, 1)}
