"""A ranked gallery: the place of every image, and which of its vision embeddings counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mstar.explain.contributions import Contribution
from mstar.hooks.trace import Trace
from mstar.model.assignment import place_of
from mstar.model.outputs import TextEncoding
from mstar.search.vectors import Vectors
from mstar.texts import Query


@dataclass(frozen=True)
class Hit:
    """One image of a ranked gallery.

    Attributes:
        image, name: its index in the gallery, and what it is called.
        rank, score: in the final ranking; 1 = first.
        cosine_rank, cosine: by cosine alone.
        probability: that the text is in the image, by the matching head; None = not re-ranked.
        look, tile, query_token: the vision embedding that counted most, see
            `MstarModel.evidence`.
    """

    image: int
    name: str
    rank: int
    score: float
    cosine_rank: int
    cosine: float
    probability: float | None
    look: int
    tile: int
    query_token: int


@dataclass(frozen=True, eq=False)
class Ranked:
    """A gallery of B images ranked for N texts.

    Attributes:
        vectors, names: of the gallery.
        texts, is_word: what was asked, N texts.
        cosine, scores: of the ranking by cosine and of the final one, [N, B].
        probability: by the matching head, [N, B]; NaN where it was not asked.
    """

    vectors: Vectors
    names: Sequence[str]
    texts: TextEncoding
    is_word: Tensor
    cosine: Tensor
    scores: Tensor
    probability: Tensor

    def hits(self, text: int, images: Tensor) -> list[Hit]:
        """What became of these images, int64 [k], for one of the texts."""
        tiles, queries = self.vectors.tiles, self.vectors.model.config.num_query_tokens
        rank, cosine_rank = _ranks(self.scores[text]), _ranks(self.cosine[text])
        chosen = torch.cat([self._values(text, some).argmax(1) for some in images.split(256)])
        return [
            Hit(
                image,
                self.names[image],
                int(rank[image]),
                float(self.scores[text, image]),
                int(cosine_rank[image]),
                float(self.cosine[text, image]),
                matched if (matched := float(self.probability[text, image])) >= 0 else None,
                *place_of(best, tiles, queries),
            )
            for image, best in zip(images.tolist(), chosen.tolist(), strict=True)
        ]

    def values(self, image: int, text: int = 0) -> tuple[str, Tensor]:
        """What every vision embedding of an image counts, [T + 1, V, Q], and in which measure."""
        by_word = bool(self.vectors.model.scored_by_word(self.is_word[text : text + 1]))
        values = self._values(text, torch.tensor([image]))[0]
        count = self.vectors.model.config.num_query_tokens
        shape = (-1, self.vectors.tiles, count)
        return "cosine" if by_word else "weight", values.unflatten(0, shape)

    @torch.no_grad()
    def _values(self, text: int, images: Tensor) -> Tensor:
        """[k, (T+1)·V·Q]"""
        one = slice(text, text + 1)
        vision, texts = self.vectors.of(images), self.texts.of(one)
        return self.vectors.model.evidence(vision, texts, self.is_word[one])[0].cpu()


def _ranks(scores: Tensor) -> Tensor:
    """The place of every image, int64 [B]: 1 = first; equal scores keep the images' order."""
    ranks = torch.empty(len(scores), dtype=torch.long)
    ranks[scores.argsort(descending=True, stable=True)] = torch.arange(1, len(scores) + 1)
    return ranks


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


@dataclass(frozen=True)
class Explanation:
    """Why an image of a gallery stands where it does for a query.

    Attributes:
        query: what was asked.
        hit: its place, by cosine and after re-ranking, and the vision embedding that counted most.
        kind: of `values`: `cosine` with the text, or `weight` in the multi-word branch.
        values: of every vision embedding, [T + 1, V, Q]; the largest that the score saw is the
            hit's.
        lead: of the largest over the next, NaN if there is no other. Near zero others would
            have served as well.
        words: what each word of a query with several brings; empty for single words.
        trace: one recorded run of the model on this image, the query first, then its words.
    """

    query: Query
    hit: Hit
    kind: str
    values: Tensor
    lead: float
    words: tuple[Contribution, ...]
    trace: Trace
