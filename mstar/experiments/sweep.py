"""Change one thing, run again, and see what follows: sweeps, importance, activation patching.

Attention says where a model read, a change says whether it mattered. `sweep` gives single numbers;
the experiments on many images (`importance`, `salience`, `patching`) have intervals and controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.evaluate.cases import Case
from mstar.evaluate.metrics import average_precisions, estimate, paired
from mstar.evaluate.table import Column, Result, Section
from mstar.hooks.interventions import ablate_heads, ablate_query_tokens, cover, skip_layer
from mstar.hooks.run import Hooks
from mstar.io.bench import Bench
from mstar.model.modeling import MstarModel
from mstar.texts import Query

_AT_ONCE = 32


@dataclass(frozen=True)
class Change:
    """One way to change a run.

    Attributes:
        name: what it is called.
        hooks: see `mstar.hooks.interventions`.
        covered: bool [grid_h, grid_w], a region to paint over, see `cover`; None = none.
        pve_steps: T, e.g. k to stop after look k; None = as the others.
    """

    name: str
    hooks: Hooks = ()
    covered: Tensor | None = None
    pve_steps: int | None = None


@dataclass(frozen=True)
class Row:
    """One score of a sweep: a row of a tidy table.

    Attributes:
        change: its name.
        image: index.
        text, style: the query.
        score: with the change.
        effect: less the score without it.
    """

    change: str
    image: int
    text: str
    style: str
    score: float
    effect: float


def sweep(
    bench: Bench,
    images: Sequence[Any],
    queries: Sequence[Query],
    changes: Sequence[Change],
    pve_steps: int | None = None,
) -> list[Row]:
    """Score every query in every image, with each change by itself.

    Args:
        images: one at least, as the processor takes them; they pass through the model together.
        queries: one at least.

    Returns:
        a row per change, image and query; `pandas.DataFrame(rows)` makes a table of them.

    Raises:
        UserError: no image or no query.
    """
    if not len(images) or not len(queries):
        raise UserError(
            f"a sweep needs an image and a query at least; got {len(images)} and {len(queries)}."
        )
    pve_steps = bench.config.pve_steps_from(pve_steps)
    given = bench.inputs(images)
    pixels, boxes = given["pixel_values"], given["tile_boxes"]
    plain = scores(bench, pixels, queries, Change("none", pve_steps=pve_steps))
    rows = []
    for change in tqdm(changes, desc="changes", leave=False, delay=2):
        own = replace(change, pve_steps=pve_steps) if change.pve_steps is None else change
        changed = scores(bench, pixels, queries, own, boxes)
        rows += [
            Row(change.name, image, query.text, query.style, float(changed[n, image]),
                float(changed[n, image] - plain[n, image]))
            for n, query in enumerate(queries)
            for image in range(len(pixels))
        ]  # fmt: skip
    return rows


@torch.no_grad()
def scores(
    bench: Bench,
    pixels: Tensor,
    queries: Sequence[Query],
    change: Change,
    boxes: Tensor | None = None,
) -> Tensor:
    """Scores with a change, [N, B].

    Args:
        pixels: [B, V, 3, H, W].
        boxes: where the tiles lie, [B, V, 4]; None = one tile, the whole.
    """
    if change.covered is not None:
        pixels = cover(pixels, change.covered, boxes)
    with bench.evaluating(), bench.hooks(change.hooks):
        texts, is_word = bench.encode_texts(queries)
        images = bench.model(pixel_values=pixels, pve_steps=change.pve_steps).images
        return bench.model.score(images, texts, is_word).float().cpu()


def units(model: MstarModel, kind: str) -> list[Change]:
    """What can be taken out one at a time.

    Args:
        kind: `heads` (of ψ's cross-attention, in every look), `query_tokens` (of ψ) or
            `layers` (of φ and of ψ at the image, but for each one's first).

    Raises:
        UserError: another kind.
    """
    config = model.config
    if kind == "heads":
        return [
            Change(f"layer {layer}, head {head}", ablate_heads([head], layer))
            for layer in config.cross_attention_layers
            for head in range(config.qformer_config.num_attention_heads)
        ]
    if kind == "query_tokens":
        return [
            Change(f"query token {number}", ablate_query_tokens([number]))
            for number in range(config.num_query_tokens)
        ]
    if kind == "layers":
        parts = {
            "vision": ("φ", config.vision_config.num_hidden_layers),
            "pve": ("ψ", config.qformer_config.num_hidden_layers),
        }
        return [
            Change(f"{said}, layer {layer}", skip_layer(part, layer))
            for part, (said, count) in parts.items()
            for layer in range(1, count)
        ]
    raise UserError(f"kind must be heads, queries or layers; got {kind!r}.")


_LOSS = (
    Column("unit", "without"), Column("loss", "cosine × 100 of right answers"),
    Column("ap_loss", "AP in %"),
)  # fmt: skip
_JUDGED = (
    Column("measure"), Column("chosen", "without"), Column("loss", "without it"),
    Column("others", "without one of the others"), Column("difference", "difference, paired"),
)  # fmt: skip


def importance(
    bench: Bench, found: Sequence[Case], kind: str = "heads", pve_steps: int | None = None
) -> Result:
    """Take out each unit by itself, over many cases.

    Sections: `loss`, by unit how much a right answer's cosine loses without it, and how much the
    AP of a query loses among all cases' scenes, in which wrong answers count too: a unit may matter
    by what it keeps down. `judged`, of cosine and AP: the unit with the largest loss of AP on every
    second case is chosen (of equal ones that with the largest loss), and on the other cases held
    against the mean of the others. Chosen on the cases that are judged, a unit would always win.
    Words may stand in cases of both halves.

    Args:
        found: four at least, see `cases`.
        kind: see `units`.

    Raises:
        UserError: fewer cases, another kind, or fewer than two units of it.
    """
    if len(found) < 4:
        raise UserError(f"importance needs four cases at least; got {len(found)}.")
    pve_steps = bench.config.pve_steps_from(pve_steps)
    taken_out = units(bench.model, kind)
    if len(taken_out) < 2:
        raise UserError(
            f"importance compares units: two {kind.replace('_', ' ')} at least; this model has "
            f"{len(taken_out)}."
        )
    relevant = np.array([[sandbox.matches(of.scene, *one.query) for of in found] for one in found])

    def measured(change: Change) -> NDArray[np.float64]:
        """Score of each right answer and AP of each query, [2, cases]."""
        table = case_table(bench, found, replace(change, pve_steps=pve_steps))
        return np.stack([100 * table.diagonal(), average_precisions(relevant, table)])

    plain = measured(Change("none"))
    every = tqdm(taken_out, desc=kind, leave=False)
    losses = plain - np.stack([measured(change) for change in every])  # [units, 2, cases]
    choosing, judging = losses[..., ::2], losses[..., 1::2]
    chosen = max(range(len(losses)), key=lambda n: tuple(choosing[n].mean(1)[::-1]))
    others = np.delete(judging, chosen, axis=0).mean(0)
    names = [change.name for change in taken_out]
    lost = [(name, *map(estimate, of)) for name, of in zip(names, losses, strict=True)]
    judged = [
        (measure, names[chosen], *paired(own, other)[:3])
        for measure, own, other in zip(("cosine", "AP"), judging[chosen], others, strict=True)
    ]
    sections = [
        Section("loss", "what is lost [95 %]", _LOSS, lost),
        Section("judged", "most AP on every second case, on the others", _JUDGED, judged),
    ]
    about = {"kind": kind, "queries": len(found), "pve_steps": pve_steps}
    return Result("importance", about, sections)


def case_scores(bench: Bench, found: Sequence[Case], change: Change) -> NDArray[np.float64]:
    """The score of each case's query in its own scene, with a change; [cases]."""
    return case_table(bench, found, change).diagonal()


def case_table(bench: Bench, found: Sequence[Case], change: Change) -> NDArray[np.float64]:
    """The score of each case's query in each case's scene, with a change; [cases, cases]."""
    queries = [case.query for case in found]
    parts = []
    for start in range(0, len(found), _AT_ONCE):
        images = [case.scene.image for case in found[start : start + _AT_ONCE]]
        parts.append(scores(bench, bench.pixels(images), queries, change))
    return torch.cat(parts, dim=1).double().numpy()
