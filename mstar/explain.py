"""What a recorded run says about one image: its looks, its words, its place in a gallery.

Everything here is arithmetic on a `Trace` (or on plain scores); drawing is `widgets.figures`.
Attention is a share: the map of a query sums to 1 over the N tokens of an image, so 1/N everywhere
would be attention spread evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .matching import UNASSIGNED
from .trace import Trace

#: Hook points that the functions of this module read.
NEEDED = (
    "pve.*.attention_map",
    "pve.*.salient",
    "pve.*.mask",
    "pve.*.layers.*.cross_attention",
    "mim.*",
    "scores",
)


@dataclass(frozen=True)
class LookSummary:
    """One PVE step in numbers.

    Attributes:
        step: t.
        salient: share of the tokens that σ calls salient at this look, 0 … 1.
        neglected: share of the tokens that no look up to this one has attended, 0 … 1.
        entropy: of the attention map, in bits.
        spread: 2^entropy, the number of tokens that evenly spread attention of this entropy would
            cover; from 1 (all on one token) to N.
        peak: the largest value of the map over the even share 1/N.
    """

    step: int
    salient: float
    neglected: float
    entropy: float
    spread: float
    peak: float


@dataclass(frozen=True)
class Evidence:
    """The vision embedding a query rests on.

    Attributes:
        text, style: the query.
        kind: `assigned` = the word branch gave it this embedding (Hungarian, one to one);
            `weighted` = the multi-word branch gives it this embedding the most weight;
            `none` = more words than embeddings, and none was left.
        step, query: the embedding is E_V^step[query]; −1 where there is none.
        value: its cosine with the text (`assigned`) or its weight, mean over heads (`weighted`).
        margin: value minus the best value of any other embedding. Negative for an assigned word
            whose best embedding was given to another word.
        score: what ranks the image for this query.
    """

    text: str
    style: str
    kind: str
    step: int
    query: int
    value: float
    margin: float
    score: float


@dataclass(frozen=True)
class Rank:
    """An image's place among others for one query.

    Attributes:
        rank: 1 = first; ties count against the image.
        total: images ranked.
        score: of the image.
        order: indices of all images, best first.
    """

    rank: int
    total: int
    score: float
    order: tuple[int, ...]


def summarise_looks(trace: Trace, image: int = 0) -> list[LookSummary]:
    """Steps t = 0 … T of one image in numbers; see `LookSummary`."""
    summaries = []
    for t in range(trace.steps + 1):
        attention = trace[f"pve.{t}.attention_map"][image].double().flatten()
        share = attention / attention.sum()
        entropy = float(torch.special.entr(share).sum() / torch.log(torch.tensor(2.0)))
        summaries.append(
            LookSummary(
                step=t,
                salient=float(trace[f"pve.{t}.salient"][image].double().mean()),
                neglected=float(trace[f"pve.{t}.mask"][image].double().mean()),
                entropy=entropy,
                spread=2**entropy,
                peak=float(share.max() * len(share)),
            )
        )
    return summaries


def explain_words(
    trace: Trace, texts: Sequence[str], styles: Sequence[str], image: int = 0
) -> list[Evidence]:
    """Which vision embedding each query rests on, in one image.

    Args:
        trace: needs `pve.0.attention_map` or any other point of a step for Q, and `mim.*`,
            `scores`.
        texts, styles: the N queries of the run, in its order.

    Raises:
        ValueError: another number of texts or styles than the trace has.
    """
    cosine = trace["mim.similarity"][image].double()  # [N, (T+1)·Q]
    if not len(texts) == len(styles) == len(cosine):
        raise ValueError(
            f"the trace has {len(cosine)} queries; got {len(texts)} texts and {len(styles)} styles."
        )
    per_step = cosine.shape[1] // (trace.steps + 1)
    rows = []
    for n, (text, style) in enumerate(zip(texts, styles, strict=True)):
        index, values, kind = int(trace["mim.assignment"][image, n]), cosine[n], "assigned"
        if index == UNASSIGNED and style == "word":
            kind = "none"
        elif index == UNASSIGNED:
            kind = "weighted"
            # [head, query]; with one attention per step, a step's weights sum to 1 of their own
            values = trace["mim.aggregator_attention"][image, n].double().mean(0)
            index = int(values.argmax())
        value, margin = _value_and_margin(values, index) if kind != "none" else (0.0, 0.0)
        step, query = divmod(index, per_step) if kind != "none" else (-1, -1)
        score = float(trace["scores"][n, image])
        rows.append(Evidence(text, style, kind, step, query, value, margin, score))
    return rows


def _value_and_margin(values: Tensor, index: int) -> tuple[float, float]:
    others = torch.cat([values[:index], values[index + 1 :]])
    best = others.max() if len(others) else values.new_zeros(())
    return float(values[index]), float(values[index] - best)


def head_maps(trace: Trace, step: int, query: int | None = None, image: int = 0) -> Tensor:
    """Attention of each layer and head at one step, [layer, head, grid_h, grid_w].

    Args:
        query: of one query; None = the mean over all Q.
    """
    weights = torch.stack(
        [
            trace[name][image]
            for name in trace
            if name.startswith(f"pve.{step}.layers.") and name.endswith(".cross_attention")
        ]
    ).float()  # [layer, head, query, token]
    maps = weights.mean(2) if query is None else weights[:, :, query]
    return maps.unflatten(-1, trace.grid)


def cross_layers(trace: Trace) -> list[int]:
    """The layers of ψ whose cross-attention was recorded, in the order of `head_maps`."""
    return [
        int(name.split(".")[3])
        for name in trace
        if name.startswith("pve.0.layers.") and name.endswith(".cross_attention")
    ]


def query_map(trace: Trace, step: int, query: int, image: int = 0) -> Tensor:
    """Where one query looked at one step, mean over layers and heads: [grid_h, grid_w]."""
    return head_maps(trace, step, query, image).mean((0, 1))


def rank(scores: Tensor, image: int) -> Rank:
    """Where one image stands.

    Args:
        scores: [B], one query's score of every image of a gallery.
        image: index of the image asked about.
    """
    own = scores[image]
    ahead = int((scores > own).sum() + (scores == own).sum()) - 1
    # Among equals the image comes last, so that the order agrees with the rank.
    last = torch.arange(len(scores)) == image
    order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), bool(last[i]), i))
    return Rank(ahead + 1, len(scores), float(own), tuple(order))
