"""Change one thing, run again, and see what follows: sweeps, importance, activation patching.

Attention says where a model read, a change says whether it mattered. Every effect here comes with
an interval over images, and with a control that changes as much at random.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from .cases import Case
from .evaluation import Estimate, encode_texts, estimate, evaluating, paired
from .hooks import Hook
from .interventions import ablate_heads, ablate_queries, cover, skip_layer
from .modeling import MstarModel
from .processing import MstarProcessor
from .queries import Query

_AT_ONCE = 32


@dataclass(frozen=True)
class Change:
    """One way to change a run.

    Attributes:
        name: what it is called.
        hooks: see `mstar.interventions`.
        covered: bool [grid_h, grid_w], a region to paint over, see `cover`; None = none.
        steps: T, e.g. k to stop after look k; None = as the others.
    """

    name: str
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    covered: Tensor | None = None
    steps: int | None = None


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
    model: MstarModel,
    processor: MstarProcessor,
    images: Sequence[Any],
    queries: Sequence[Query],
    changes: Sequence[Change],
    steps: int | None = None,
) -> list[Row]:
    """Score every query in every image, with each change by itself.

    Args:
        images: as the processor takes them; they pass through the model together.
        steps: T; None = the configuration's.

    Returns:
        a row a change, image and query; `pandas.DataFrame(rows)` makes a table of them.
    """
    steps = model.config.steps_from(steps)
    pixels = processor(images=list(images))["pixel_values"].to(model.device, model.dtype)
    plain = scores(model, processor, pixels, queries, Change("none", steps=steps))
    rows = []
    for change in tqdm(changes, desc="changes", leave=False, delay=2):
        own = replace(change, steps=steps) if change.steps is None else change
        changed = scores(model, processor, pixels, queries, own)
        rows += [
            Row(change.name, image, query.text, query.style, float(changed[n, image]),
                float(changed[n, image] - plain[n, image]))
            for n, query in enumerate(queries)
            for image in range(len(pixels))
        ]  # fmt: skip
    return rows


@torch.no_grad()
def scores(
    model: MstarModel,
    processor: MstarProcessor,
    pixels: Tensor,
    queries: Sequence[Query],
    change: Change,
) -> Tensor:
    """Scores with a change, [N, B]; pixels [B, 3, H, W]."""
    if change.covered is not None:
        pixels = cover(pixels, change.covered)
    with evaluating(model), model.hooks(change.hooks) if change.hooks else nullcontext():
        texts, is_word = encode_texts(model, processor, queries)
        images = model(pixel_values=pixels, steps=change.steps).images
        return model.score(images, texts, is_word).float().cpu()


def units(model: MstarModel, kind: str) -> list[Change]:
    """What can be taken out one at a time.

    Args:
        kind: `heads` (of ψ's cross-attention, in every look), `queries` (ψ's learnable ones) or
            `layers` (of φ and of ψ at the image, but for each one's first).

    Raises:
        ValueError: another kind.
    """
    config = model.config
    if kind == "heads":
        return [
            Change(f"layer {layer}, head {head}", ablate_heads([head], layer))
            for layer in config.cross_attention_layers
            for head in range(config.qformer_config.num_attention_heads)
        ]
    if kind == "queries":
        count = config.num_query_tokens
        return [Change(f"query {query}", ablate_queries([query])) for query in range(count)]
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
    raise ValueError(f"kind must be heads, queries or layers; got {kind!r}.")


@dataclass(frozen=True)
class Importance:
    """What each unit is worth: how much a right answer's score loses without it, × 100.

    Attributes:
        loss: unit -> over all cases.
        chosen: the unit with the largest loss on every second case.
        held_out: its loss on the other cases.
        control: loss on those of a unit drawn by lot for each case, among all others.
        difference: paired by case. Chosen on the cases that are judged, a unit would always win.
    """

    loss: dict[str, Estimate]
    chosen: str
    held_out: Estimate
    control: Estimate
    difference: Estimate

    def __str__(self) -> str:
        lines = ["what a right answer's score loses, cosine × 100 [95 %]"]
        lines += [f"  without {name:24}{value}" for name, value in self.loss.items()]
        return "\n".join([
            *lines,
            f"most on every second case: {self.chosen}; on the other cases",
            f"  without it                      {self.held_out}",
            f"  without one of the others       {self.control}",
            f"  difference, paired              {self.difference}",
        ])  # fmt: skip


def importance(
    model: MstarModel,
    processor: MstarProcessor,
    found: Sequence[Case],
    kind: str = "heads",
    steps: int | None = None,
    seed: int = 0,
) -> Importance:
    """Take out each unit by itself, over many cases.

    Args:
        found: four at least, see `cases`.
        kind: see `units`.
        steps: T; None = the configuration's.
        seed: draws the controls.
    """
    if len(found) < 4:
        raise ValueError(f"importance needs four cases at least; got {len(found)}.")
    steps = model.config.steps_from(steps)
    taken_out = units(model, kind)
    plain = case_scores(model, processor, found, Change("none", steps=steps))
    losses = np.array(
        [
            100 * (plain - case_scores(model, processor, found, replace(change, steps=steps)))
            for change in tqdm(taken_out, desc=kind, leave=False)
        ]
    )  # fmt: skip  [units, cases]
    chosen = int(losses[:, ::2].mean(1).argmax())
    judged = losses[:, 1::2]
    others = [n for n in range(len(losses)) if n != chosen]
    drawn = np.random.default_rng(seed).choice(others, judged.shape[1])
    compared = paired(judged[chosen], judged[drawn, np.arange(judged.shape[1])])
    return Importance(
        {one.name: estimate(row) for one, row in zip(taken_out, losses, strict=True)},
        taken_out[chosen].name,
        compared.first,
        compared.second,
        compared.difference,
    )


def case_scores(
    model: MstarModel, processor: MstarProcessor, found: Sequence[Case], change: Change
) -> NDArray[np.float64]:
    """The score of each case's query in its own scene, with a change; [cases]."""
    values = []
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        pixels = processor(images=[case.scene.image for case in some])["pixel_values"]
        pixels = pixels.to(model.device, model.dtype)
        values.append(
            scores(model, processor, pixels, [case.query for case in some], change).diagonal()
        )
    return torch.cat(values).double().numpy()
