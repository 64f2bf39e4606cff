"""Approximate search: the images of the nearest vectors, scored and explained as by any search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from mstar.errors import UserError
from mstar.search.gallery import Gallery
from mstar.search.nearest.database import Database
from mstar.search.nearest.lists import Lists, state_of
from mstar.search.nearest.needs import check_needs
from mstar.search.nearest.spaces import spaces_of
from mstar.search.ranking import Explanation, Hit
from mstar.search.reranking import ratio_of, rerank_count
from mstar.search.store import SEVERAL, WORD, read_about
from mstar.search.vectors import Rows
from mstar.texts import Query, Texts, as_queries

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

#: A feature [D] of a text and a count -> numbers of the vectors nearest to it, int64 [n], not more.
#: A vector's number is its image's times S and its place in the image.
Nearest = Callable[[Tensor, int], Tensor]

#: Images that are scored for each that is asked for, and at least, for a word; and for a text of
#: several, whose score is that of no vector alone.
_SCORED = {WORD: (2, 20), SEVERAL: (40, 400)}
#: Vectors that are asked for at first for each: an image has several that are as near.
_VECTORS = 4


@dataclass(frozen=True)
class _Some(Sequence[Any]):
    """Some of a gallery's images, which are opened when asked for."""

    images: Sequence[Any]
    chosen: Sequence[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, image: int) -> Any:
        return self.images[self.chosen[image]]


@dataclass(frozen=True)
class _Part:
    """Some images of a gallery, as one by itself, and the share of them that is re-ranked."""

    gallery: Gallery
    images: list[int]
    ratio: float


class Approximate:
    """A gallery of which a search scores a few images only: those that vectors near the text name.

    Scores, places, re-ranking and explanations of these images are those of the gallery itself; an
    image that is not among them is not found, and does not count in a rank.

    Args:
        nearest: of each of the `spaces` that the gallery's texts are looked for in.
    """

    def __init__(self, gallery: Gallery, nearest: Mapping[str, Nearest]):
        self.gallery, self.nearest = gallery, nearest
        self.bench = gallery.bench
        self._last: tuple[Query, float | None, _Part] | None = None

    @classmethod
    def open(
        cls,
        folder: str | Path,
        checkpoint: str | Path | None = None,
        images: str | Path | None = None,
        server: tuple["QdrantClient", str] | None = None,
    ) -> "Approximate":
        """A gallery on disk by its index, or by what a database has of it.

        Args:
            server: the database's client and its collection, see `database`; None = the index.

        Raises:
            as `Gallery.open`, `Lists` and `Database`.
        """
        if server is None:
            check_needs(folder)
        gallery = Gallery.open(folder, checkpoint, images)
        state = state_of(read_about(folder), gallery.images.entries)
        shape = len(gallery), *gallery.vectors.shape
        spaces = spaces_of(gallery.bench.config)
        if server is None:
            return cls(gallery, {space: Lists(folder, space, state, shape) for space in spaces})
        opened = Database(*server, state)
        return cls(gallery, {space: partial(opened.nearest, space) for space in spaces})

    def __len__(self) -> int:
        return len(self.gallery)

    def search_many(
        self, queries: Texts, k: int = 10, ratio: float | None = None
    ) -> list[list[Hit]]:
        """As of `Gallery`."""
        if k < 1:
            raise UserError(f"k must be 1 or more; got {k}.")
        found = []
        for query in as_queries(queries):
            part = self._part(query, k, ratio)
            self._last = query, ratio, part
            (hits,) = part.gallery.search_many([query], k, part.ratio)
            found.append([replace(hit, image=part.images[hit.image]) for hit in hits])
        return found

    def explain(self, query: Query, image: int, ratio: float | None = None) -> Explanation:
        """As of `Gallery`; places are those of the last search, if it was for the same query."""
        if self._last and self._last[:2] == (query, ratio) and image in self._last[2].images:
            part = self._last[2]
        else:
            part = self._part(query, 1, ratio, [image])
        why = part.gallery.explain(query, part.images.index(image), ratio=part.ratio)
        return replace(why, hit=replace(why.hit, image=image))

    def _part(self, query: Query, k: int, ratio: float | None, more: Sequence[int] = ()) -> _Part:
        """What a search for k scores."""
        ratio = ratio_of(self.bench.config, ratio)
        looked_again = rerank_count(len(self), ratio) if ratio else 0
        images = sorted({*self._candidates(query, max(k, looked_again)).tolist(), *more})
        whole, rows = self.gallery, torch.arange(len(images))
        gallery = Gallery(
            whole.bench,
            _Some(whole.images, images),
            [whole.names[image] for image in images],
            whole.pve_steps,
            whole.tiles,
            [Rows(whole.vectors.of(torch.tensor(images)), rows)],
        )
        return _Part(gallery, images, min(1.0, looked_again / len(images)))

    def _candidates(self, query: Query, k: int) -> Tensor:
        """Images to be scored, int64 [n]: enough for the k best, if the gallery has as many."""
        with self.bench.evaluating():
            texts, is_word = self.bench.encode_texts([query])
        space = WORD if self.bench.model.scored_by_word(is_word) else SEVERAL
        times, least = _SCORED[space]
        wanted, of_image = min(len(self), max(times * k, least)), self.gallery.vectors.shape[0]
        count, total = _VECTORS * wanted, len(self) * of_image
        while True:
            numbers = self.nearest[space](texts.features[0], min(count, total))
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() < total:
                raise UserError("the index names images that are not there: make it anew.")
            images = (numbers // of_image).unique()
            if len(images) >= wanted or count >= total:
                break
            count *= 4
        if not len(images):
            raise UserError("the index names no image at all: make it anew.")
        return images


class Recall(NamedTuple):
    """A query asked in both ways.

    Attributes:
        query: what was asked.
        recall: share of the k best images of exact search that are found; of equal scores any.
        exact, approximate: seconds.
    """

    query: Query
    recall: float
    exact: float
    approximate: float


def recalls(approximate: Approximate, queries: Sequence[Query], k: int = 10) -> list[Recall]:
    """Approximate search beside exact search, by cosine alone."""
    found = []
    for query in queries:
        began = perf_counter()
        exact = approximate.gallery.search(query, k=k, ratio=0)
        between = perf_counter()
        (hits,) = approximate.search_many([query], k, 0)
        ended = perf_counter()
        least = exact[-1].score - 1e-6  # blocks of another size round otherwise
        recall = sum(hit.score >= least for hit in hits) / len(exact)
        found.append(Recall(query, recall, between - began, ended - between))
    return found
