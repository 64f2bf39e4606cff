"""Which vision embedding answers to which text, and how firmly: the assignment, the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mstar.explain.looks import config_of, embedding_maps, queries_of, query_token_count, tile_count
from mstar.hooks.trace import Trace
from mstar.model.assignment import NO_PLACE, UNASSIGNED, place_of


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
        look, tile, query_token: the embedding is E_V^look[tile, query_token]; −1 where none is.
        value: its cosine with the text (`assigned`) or its weight, mean over heads (`weighted`).
        lead: value minus the best value of any other embedding. Negative for an assigned word
            whose best embedding was given to another word.
        score: what ranks the image for this query.
    """

    text: str
    style: str
    kind: str
    look: int
    tile: int
    query_token: int
    value: float
    lead: float
    score: float


def explain_words(trace: Trace, image: int = 0) -> list[Evidence]:
    """Which vision embedding each query is assigned or draws on most, in one image.

    Args:
        trace: needs `mim.*` and `scores`.

    Raises:
        UserError: see `queries_of`.
    """
    cosine = trace["mim.similarity"][image].double()  # [N, (T+1)·V·Q]
    tiles, queries = tile_count(trace), query_token_count(trace)
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
    first = config_of(trace).get("assignment_steps") == "first"
    return rows, cosine[:, : tile_count(trace) * query_token_count(trace)] if first else cosine


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
