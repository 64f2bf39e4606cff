"""Where the model looks, held against where the words are. Positions serve to evaluate, only.

Everything is counted in image tokens: `coverage` says how much of each token a word's polygon
covers, so that attention (one value a token) can be summed inside the word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from .data.scenes import Scene
from .explain import canvas, embedding_maps, tile_count, together
from .inference import evaluating
from .matching import UNASSIGNED, assign_per_image
from .modeling import MstarModel
from .processing import MstarProcessor

_FINE = 4  # samples along each side of a token


def coverage(
    polygons: Sequence[ArrayLike], image_size: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float64]:
    """Share of every token that the union of polygons covers, in [0, 1].

    Args:
        polygons: each [points, 2] of (x, y) in px; x runs from 0 at the left edge to the width.
        image_size: (height, width) in px.
        grid: (grid_h, grid_w).

    Returns:
        [grid_h, grid_w], sampled at 4×4 points a token.
    """
    height, width = image_size
    y = (np.arange(grid[0] * _FINE) + 0.5)[:, None] * (height / grid[0] / _FINE)
    x = (np.arange(grid[1] * _FINE) + 0.5)[None, :] * (width / grid[1] / _FINE)
    samples = np.zeros((y.size, x.size), dtype=bool)
    for polygon in polygons:
        samples |= _inside(np.asarray(polygon, dtype=float), x, y)
    return samples.reshape(grid[0], _FINE, grid[1], _FINE).mean(axis=(1, 3))


def _inside(polygon: NDArray[np.float64], x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Whether points are inside a polygon: a ray to the right meets its outline an odd number of
    times. (Pillow's polygons also fill the pixels on the outline, so small words would grow.)"""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (x1 - x0) * (y - y0) / (y1 - y0))
    return inside


def mass_inside(attention: ArrayLike, covered: ArrayLike) -> float:
    """Share of attention on covered ground; both [grid_h, grid_w]."""
    attention = np.asarray(attention, dtype=float)
    return float((attention * np.asarray(covered)).sum() / attention.sum())


def mask_iou(mask: ArrayLike, covered: ArrayLike) -> float:
    """Intersection over union of a token mask with partly covered tokens; both [grid_h, grid_w].

    The same as the IoU in pixels of the mask enlarged to the image.
    """
    mask, covered = np.asarray(mask, dtype=float), np.asarray(covered, dtype=float)
    union = np.maximum(mask, covered).sum()
    return float(np.minimum(mask, covered).sum() / union) if union else 0.0


def pointing_game(values: ArrayLike, covered: ArrayLike) -> float:
    """Whether the largest value of a map lies on what it should: 1 or 0 (Zhang et al. 2016).

    Of several largest values the share that does. The usual tolerance of 15 pixels is here the
    token: one that the region only touches is a hit.

    Args:
        values, covered: [grid_h, grid_w].
    """
    values = np.asarray(values, dtype=float)
    return float((np.asarray(covered, dtype=float) > 0)[values == values.max()].mean())


def distinct_share(cosine: ArrayLike, queries: int | None = None) -> float:
    """Share of an image's words that have a vision embedding to themselves, by own choice.

    Every word chooses its best embedding alone; with n words and k different choices it is k / n.

    Args:
        cosine: [words, embeddings], step after step.
        queries: Q, to count by learnable query, whatever the step; None = by embedding.
    """
    chosen = np.asarray(cosine).argmax(axis=1)
    if queries is not None:
        chosen = chosen % queries
    return len(set(chosen.tolist())) / len(chosen)


@dataclass(frozen=True)
class Grounding:
    """What `ground` measured. One value a word, or one value an image, in [0, 1].

    Attributes:
        word_mass: share of the assigned query's cross-attention inside the word; the query is
            assigned among the words of the image (Hungarian), the map is the mean over layers and
            heads at the query's step.
        word_area: share of the image that the word takes: what even attention would reach.
        pointing, touched: the pointing game of the assigned query's map, and the share of tokens
            with any of the word in them, which a map without sense would reach.
        distinct, distinct_queries: `distinct_share` of images with at least two words, counted by
            vision embedding (all steps) and by learnable query.
        text_mass: share of C₀ on text.
        text_area: share of the image that text takes.
        touched_mass, touched_area: share of C₀ on, and of the image in, tokens with any text in
            them. Attention is no finer than a token, and text ends inside of one.
        mask: IoU of σ(C₀) with the text.
        random_mask: IoU of as many tokens at random places.
    """

    word_mass: list[float]
    word_area: list[float]
    pointing: list[float]
    touched: list[float]
    distinct: list[float]
    distinct_queries: list[float]
    text_mass: list[float]
    text_area: list[float]
    touched_mass: list[float]
    touched_area: list[float]
    mask: list[float]
    random_mask: list[float]


@torch.no_grad()
def ground(
    model: MstarModel,
    processor: MstarProcessor,
    scenes: Sequence[Scene],
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 25,
) -> Grounding:
    """Measure attention and masks on scenes whose word polygons are known.

    Args:
        steps: T; None = the configuration's.
        seed: of the random masks.
    """
    found = Grounding(*([] for _ in Grounding.__dataclass_fields__))
    rng = np.random.default_rng(seed)
    with evaluating(model):
        for start in range(0, len(scenes), batch_size):
            _ground_batch(model, processor, scenes[start : start + batch_size], steps, rng, found)
    return found


def _ground_batch(
    model: MstarModel,
    processor: MstarProcessor,
    scenes: Sequence[Scene],
    steps: int | None,
    rng: np.random.Generator,
    found: Grounding,
) -> None:
    words = sorted({region.word for scene in scenes for region in scene.regions})
    own = torch.tensor([[w in {r.word for r in scene.regions} for w in words] for scene in scenes])
    inputs = processor(images=[scene.image for scene in scenes], text=words).to(model.device)
    points = ["pve.*.layers.*.cross_attention", "pve.0.attention_map", "pve.0.salient"]
    _, trace = model.run_with_trace({**inputs, "steps": steps}, [*points, "mim.similarity"])
    cosine = trace["mim.similarity"]
    count = model.config.num_query_tokens
    first_look = tile_count(trace) * count
    assignable = cosine[..., :first_look] if model.config.assignment_steps == "first" else cosine
    assignment = assign_per_image(assignable, own)
    for i, scene in enumerate(scenes):
        size, grid = scene.image.shape[:2], canvas(trace, i)
        maps = embedding_maps(trace, i).numpy()
        for region in scene.regions:
            index = int(assignment[i, words.index(region.word)])
            covered = coverage([region.polygon], size, grid)
            if index != UNASSIGNED:
                found.word_mass.append(mass_inside(maps[index], covered))
                found.word_area.append(float(covered.mean()))
                found.pointing.append(pointing_game(maps[index], covered))
                found.touched.append(float((covered > 0).mean()))
        chosen = cosine[i, own[i]].float().numpy()
        if len(chosen) >= 2:
            found.distinct.append(distinct_share(chosen))
            found.distinct_queries.append(distinct_share(chosen, count))
        text = coverage([region.polygon for region in scene.regions], size, grid)
        first = together(trace, trace["pve.0.attention_map"][i], i).numpy()
        found.text_mass.append(mass_inside(first, text))
        found.text_area.append(float(text.mean()))
        found.touched_mass.append(mass_inside(first, text > 0))
        found.touched_area.append(float((text > 0).mean()))
        salient = together(trace, trace["pve.0.salient"][i], i, True).numpy() > 0.5
        shuffled = rng.permutation(salient.ravel()).reshape(grid)
        found.mask.append(mask_iou(salient, text))
        found.random_mask.append(mask_iou(shuffled, text))
