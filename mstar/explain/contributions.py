"""What each word of a query brings to its score in one image."""

import re
from dataclasses import dataclass
from math import nan

import torch

from mstar.io.bench import Bench
from mstar.model.assignment import NO_PLACE, place_of
from mstar.model.outputs import VisionEmbeddings
from mstar.texts import Query, clean_caption, quoted, words_of


@dataclass(frozen=True)
class Contribution:
    """A word of a query with several, in one image.

    Two views that need not agree: `added` leaves the word out of a query that is read as a whole,
    `alone` asks for nothing but the word.

    Attributes:
        word: as it stands in the query; of a semantic text the last is what the text stands on.
        added: score of the query minus its score without the word.
        alone: cosine of the word by itself; NaN for what a text stands on.
        look, tile, query_token: the vision embedding of that cosine; −1 for NaN.
    """

    word: str
    added: float
    alone: float
    look: int
    tile: int
    query_token: int


@torch.no_grad()
def contributions(bench: Bench, query: Query, vision: VisionEmbeddings) -> tuple[Contribution, ...]:
    """What each word of a query brings; nothing for a query of one word.

    Args:
        vision: of one image.
    """
    reads = bench.processor.reads  # what it cannot read brings nothing
    reduced = [(word, left) for word, left in without_each(query) if reads(word) and reads(left)]
    if len(reduced) < 2:
        return ()
    asked = [query, *(Query(text, query.style) for _, text in reduced)]
    words = [
        word for word in words_of(query) if reads(word)
    ]  # what a semantic text stands on is not among them
    alone = [Query(word, "word") for word in words]
    with bench.evaluating():
        scores = bench.model.score(vision, *bench.encode_texts(asked))[:, 0]
        cosines = vision.features[0] @ bench.encode_texts(alone)[0].features.T
    best, queries = cosines.max(dim=0), bench.config.num_query_tokens
    found = []
    for number, (word, _) in enumerate(reduced):
        added = float(scores[0] - scores[number + 1])
        if number < len(words):
            place = place_of(int(best.indices[number]), vision.tiles, queries)
            found.append(Contribution(word, added, float(best.values[number]), *place))
        else:
            found.append(Contribution(word, added, nan, *NO_PLACE))
    return tuple(found)


def without_each(query: Query) -> list[tuple[str, str]]:
    """Each word of a query and the query's text without it; nothing for a query of one word.

    The words are those of `words_of`, and after them what a semantic text stands on.
    """
    if query.style == "word":
        return []
    text, whole = query.text, quoted(query.text) if query.style == "semantic" else None
    if whole is not None and clean_caption(whole.text):
        text = whole.text
    else:
        whole = None
    pieces = []
    for found in re.finditer(r"[^\s,]+", text):
        shorter = text[: found.start()] + text[found.end() :]
        parts = (" ".join(part.split()) for part in shorter.split(","))
        left = ", ".join(part for part in parts if clean_caption(part))
        if whole is not None:  # with the marks as typed: they too move a score
            left = str(whole._replace(text=left)) if left else whole.rest
        if clean_caption(found[0]):
            pieces.append((found[0], left))
    if whole is not None and clean_caption(whole.rest):
        pieces.append((whole.rest, str(whole._replace(rest=""))))
    return pieces if len(pieces) > 1 else []
