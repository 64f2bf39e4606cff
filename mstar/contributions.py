"""What each word of a query brings to its score in one image."""

import re
from dataclasses import dataclass
from math import nan

import torch

from .evaluation import encode_texts, evaluating
from .modeling import MstarModel
from .outputs import VisionEmbeddings
from .processing import MstarProcessor
from .queries import Query, quoted, words_of


@dataclass(frozen=True)
class Contribution:
    """A word of a query with several, in one image.

    Two views that need not agree: `added` leaves the word out of a query that is read as a whole,
    `alone` asks for nothing but the word.

    Attributes:
        word: as it stands in the query; of a semantic text the last is what the text stands on.
        added: score of the query minus its score without the word.
        alone: cosine of the word by itself; NaN for what a text stands on.
        step, query: the vision embedding of that cosine, E_V^step[query]; −1 for NaN.
    """

    word: str
    added: float
    alone: float
    step: int
    query: int


@torch.no_grad()
def contributions(
    model: MstarModel, processor: MstarProcessor, query: Query, vision: VisionEmbeddings
) -> tuple[Contribution, ...]:
    """What each word of a query brings; nothing for a query of one word.

    Args:
        vision: of one image.
    """
    reduced = without_each(query)
    if len(reduced) < 2:
        return ()
    asked = [query, *(Query(text, query.style) for _, text in reduced)]
    words = [Query(word, "word") for word in words_of(query)]
    with evaluating(model):
        scores = model.score(vision, *encode_texts(model, processor, asked))[:, 0]
        cosines = vision.features[0] @ encode_texts(model, processor, words)[0].features.T
    best = cosines.max(dim=0)
    found = []
    for number, (word, _) in enumerate(reduced):
        added = float(scores[0] - scores[number + 1])
        if number < len(words):
            place = divmod(int(best.indices[number]), model.config.num_query_tokens)
            found.append(Contribution(word, added, float(best.values[number]), *place))
        else:
            found.append(Contribution(word, added, nan, -1, -1))
    return tuple(found)


def without_each(query: Query) -> list[tuple[str, str]]:
    """Each word of a query and the query's text without it; of one word alone nothing is left."""
    text, rest = query.text, ""
    in_quotes = quoted(text) if query.style == "semantic" else None
    if in_quotes is not None:
        text, rest = in_quotes
    pieces = []
    for found in re.finditer(r"[^\s,]+", text):
        shorter = text[: found.start()] + text[found.end() :]
        parts = (" ".join(part.split()) for part in shorter.split(","))
        pieces.append((found[0], ", ".join(part for part in parts if part)))
    if in_quotes is not None:
        pieces = [(word, f"'{left}' {rest}" if left else rest) for word, left in pieces]
        pieces.append((rest, f"'{text}'"))
    return [(word, left) for word, left in pieces if word and left]
