"""Mask quality (table 12 of the paper): is what σ calls seen the text of the image?

Each variant of σ binarises the attention of each look, and is held against the union of the text's
polygons; beside it stand as many tokens at random, and what the grid itself allows. Positions
serve to evaluate, only.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mstar.data.benchmarks import Benchmark, readable, said_of
from mstar.evaluate.grounding import OutlinedPhotographs, coverage, ground, mask_iou, measures
from mstar.evaluate.metrics import Estimate, estimate, paired
from mstar.evaluate.table import Column, Result, Section
from mstar.explain.looks import canvas, together
from mstar.io.bench import Bench
from mstar.io.images import IMAGES_AT_ONCE

#: Variants of σ that make a mask; the first is the paper's.
SIGMAS = ("watershed", "threshold", "released")


_MASKS = (
    Column("sigma", "σ"), Column("look"), Column("masked"), Column("iou", "IoU with text"),
    Column("random_iou", "as many at random"), Column("difference", "difference, paired"),
    Column("half", "IoU ≥ 0.5"), Column("random_half", "as many at random"),
)  # fmt: skip


def best_mask(covered: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The mask of whole tokens with the largest IoU that a text can have on this grid.

    Whatever its size, it takes the most covered tokens, so that every size is tried.

    Args:
        covered: share of each token that text covers, [grid_h, grid_w].
    """
    order = np.argsort(-covered, axis=None, kind="stable")
    inside = np.cumsum(covered.flat[order])
    union = np.arange(1, covered.size + 1) + inside[-1] - inside
    mask = np.zeros(covered.size, dtype=bool)
    mask[order[: int(np.argmax(inside / union)) + 1]] = True
    return mask.reshape(covered.shape)


@torch.no_grad()
def evaluate_masks(
    bench: Bench,
    benchmark: Benchmark,
    pve_steps: int | None = None,
    seed: int = 0,
    batch_size: int = IMAGES_AT_ONCE,
    strict: bool = False,
) -> Result:
    """Hold the masks of every variant of σ and of every look against where the text is.

    Sections, all in %: `text`, the share of an image that text covers; `masks`, means over images
    by variant of σ and look t of C_t (σ(C_T) is made, though no look uses it), with the IoU with
    the union of all text, the share of images where it is 0.5 or more, and both of as many tokens
    at random, after `best of the grid`, see `best_mask`; `grounding`, see `grounding.measures`.

    Args:
        benchmark: one that outlines all text: ICDAR 2003 or 2015, Total-Text, CTW1500, rendered.
        seed: of the random masks.
        strict: raise where a photograph cannot be read; else it is left out, see `readable`.

    Raises:
        UserError: the benchmark does not outline its text, pve_steps out of range; see `readable`.
    """
    pve_steps = bench.config.pve_steps_from(pve_steps)
    OutlinedPhotographs(benchmark)  # or say so before all of them are opened
    benchmark = readable(benchmark, strict)
    outlined = OutlinedPhotographs(benchmark)
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, int | None], list[tuple[float, ...]]] = {}
    shares, grid = [], (0, 0)
    with bench.evaluating():
        for start in tqdm(range(0, len(outlined), batch_size), desc="masks", leave=False):
            batch = [outlined[i] for i in range(start, min(start + batch_size, len(outlined)))]
            inputs = bench.processor(images=[one.image for one in batch]).to(bench.device)
            traces = {}
            for sigma in SIGMAS:  # later looks are those that its masks led
                with bench.computed_as({"sigma": sigma}):
                    given = {**inputs, "pve_steps": pve_steps}
                    _, traces[sigma] = bench.model.run_with_trace(given, ["pve.*.salient"])
            for row, one in enumerate(batch):
                # of several tiles, what most of those that show a place call salient
                salient = {
                    (sigma, t): (
                        together(trace, trace[f"pve.{t}.salient"][row], row, True) > 0.5
                    ).numpy()
                    for sigma, trace in traces.items()
                    for t in range(pve_steps + 1)
                }
                grid = canvas(traces[SIGMAS[0]], row)
                text = coverage(one.outlines, one.size, grid)
                shares.append(text.mean())
                masks = {("best of the grid", None): best_mask(text)} | salient
                for of, mask in masks.items():
                    lot = rng.permutation(mask.ravel()).reshape(grid)
                    values = (mask.mean(), mask_iou(mask, text), mask_iou(lot, text))
                    found.setdefault(of, []).append(values)
    about = dict(
        benchmark=benchmark.name, images=len(outlined), grid=f"{grid[0]} × {grid[1]}",
        pve_steps=pve_steps, seed=seed, left_out=benchmark.left_out,
    )  # fmt: skip
    covers = [("text", estimate(100 * np.array(shares)))]
    rows = [(*of, *_row(np.array(values))) for of, values in found.items()]
    sections = [
        Section("text", "what text covers", (Column("what", ""), Column("share", "in %")), covers),
        Section("masks", "masks, in %", _MASKS, rows, keys=2),
        measures(ground(bench, outlined, pve_steps, seed, batch_size)),
    ]
    return Result("masks", about, sections, said_of(benchmark))


def _row(values: NDArray[np.float64]) -> tuple[Estimate, ...]:
    """Of one way to mask, from [images, 3]: see `_MASKS`."""
    masked, iou, lot = 100 * values.T
    half, random_half = (estimate(100.0 * (of >= 50)) for of in (iou, lot))
    return estimate(masked), *paired(iou, lot)[:3], half, random_half
