"""What each difference between the paper and the released code does to a trained model.

One field of the semantics at a time is switched from the paper's to the released one, and all
together, at inference: the weights stay. Images are mosaics of four rendered scenes, whose grid is
twice as fine as a scene's: on smaller ones the released masks are almost always empty. φ sees each
scene by itself, so that letters are as large as it knows them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.evaluate.grounding import coverage, mask_iou
from mstar.evaluate.metrics import Estimate, average_precisions, estimate, paired
from mstar.evaluate.table import Column, Result, Section
from mstar.experiments.ablation import features
from mstar.io.bench import Bench, computed_as, without_hooks
from mstar.model.configuration import SEMANTICS
from mstar.search.gallery import Gallery
from mstar.texts import STYLES, Query

SIDE = 2
#: Fields that only training reads, and one that only re-ranking does.
TRAINING = ("recycled_temperature", "multi_word_projected", "stop_gradient", "train_last_norm",
            "t2v_weight", "v2t_weight")  # fmt: skip


_LOOKS = (
    Column("field", "switched"), Column("paper"), Column("released"),
    Column("masked", "hidden, %"), Column("iou", "IoU with text"),
    Column("moved", "attention moved"), Column("reassigned", "words reassigned"),
)  # fmt: skip


def compare_semantics(
    bench: Bench, seed: int = 0, scenes: int = 400, pve_steps: int | None = None
) -> Result:
    """Switch every field that inference reads, one at a time and all together.

    Each section has a row a field; `paper` = nothing is switched, `released` = everything. `looks`,
    in %: `masked`, share of the tokens that are masked as keys of S (ψ reads them all the same),
    `iou` of the hidden tokens with the text, `moved`, share of the last look's attention that lies
    elsewhere than with the paper's semantics (total variation), and `reassigned`, share of an
    image's words that are assigned another vision embedding. `map`: MAP by style. `change`: of the
    AP, paired by query with the paper's.

    Args:
        seed: of the scenes.
        scenes: how many are drawn; four make a mosaic.
        pve_steps: T, 1 or more; None = the configuration's.

    Raises:
        UserError: T = 0, where there is no mask, or hooks on the model.
    """
    without_hooks(bench.model, "compare_semantics")
    pve_steps = bench.config.pve_steps_from(pve_steps)
    if pve_steps < 1:
        raise UserError(
            f"masks need a second look: pve_steps (T) must be 1 or more; got {pve_steps}."
        )
    gallery = sandbox.judging_gallery("easy", seed, scenes)
    made = mosaics(gallery.scenes)
    asked = [query.asked for query in gallery.queries]
    relevant = np.array([[sandbox.matches(one, *query) for one in made] for query in asked])
    kept = relevant.any(1)  # all, but for what the cut at whole mosaics left out
    relevant = relevant[kept]
    asked = [query for query, keep in zip(asked, kept, strict=True) if keep]
    tokens = features.mosaics(features.tokens_of(bench, gallery.images), SIDE)
    looking = copy.copy(bench.model)
    vision = features.PrecomputedVision(bench.model.vision)
    looking._modules = {**bench.model._modules, "vision": vision}
    looking.config = copy.copy(bench.config)
    given = Bench(looking, features.TokenProcessor(bench.processor))
    paper, released = (dict(SEMANTICS[name]) for name in ("paper", "released"))
    switched = {"paper": paper}
    for name in paper:
        if name not in (*TRAINING, "rerank_ratio", "rerank_weight"):
            switched[name] = paper | {name: released[name]}
    switched["released"] = released
    found = {}
    for name, fields in tqdm(switched.items(), desc="semantics"):
        with computed_as(looking, fields):
            found[name] = _measure(given, tokens, made, asked, relevant, pve_steps)
    about = dict(
        mosaics=len(made), grid=f"{found['paper'].grid[0]} × {found['paper'].grid[1]}",
        queries=len(asked), pve_steps=pve_steps, seed=seed, gallery=gallery.hash,
    )  # fmt: skip
    style = np.array([query.style for query in asked])
    groups = {one: style == one for one in STYLES if (style == one).any()}
    looks, precisions, change = [], [], []
    for name, one in found.items():
        values = (paper.get(name), released.get(name))
        looks.append((name, *values, *_shares(one, found["paper"])))
        pairs = [
            paired(one.precisions[rows], found["paper"].precisions[rows])
            for rows in groups.values()
        ]
        precisions.append((name, *(pair.first for pair in pairs)))
        change.append((name, *(pair.difference for pair in pairs)))
    columns = (Column("field", "switched"), *map(Column, groups))
    sections = [
        Section("looks", "masks, attention and assignments", _LOOKS, looks),
        Section("map", "MAP, %", columns, precisions),
        Section("change", "against paper, paired", columns, change[1:]),
    ]
    return Result("paper against released", about, sections)


def mosaics(scenes: Sequence[sandbox.Scene]) -> list[sandbox.Scene]:
    """Every `SIDE`² scenes as one, with the places of their words; the rest is left out."""
    each, found = SIDE**2, []
    for start in range(0, len(scenes) - each + 1, each):
        parts = scenes[start : start + each]
        size = len(parts[0].image)
        regions = []
        for number, part in enumerate(parts):
            y, x = divmod(number, SIDE)
            shift = np.array([x * size, y * size])
            regions += [
                replace(one, polygon=one.polygon + shift, line=1000 * number + one.line)
                for one in part.regions
            ]
        rows = [np.hstack([part.image for part in parts[at : at + SIDE]])
                for at in range(0, each, SIDE)]  # fmt: skip
        things = tuple(thing for part in parts for thing in part.things)
        found.append(sandbox.Scene(np.vstack(rows), (), (), tuple(regions), things))
    return found


@dataclass(frozen=True, eq=False)
class _Measured:
    """By mosaic: hidden tokens and their IoU with text, the last attention map, assignments."""

    grid: tuple[int, int]
    masked: NDArray[np.float64]
    iou: NDArray[np.float64]
    attention: list[Tensor]
    assigned: list[Tensor]
    precisions: NDArray[np.float64]  # by query


@torch.no_grad()
def _measure(
    bench: Bench,
    tokens: Sequence[NDArray[np.float16]],
    scenes: Sequence[sandbox.Scene],
    asked: Sequence[Query],
    relevant: NDArray[np.bool_],
    pve_steps: int,
) -> _Measured:
    masked, iou, attention, assigned, grid = [], [], [], [], (0, 0)
    points = ["pve.0.salient", f"pve.{pve_steps}.attention_map", "mim.assignment"]
    with bench.evaluating():
        for one, scene in zip(tokens, scenes, strict=True):
            words = list(dict.fromkeys(region.word for region in scene.regions))
            inputs = {
                **bench.inputs([one]),
                **bench.inputs(texts=[Query(word, "word") for word in words]),
            }
            _, trace = bench.model.run_with_trace({**inputs, "pve_steps": pve_steps}, points)
            hidden, grid = trace["pve.0.salient"][0, 0].numpy(), trace.grid
            masked.append(hidden.mean())
            polygons = [region.polygon for region in scene.regions]
            iou.append(mask_iou(hidden, coverage(polygons, scene.image.shape[:2], grid)))
            attention.append(trace[f"pve.{pve_steps}.attention_map"][0, 0])
            assigned.append(trace["mim.assignment"][0])
    gallery = Gallery.embed(bench, tokens, pve_steps=pve_steps)
    precisions = average_precisions(relevant, gallery.scores(asked).numpy())
    return _Measured(grid, np.array(masked), np.array(iou), attention, assigned, precisions)


def _shares(found: _Measured, paper: _Measured) -> list[Estimate]:
    """The last four of `_LOOKS`."""
    moved = [
        float((one / one.sum() - own / own.sum()).abs().sum() / 2)
        for one, own in zip(found.attention, paper.attention, strict=True)
    ]
    reassigned = [
        float((one != own).double().mean())
        for one, own in zip(found.assigned, paper.assigned, strict=True)
    ]
    return [estimate(100 * np.array(v)) for v in (found.masked, found.iou, moved, reassigned)]
