"""Where the model looks, held against where the words are. Positions serve to evaluate, only.

Everything is counted in image tokens: `coverage` says how much of each token a word's polygon
covers, so that attention (one value a token) can be summed inside the word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from mstar.data.benchmarks import Benchmark
from mstar.data.benchmarks.texts import can_be_asked, text_filter
from mstar.data.scenes.scene import Scene
from mstar.errors import UserError
from mstar.evaluate.metrics import estimate
from mstar.evaluate.table import Column, Section
from mstar.explain.looks import canvas, cross_attention, tile_count, together
from mstar.io.bench import Bench
from mstar.io.images import IMAGES_AT_ONCE
from mstar.model.assignment import UNASSIGNED, assign_per_image, place_of
from mstar.texts import Query

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
        cosine: [words, embeddings], look after look.
        queries: Q, to count by query token, whatever the look; None = by embedding.
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
            heads at the query token's look, of the tile that it looked at.
        word_area: share of that tile that the word takes: what even attention would reach.
        pointing, touched: the pointing game of the assigned query's map, and the share of tokens
            with any of the word in them, which a map without sense would reach.
        distinct, distinct_queries: `distinct_share` of images with at least two words, counted by
            vision embedding (all looks) and by query token.
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


class Outlined(NamedTuple):
    """An image with the places of its words; what stands there several times does so here.

    Attributes:
        image: as the processor takes it.
        words: texts, and their outlines [points, 2] of (x, y) in px.
        unread: outlines of text that is no word to ask for.
    """

    image: Any
    words: tuple[tuple[str, NDArray[np.float64]], ...]
    unread: tuple[NDArray[np.float64], ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        image = self.image
        return (image.height, image.width) if hasattr(image, "height") else image.shape[:2]

    @property
    def outlines(self) -> list[NDArray[np.float64]]:
        """Of all text."""
        return [*(polygon for _, polygon in self.words), *self.unread]


def outlined_scene(scene: Scene) -> Outlined:
    """A rendered scene."""
    return Outlined(scene.image, tuple((one.word, one.polygon) for one in scene.regions))


class OutlinedPhotographs(Sequence[Outlined]):
    """The photographs of a benchmark with their words, each opened when asked for.

    Raises:
        UserError: the benchmark does not outline its text.
    """

    def __init__(self, benchmark: Benchmark):
        if not benchmark.polygons or not any(benchmark.polygons):
            raise UserError(
                f"{benchmark.name} does not outline all of its text: take icdar2003, icdar2015, "
                "total-text, ctw1500 or a rendered one."
            )
        self.benchmark = benchmark
        self.places = [i for i, polygons in enumerate(benchmark.polygons) if polygons]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Outlined:
        place, benchmark = self.places[index], self.benchmark
        words, unread = [], []
        pairs = zip(benchmark.transcriptions[place], benchmark.polygons[place], strict=True)
        for text, polygon in pairs:
            word = text_filter(text)
            if len(word) > 2 and len(word.split()) == 1 and can_be_asked(word):
                words.append((word, polygon))
            else:
                unread.append(polygon)
        return Outlined(benchmark.images[place], tuple(words), tuple(unread))


@torch.no_grad()
def ground(
    bench: Bench,
    images: Sequence[Outlined],
    pve_steps: int | None = None,
    seed: int = 0,
    batch_size: int = IMAGES_AT_ONCE,
) -> Grounding:
    """Measure attention and masks on images whose words' places are known.

    Args:
        seed: of the random masks.
    """
    found = Grounding(*([] for _ in Grounding.__dataclass_fields__))
    rng = np.random.default_rng(seed)
    with bench.evaluating():
        for start in tqdm(range(0, len(images), batch_size), desc="attention", leave=False):
            batch = [images[i] for i in range(start, min(start + batch_size, len(images)))]
            _ground_batch(bench, batch, pve_steps, rng, found)
    return found


def _ground_batch(
    bench: Bench,
    images: Sequence[Outlined],
    pve_steps: int | None,
    rng: np.random.Generator,
    found: Grounding,
) -> None:
    words = sorted({word for one in images for word, _ in one.words}) or ["a"]
    written = [{word for word, _ in one.words} for one in images]
    own = torch.tensor([[word in texts for word in words] for texts in written])
    inputs = bench.inputs([one.image for one in images], [Query(word, "word") for word in words])
    points = ["pve.*.layers.*.cross_attention", "pve.0.attention_map", "pve.0.salient"]
    _, trace = bench.model.run_with_trace(
        {**inputs, "pve_steps": pve_steps}, [*points, "mim.similarity"]
    )
    cosine = trace["mim.similarity"]
    count = bench.config.num_query_tokens
    first_look = tile_count(trace) * count
    first = bench.config.assignment_steps == "first"
    assignable = cosine[..., :first_look] if first else cosine
    assignment = assign_per_image(assignable, own)
    for i, one in enumerate(images):
        maps = cross_attention(trace, i).mean((1, 3)).flatten(0, 2).numpy()  # [(T+1)·V·Q, …]
        for word, polygon in one.words:
            index = int(assignment[i, words.index(word)])
            if index != UNASSIGNED:
                tile = place_of(index, tile_count(trace), count).tile
                # how much of each token of the tile it covers; boxes are in shares of the image
                corners = trace.boxes[i, tile].double().numpy().reshape(2, 2) * one.size[::-1]
                (width, height), inside = corners[1] - corners[0], polygon - corners[0]
                covered = coverage([inside], (height, width), trace.grid)
                found.word_mass.append(mass_inside(maps[index], covered))
                found.word_area.append(float(covered.mean()))
                found.pointing.append(pointing_game(maps[index], covered))
                found.touched.append(float((covered > 0).mean()))
        chosen = cosine[i, own[i]].float().numpy()
        if len(chosen) >= 2:
            found.distinct.append(distinct_share(chosen))
            found.distinct_queries.append(distinct_share(chosen, count))
        grid = canvas(trace, i)
        text = coverage(one.outlines, one.size, grid)
        first = together(trace, trace["pve.0.attention_map"][i], i).numpy()
        found.text_mass.append(mass_inside(first, text))
        found.text_area.append(float(text.mean()))
        found.touched_mass.append(mass_inside(first, text > 0))
        found.touched_area.append(float((text > 0).mean()))
        salient = together(trace, trace["pve.0.salient"][i], i, True).numpy() > 0.5
        shuffled = rng.permutation(salient.ravel()).reshape(grid)
        found.mask.append(mask_iou(salient, text))
        found.random_mask.append(mask_iou(shuffled, text))


def measures(found: Grounding) -> Section:
    """What `ground` found, in %, with what each number is to be held against, if anything."""

    def row(name: str, values: list[float], against: str | None = None,
            reference: list[float] | None = None) -> tuple[Any, ...]:  # fmt: skip
        known = None if reference is None else estimate(100 * np.array(reference))
        return name, estimate(100 * np.array(values)), known, against

    half, random_half = ([iou >= 0.5 for iou in of] for of in (found.mask, found.random_mask))
    rows = [
        row("assigned query's attention inside its word", found.word_mass,
            "area of the word", found.word_area),
        row("its largest attention on the word (pointing game)", found.pointing,
            "share of such tokens", found.touched),
        row("words that choose an embedding of their own", found.distinct),
        row("words that choose a query of their own", found.distinct_queries),
        row("attention C₀ on text", found.text_mass, "area of text", found.text_area),
        row("attention C₀ on tokens with text", found.touched_mass,
            "share of such tokens", found.touched_area),
        row("IoU of the mask σ(C₀) with text", found.mask,
            "random mask of that area", found.random_mask),
        row("images whose mask has IoU ≥ 0.5", half, "random mask of that area", random_half),
    ]  # fmt: skip
    columns = (
        Column("measure"), Column("model"), Column("reference", "held against"),
        Column("against", ""),
    )  # fmt: skip
    return Section("grounding", "places, in %", columns, rows)
