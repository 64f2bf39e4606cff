"""Do maps of evidence point at the text? Methods of `attribution` against the words' places.

Every number stands beside what a map without sense reaches, and beside raw attention. Whether a
map says anything of the model at all is asked apart: with shuffled weights it has to look
different (Adebayo et al. 2018). Positions serve to evaluate, only.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor
from tqdm.auto import tqdm

from mstar.data.scenes import sandbox
from mstar.evaluate.cases import cases
from mstar.evaluate.grounding import mask_iou, pointing_game
from mstar.evaluate.metrics import estimate, paired
from mstar.evaluate.table import COUNTED, PERCENT, Column, Result, Section
from mstar.explain.attribution import METHODS, Scorer, attribute, known
from mstar.io.bench import Bench, without_hooks
from mstar.io.images import IMAGES_AT_ONCE
from mstar.model.modeling import MstarModel
from mstar.texts import STYLES
from mstar.tiles import in_tiles

#: Shares of the tokens at which an image is scored again.
SHARES = tuple(np.linspace(0, 1, 11).tolist())
#: What is shuffled for the sanity check, from the scores downwards: each has all before it too.
PARTS = {
    "heads": ("vision_projection", "text_projection", "aggregator"),
    "and ψ": ("multimodal", "vision.mlp", "sas"),
    "and φ": ("vision.siglip",),
}
#: The floor of the sanity check: a map of the same model for another query and scene.
ANOTHER = "another case"


class Localised(NamedTuple):
    """One map, measured; None of it needs a unit of the map, only its order.

    Attributes:
        pointing: see `grounding.pointing_game`.
        iou: of as many of the largest tokens as the text has, with the text.
        deletion: mean score while the largest tokens are covered first; low = they were needed.
        insertion: mean score while the largest tokens come first into an even image; high = they
            are enough (both Petsiuk et al. 2018).
    """

    pointing: float
    iou: float
    deletion: float
    insertion: float


MEASURES = Localised._fields


def order(values: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tokens by their value, the largest first; equal ones at random, not by their place."""
    values = np.asarray(values, dtype=float).ravel()
    return np.lexsort((rng.random(values.size), -values))


@torch.no_grad()
def curves(
    scorer: Scorer,
    pixels: Tensor,
    boxes: Tensor,
    ranked: NDArray[np.int64],
    grid: tuple[int, int],
    batch_size: int = IMAGES_AT_ONCE,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores while tokens are deleted, and while they are inserted, at each of `SHARES`.

    Args:
        pixels, boxes: [1, V, 3, H, W] and [1, V, 4].
        ranked: cells of a grid over the photograph, the first to go (or to come) first.
        batch_size: changed images that pass through the model at once.

    Returns:
        deletion and insertion, [len(SHARES)] each. A deleted token has the image's mean colour.
    """
    even = pixels[:, :1].mean((3, 4), keepdim=True).expand_as(pixels)
    taken = torch.zeros(len(SHARES), len(ranked), dtype=torch.bool)
    for row, share in zip(taken, SHARES, strict=True):
        row[torch.from_numpy(ranked[: round(share * len(ranked))])] = True
    cells = taken.unflatten(1, grid).numpy()
    placed = in_tiles(cells, boxes[0].cpu().numpy(), tuple(pixels.shape[-2:]))
    taken = torch.from_numpy(placed)[:, :, None].to(pixels.device)  # [shares, V, 1, H, W]
    images = torch.cat([torch.where(taken, even, pixels), torch.where(taken, pixels, even)])
    parts = [scorer(part)[:, 0] for part in images.split(batch_size)]
    scores = torch.cat(parts).double().cpu().numpy()
    return scores[: len(SHARES)], scores[len(SHARES) :]


def measure(
    values: ArrayLike,
    covered: NDArray[np.float64],
    scorer: Scorer,
    pixels: Tensor,
    boxes: Tensor,
    rng: np.random.Generator,
) -> Localised:
    """Hold one map against the places of its text, and against the model.

    Args:
        values, covered: [rows, columns] over the photograph.
        scorer: of the map's text.
        pixels, boxes: the image, [1, V, 3, H, W], and its tiles, [1, V, 4].
        rng: draws among equal values.
    """
    ranked = order(values, rng)
    largest = np.zeros(covered.size)
    largest[ranked[: max(1, round(covered.sum()))]] = 1
    deletion, insertion = curves(scorer, pixels, boxes, ranked, covered.shape)
    return Localised(
        pointing_game(values, covered),
        mask_iou(largest.reshape(covered.shape), covered),
        float(np.trapezoid(deletion, SHARES)),
        float(np.trapezoid(insertion, SHARES)),
    )


def shuffled(model: MstarModel, parts: Sequence[str], seed: int) -> MstarModel:
    """A copy whose weights of these parts are shuffled within each tensor, running means too.

    They are as large as before and know nothing.
    """
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in copied.state_dict().items():  # the values themselves, no copies
            if name.startswith(tuple(parts)):
                dealt = torch.randperm(values.numel(), generator=generator).to(values.device)
                values.copy_(values.flatten()[dealt].view_as(values))
    return copied


def likeness(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two maps; 0 if one of them is even."""
    ranks = np.stack([rankdata(np.ravel(values)) for values in (first, second)])
    if (ranks.std(axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def evaluate_localisation(
    bench: Bench,
    difficulty: str = "easy",
    seed: int = 0,
    scenes: int = 300,
    per_style: int = 25,
    checked: int = 5,
    methods: Sequence[str] = tuple(METHODS),
    pve_steps: int | None = None,
) -> Result:
    """Measure every method on queries of all styles, on rendered scenes.

    Sections: `measures`, means in % by style (`all` = of all) and method, see `Localised`;
    `against`, each less that of raw attention, paired by query; `touched`, the share of the tokens
    that the answer touches, which an even map reaches in the pointing game; and `sanity`, by
    method the rank correlation × 100 with the map of the model before its weights were shuffled:
    as low as `ANOTHER` = the map depends on these weights, or is even without them. `missed` is
    the share of what integrated gradients have to add up to that they lack or exceed.

    Args:
        difficulty, scenes: of the gallery from which the queries come, see `judging_gallery`.
        seed: of the scenes, of random maps and of shuffled weights.
        per_style: queries of each style, as far as the gallery has them.
        checked: of these, with which the sanity check is made, the most expensive part; weights are
            shuffled anew for each.
        methods: of `METHODS`; raw attention is always among them.

    Raises:
        UserError: an unknown method or difficulty, too few scenes or queries, or hooks on the
            model.
    """
    without_hooks(bench.model, "evaluate_localisation")
    pve_steps = bench.config.pve_steps_from(pve_steps)
    methods = list(dict.fromkeys(["attention", *known(methods)]))
    gallery = sandbox.judging_gallery(difficulty, seed, scenes)
    found = cases(gallery, per_style)
    measured: dict[str, list[Localised]] = {name: [] for name in (*methods, "random")}
    correlated: dict[tuple[str, str], list[float]] = defaultdict(list)
    gaps: list[tuple[float, float]] = []
    before: dict[str, NDArray[np.float32]] = {}
    touched: list[float] = []
    done = Counter[str]()
    with bench.evaluating():
        for number, case in enumerate(tqdm(found, desc="localisation", unit="query", leave=False)):
            image, asked = case.scene.image, [case.query]
            (maps,) = attribute(bench, image, asked, methods, pve_steps)
            scorer = Scorer(bench, asked, pve_steps)
            given = bench.inputs([image])
            pixels, boxes = given["pixel_values"], given["tile_boxes"]
            if "integrated_gradients" in maps:
                whole = maps["integrated_gradients"]
                gaps.append((abs(whole.gap), abs(float(whole.values.sum()) - whole.gap)))
            values = {name: maps[name].values.numpy() for name in methods}
            covered = case.covered(values["attention"].shape)
            touched.append(100 * (covered > 0).mean())
            values["random"] = np.random.default_rng([seed, number]).random(covered.shape)
            for name, one in values.items():
                # numbers of its own, so that a method is measured alike whatever stands beside it
                rng = np.random.default_rng([seed, number, *name.encode()])
                measured[name].append(measure(one, covered, scorer, pixels, boxes, rng))
            if before:
                for method in methods:
                    correlated[method, ANOTHER].append(likeness(values[method], before[method]))
            before = values
            done[case.query.style] += 1
            if done[case.query.style] > checked:
                continue
            for part, names in zip(PARTS, accumulate(PARTS.values()), strict=True):
                other = Bench(shuffled(bench.model, names, seed + number), bench.processor)
                (theirs,) = attribute(other, image, asked, methods, pve_steps)
                for method in methods:
                    alike = likeness(values[method], theirs[method].values.numpy())
                    correlated[method, part].append(alike)
    about = dict(
        difficulty=difficulty, seed=seed, scenes=scenes, per_style=per_style, queries=len(found),
        checked=checked, methods=methods, pve_steps=pve_steps, gallery=gallery.hash,
    )  # fmt: skip
    styles = np.array([case.query.style for case in found])
    groups = {"all": np.ones(len(styles), dtype=bool)}
    groups |= {style: styles == style for style in STYLES if (styles == style).any()}
    even = [(style, estimate(np.array(touched)[rows])) for style, rows in groups.items()]
    columns = (Column("style", "queries"), Column("touched", "in %", COUNTED))
    sections = [
        *_measured(groups, measured),
        Section("touched", "an even map points right in", columns, even),
        _sanity(methods, correlated, gaps),
    ]
    return Result("localisation", about, sections)


def _measured(
    groups: dict[str, NDArray[np.bool_]], measured: dict[str, list[Localised]]
) -> tuple[Section, Section]:
    """The measures in %, and what they are less those of raw attention."""
    table = {name: [*(100 * np.array(of)).T] for name, of in measured.items()}
    own, against = [], []
    for style, rows in groups.items():
        for name, of in table.items():
            own.append((style, name, *(estimate(values[rows]) for values in of)))
            pairs = zip(of, table["attention"], strict=True)
            against.append((style, name, *(paired(a[rows], b[rows]).difference for a, b in pairs)))
    columns = (Column("style", "queries"), Column("method"), *map(Column, MEASURES))
    return (
        Section("measures", "maps against the text, in %", columns, own, keys=2),
        Section("against", "less raw attention, paired by query", columns, against, keys=2),
    )


def _sanity(
    methods: Sequence[str],
    correlated: Mapping[tuple[str, str], list[float]],
    gaps: list[tuple[float, float]],
) -> Section:
    others = (*PARTS, ANOTHER)
    missed, whole = np.array(gaps).T if gaps else (np.nan, np.nan)
    misses = {"integrated_gradients": float(100 * np.mean(missed) / np.mean(whole))}
    columns = (
        Column("method"), *map(Column, others),
        Column("missed", "misses of its sum", PERCENT),
    )  # fmt: skip
    rows = [
        (method, *(estimate(100 * np.array(correlated[method, one])) for one in others),
         misses.get(method))
        for method in methods
    ]  # fmt: skip
    title = "rank correlation × 100 with the map of the same model after its weights were shuffled"
    return Section("sanity", f"{title}, and with a map of {ANOTHER}", columns, rows)
