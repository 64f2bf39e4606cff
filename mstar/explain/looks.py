"""What a recorded run says about one image: its looks, its words, its place in a gallery.

Everything here is arithmetic on a `Trace` (or on plain scores); drawing is `widgets.figures`.
Attention is a share: the map of a query sums to 1 over the N tokens of its tile, so 1/N everywhere
would be attention spread evenly. Maps of several tiles are laid back onto the photograph, on a grid
as fine as the smallest tile's tokens (`canvas`); with one tile that is the tile's own grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mstar.hooks.trace import Trace, as_picture
from mstar.model.assignment import NO_PLACE, UNASSIGNED, place_of
from mstar.texts import Query
from mstar.tiles import canvas_grid, laid_back


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
    """The vision embedding that a query is assigned, or draws on most.

    It need not be the one that made the score: without a list of an image's own words a word is
    scored at its best embedding, which the assignment may have given to another word.

    Attributes:
        text, style: the query.
        kind: `assigned` = the word branch gave it this embedding (Hungarian, one to one);
            `weighted` = the multi-word branch gives it this embedding the most weight;
            `none` = more words than embeddings, and none was left.
        step, tile, query: the embedding is E_V^step[tile, query]; −1 where there is none.
        value: its cosine with the text (`assigned`) or its weight, mean over heads (`weighted`).
        lead: value minus the best value of any other embedding. Negative for an assigned word
            whose best embedding was given to another word.
        score: what ranks the image for this query.
    """

    text: str
    style: str
    kind: str
    step: int
    tile: int
    query: int
    value: float
    lead: float
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


def query_count(trace: Trace) -> int:
    """Q, the learnable queries of ψ."""
    return trace["mim.similarity"].shape[2] // ((trace.steps + 1) * tile_count(trace))


def tile_count(trace: Trace) -> int:
    """V, the tiles of an image."""
    return 1 if trace.boxes is None else trace.boxes.shape[1]


def _config(trace: Trace) -> dict[str, Any]:
    """Of the model that was recorded, as far as the trace knows it."""
    return trace.meta.get("config", {})


def canvas(trace: Trace, image: int = 0) -> tuple[int, int]:
    """(rows, columns) of the grid over the whole photograph on which maps are laid back."""
    if tile_count(trace) == 1:
        return trace.grid
    return canvas_grid(trace.boxes[image].numpy(), trace.grid)


def on_photograph(trace: Trace, maps: Tensor, image: int = 0, mean: bool = False) -> Tensor:
    """Maps of an image's tiles on its canvas, see `tiles.laid_back`.

    Args:
        maps: [..., V, grid_h, grid_w].
        mean: of what a cell covers, for masks; sums stay otherwise, as for attention.

    Returns:
        [..., V, rows, columns].
    """
    if tile_count(trace) == 1:
        return maps
    boxes = trace.boxes[image].numpy()
    return torch.from_numpy(laid_back(maps.numpy(), boxes, canvas(trace, image), mean)).to(
        maps.dtype if maps.is_floating_point() else torch.float32
    )


def together(trace: Trace, maps: Tensor, image: int = 0, mean: bool = False) -> Tensor:
    """Maps of an image's tiles as one map: where tiles overlap, the mean of those that are there.

    Args:
        maps, mean: as for `on_photograph`.

    Returns:
        [..., rows, columns]; of attention the sum stays that of one tile.
    """
    if tile_count(trace) == 1:
        return maps[..., 0, :, :]
    laid = on_photograph(trace, maps, image, mean)
    there = on_photograph(trace, torch.ones(maps.shape[-3:]), image, True)
    joined = laid.sum(-3) / there.sum(-3)
    if mean:
        return joined
    found = joined.sum((-2, -1))  # 0 where heads are silenced
    kept = laid.sum((-3, -2, -1)) / tile_count(trace) / torch.where(found == 0, 1, found)
    return joined * kept[..., None, None]


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


def queries_of(trace: Trace) -> list[Query]:
    """The N queries of the run.

    Raises:
        ValueError: the trace does not say them: it was recorded from tokens.
    """
    count = trace["mim.similarity"].shape[1]
    if len(trace.queries) != count:
        raise ValueError(
            f"the trace is of {count} texts and names {len(trace.queries)}: record it with "
            "Workbench.trace, or set trace.queries."
        )
    return trace.queries


def photo_of(trace: Trace, image: int = 0) -> Image.Image:
    """One of the photographs of the run.

    Raises:
        ValueError: the trace does not have it.
    """
    if image >= len(trace.photos):
        raise ValueError(
            f"the trace keeps {len(trace.photos)} photographs: record it with Workbench.trace, or "
            "save and load it with photos=True."
        )
    return as_picture(trace.photos[image])


def explain_words(trace: Trace, image: int = 0) -> list[Evidence]:
    """Which vision embedding each query is assigned or draws on most, in one image.

    Args:
        trace: needs `mim.*` and `scores`.

    Raises:
        ValueError: see `queries_of`.
    """
    cosine = trace["mim.similarity"][image].double()  # [N, (T+1)·V·Q]
    tiles, queries = tile_count(trace), query_count(trace)
    rows = []
    for n, (text, style) in enumerate(queries_of(trace)):
        index, values, kind = int(trace["mim.assignment"][image, n]), cosine[n], "assigned"
        if index == UNASSIGNED and style == "word":
            kind = "none"
        elif index == UNASSIGNED:
            kind, values = "weighted", trace["mim.evidence"][image, n].double()
            index = int(values.argmax())
        value, lead = _value_and_lead(values, index) if kind != "none" else (0.0, 0.0)
        place = place_of(index, tiles, queries) if kind != "none" else NO_PLACE
        score = float(trace["scores"][n, image])
        rows.append(Evidence(text, style, kind, *place, value, lead, score))
    return rows


def _value_and_lead(values: Tensor, index: int) -> tuple[float, float]:
    others = torch.cat([values[:index], values[index + 1 :]])
    best = others.max() if len(others) else values.new_zeros(())
    return float(values[index]), float(values[index] - best)


@dataclass(frozen=True)
class Pick:
    """One word's vision embedding, and how firmly it is its own.

    Attributes:
        index: of the embedding that the assignment gave the word, −1 = none was left.
        value: its cosine, NaN where there is none.
        runner_up, runner_up_value: the word's best other embedding (−1, NaN = there is none).
        margin: how much the summed cosine of all words would lose if this pick were forbidden and
            everything assigned anew; 0 = another assignment is as good.
        greedy: the embedding with the word's best cosine, whatever the other words take.
        conflict: whether another word has the same greedy choice.
    """

    index: int
    value: float
    runner_up: int
    runner_up_value: float
    margin: float
    greedy: int
    greedy_value: float
    conflict: bool


def assigned_words(trace: Trace, image: int = 0) -> tuple[list[int], Tensor]:
    """What the Hungarian assignment of one image chose from.

    Returns:
        The numbers of the queries that took part (single words; all, if the model has no other
        branch), and their cosines [words, embeddings] with the embeddings that took part: of all
        looks, or of the first (`assignment_steps`).
    """
    assignment = trace["mim.assignment"][image]
    styles = [query.style for query in queries_of(trace)]
    rows = [n for n, style in enumerate(styles) if style == "word" or assignment[n] != UNASSIGNED]
    cosine = trace["mim.similarity"][image][rows]
    first = _config(trace).get("assignment_steps") == "first"
    return rows, cosine[:, : tile_count(trace) * query_count(trace)] if first else cosine


def examine_assignment(cosine: Tensor, assignment: Tensor) -> list[Pick]:
    """How firm an assignment is, word by word.

    Args:
        cosine: [words, embeddings], of all words and embeddings that took part in it.
        assignment: int64 [words], −1 = none.
    """
    cosine = cosine.detach().double().cpu()
    best = _total(cosine)
    greedy = cosine.argmax(dim=1)
    picks = []
    for word, index in enumerate(assignment.tolist()):
        others = cosine[word].clone()
        margin, value, runner_up = float("nan"), float("nan"), -1
        if index != UNASSIGNED:
            value = float(cosine[word, index])
            forbidden = cosine.clone()
            forbidden[word, index] = -torch.inf
            margin = best - _total(forbidden)
            others[index] = -torch.inf
        if others.isfinite().any():
            runner_up = int(others.argmax())
        picks.append(
            Pick(
                index,
                value,
                runner_up,
                float(others[runner_up]) if runner_up >= 0 else float("nan"),
                margin,
                int(greedy[word]),
                float(cosine[word, greedy[word]]),
                int((greedy == greedy[word]).sum()) > 1,
            )
        )
    return picks


def _total(cosine: Tensor) -> float:
    """Largest summed cosine of a one-to-one assignment; −inf marks pairs that may not be."""
    impossible = -1e6  # below any sum of cosines, so such a pair is taken only where it must be
    allowed = cosine.isfinite()
    weights = torch.where(allowed, cosine, impossible).numpy()
    rows, columns = linear_sum_assignment(weights, maximize=True)
    chosen = torch.zeros_like(allowed)
    chosen[torch.from_numpy(rows), torch.from_numpy(columns)] = True
    return float(cosine[chosen & allowed].sum())


def cross_layers(trace: Trace) -> list[int]:
    """The layers of ψ whose cross-attention was recorded, in their order."""
    return [
        int(name.split(".")[3])
        for name in trace
        if name.startswith("pve.0.layers.") and name.endswith(".cross_attention")
    ]


def cross_attention(trace: Trace, image: int = 0) -> Tensor:
    """All recorded cross-attention of one image.

    Returns:
        [step, layer, tile, head, query, grid_h, grid_w].
    """
    steps = [
        torch.stack(
            [trace[f"pve.{t}.layers.{i}.cross_attention"][image] for i in cross_layers(trace)]
        )
        for t in range(trace.steps + 1)
    ]
    return torch.stack(steps).float().unflatten(-1, trace.grid)


def embedding_maps(trace: Trace, image: int = 0) -> Tensor:
    """Where every vision embedding looked, mean over layers and heads.

    Returns:
        [(T+1)·V·Q, rows, columns] of `canvas`, in the order of `mim.similarity`: look, tile, query.
    """
    maps = cross_attention(trace, image).mean((1, 3))  # [step, tile, query, grid_h, grid_w]
    laid = on_photograph(trace, maps.transpose(1, 2), image).transpose(1, 2)
    return laid.flatten(0, 2)


def drawn_on(trace: Trace, texts: Sequence[int], image: int = 0) -> Tensor:
    """How much texts of several words draw on each of the embeddings that the score saw.

    With one attention per look these are the embeddings of the look that the text fits best.

    Args:
        texts: their numbers n in the run.

    Returns:
        [n, head, (T+1)·V·Q], summing to 1.
    """
    weights = trace["mim.aggregator_attention"][image][list(texts)].float()
    weights = weights * (trace["mim.evidence"][image][list(texts)] != 0)[:, None]
    return weights / weights.sum(-1, keepdim=True)


def weighted_maps(trace: Trace, texts: Sequence[int], image: int = 0) -> Tensor:
    """What texts of several words draw on, carried back to the image.

    The multi-word branch weighs vision embeddings (Eq. 4), each of which looked somewhere; this is
    the weighted sum of their maps, per head of that branch, of the embeddings that the score saw.

    Args:
        texts: their numbers n in the run.

    Returns:
        [n, head, rows, columns] of `canvas`.
    """
    weights = drawn_on(trace, texts, image)
    return torch.einsum("nhs,sij->nhij", weights, embedding_maps(trace, image))


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
