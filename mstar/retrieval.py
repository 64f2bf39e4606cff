"""Searching a gallery: every image scored, the best of them looked at again, a rank explained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import hooks as hooking
from . import index as indexing
from .checkpoints import checkpoint_hash, default_device, load_checkpoint
from .contributions import Contribution, contributions
from .evaluation import encode_texts, evaluating
from .explain import NEEDED
from .modeling import MstarModel
from .outputs import TextEncoding, VisionEmbeddings
from .processing import MstarProcessor, open_image
from .queries import Query, as_query
from .reranking import TokenCache, rerank
from .trace import Trace

#: Bytes that are compared at once: what fits into a CPU's cache is several times faster.
_BLOCK_BYTES = 12 * 2**20
_MATCHED_AT_ONCE = 16


@dataclass(frozen=True)
class Hit:
    """One image of a ranked gallery.

    Attributes:
        image, name: its index in the gallery, and what it is called.
        rank, score: in the final ranking; 1 = first.
        cosine_rank, cosine: by cosine alone.
        probability: that the text is in the image, by the matching head; None = not re-ranked.
        step, query: the vision embedding that counted most, see `MstarModel.embedding_values`.
    """

    image: int
    name: str
    rank: int
    score: float
    cosine_rank: int
    cosine: float
    probability: float | None
    step: int
    query: int


@dataclass(frozen=True)
class Explanation:
    """Why an image of a gallery stands where it does for a query.

    Attributes:
        query: what was asked.
        hit: its place, by cosine and after re-ranking, and the vision embedding that counted most.
        kind: of `values`: `cosine` with the text, or `weight` in the multi-word branch.
        values: of every vision embedding, [T + 1, Q]; the largest that the score saw is the hit's.
        margin: of the largest over the next, NaN if there is no other. Near zero others would
            have served as well.
        words: what each word of a query with several brings; empty for single words.
        trace: one recorded run of the model on this image, the query first, then its words.
    """

    query: Query
    hit: Hit
    kind: str
    values: Tensor
    margin: float
    words: tuple[Contribution, ...]
    trace: Trace


@dataclass(frozen=True)
class _Rows:
    """Vision embeddings of some images, and their indices in the gallery, int64 [n]."""

    vision: VisionEmbeddings
    images: Tensor


class _Files(Sequence[Any]):
    """The image files of a gallery, opened when asked for, and only if they are as embedded."""

    def __init__(self, folder: Path, entries: Sequence[indexing.Entry]):
        self.folder, self.entries = folder, entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, image: int) -> Any:
        entry = self.entries[image]
        if entry.now(self.folder) is None:
            raise ValueError(
                f"{self.folder / entry.name} is gone or has changed since it was embedded: run "
                "`mstar index` again."
            )
        return open_image(self.folder / entry.name)


class Gallery:
    """Images embedded once, and searched by text. Made by `embed` or `open`.

    Hooks on the model are heard where it looks at images and reads texts, but for the points of
    `mim` and `scores`: a gallery is compared in blocks.

    Attributes:
        images: as the processor takes them; those of a folder are opened when asked for.
        names: of the images.
        steps: T.
    """

    def __init__(
        self,
        model: MstarModel,
        processor: MstarProcessor,
        images: Sequence[Any],
        names: Sequence[str],
        steps: int,
        rows: Sequence[_Rows],
    ):
        self.model, self.processor = model, processor
        self.images, self.names, self.steps = images, tuple(names), steps
        self._rows = list(rows)
        self._tokens = TokenCache()
        self._where = torch.empty(len(self.names), 2, dtype=torch.long)  # image -> part, row
        for part, rows_ in enumerate(self._rows):
            self._where[rows_.images, 0] = part
            self._where[rows_.images, 1] = torch.arange(len(rows_.images))

    @classmethod
    def embed(
        cls,
        model: MstarModel,
        processor: MstarProcessor,
        images: Sequence[Any],
        names: Sequence[str] | None = None,
        steps: int | None = None,
        batch_size: int = 16,
    ) -> "Gallery":
        """A gallery in memory.

        Args:
            images: PIL images or uint8 arrays [H, W, 3].
            names: of the images; None = image 0, image 1, …
            steps: T; None = the configuration's.
        """
        if not len(images):
            raise ValueError("a gallery needs at least one image.")
        names = [f"image {i}" for i in range(len(images))] if names is None else names
        if len(names) != len(images):
            raise ValueError(f"got {len(images)} images and {len(names)} names: one name each.")
        steps = model.config.steps if steps is None else steps
        rows = []
        with evaluating(model):
            for start in tqdm(range(0, len(images), batch_size), desc="gallery", leave=False):
                batch = range(start, min(start + batch_size, len(images)))
                photos = [images[i] for i in batch]
                encoded = indexing.encode_images(model, processor, photos, steps)
                kept = encoded.embeddings if model.config.multi_word_branch else None
                vision = VisionEmbeddings(kept, encoded.features)
                rows.append(_Rows(vision, torch.tensor(batch)))
        return cls(model, processor, images, names, steps, rows)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        checkpoint: str | Path | None = None,
        images: str | Path | None = None,
    ) -> "Gallery":
        """A gallery that `mstar index` made; its embeddings stay on disk until they are used.

        Args:
            checkpoint: None = the one it was made with, where it was then.
            images: the folder of its images; None = where it was, seen from the gallery.

        Raises:
            FileNotFoundError: there is no gallery.
            ValueError: it was made with another checkpoint, or it is broken or empty.
        """
        about = indexing.read_about(folder)
        checkpoint = about.checkpoint if checkpoint is None else checkpoint
        model, processor = load_checkpoint(checkpoint, default_device())
        found = checkpoint_hash(checkpoint)
        if found != about.sha256:
            raise ValueError(
                f"the gallery {folder} was made with {about.made_with}; {checkpoint} is "
                f"{found[:12]}: name that checkpoint, or make a gallery with this one."
            )
        shards = indexing.read_shards(folder)
        entries = sorted((e for shard in shards for e in shard.entries), key=lambda e: e.name)
        if not entries:
            raise ValueError(f"the gallery {folder} is empty: run `mstar index` again.")
        place = {entry.name: i for i, entry in enumerate(entries)}
        rows = [
            _Rows(shard.vision, torch.tensor([place[entry.name] for entry in shard.entries]))
            for shard in shards
        ]
        photos = _Files(Path(images or Path(folder, about.folder)), entries)
        return cls(model, processor, photos, list(place), about.steps, rows)

    def __len__(self) -> int:
        return len(self.names)

    def forget(self) -> None:
        """Drop the image tokens that are kept for the next re-ranking."""
        self._tokens.clear()

    def scores(self, queries: Sequence[Query]) -> Tensor:
        """Scores of the ranking by cosine, float32 [Q, B]: exact, over all steps.

        The embeddings are read a block at a time, once for all queries; give many at once.
        """
        return self._scores(*self._encoded(queries))

    def reranked_scores(self, queries: Sequence[Query], ratio: float | None = None) -> Tensor:
        """Scores of the final ranking, float32 [Q, B]; see `search_many`."""
        return self._ranked(queries, ratio).scores

    def search(
        self,
        query: str | Query,
        style: str = "auto",
        k: int | None = 10,
        ratio: float | None = None,
    ) -> list[Hit]:
        """The best images for a text, best first; see `search_many`.

        Args:
            query: a text, or one with its style.
            style: of a text; `auto` = named in it (`phrase:way out`) or guessed from it.

        Raises:
            ValueError: an unknown style, or a text without any word.
        """
        return self.search_many([as_query(query, style)], k, ratio)[0]

    def search_many(
        self, queries: Sequence[Query], k: int | None = 10, ratio: float | None = None
    ) -> list[list[Hit]]:
        """The k best images of each query, best first, by cosine and then by the matching head.

        Equal scores are in the order of the images.

        Args:
            k: how many; None = all.
            ratio: share of the gallery that is re-ranked, see `rerank_count`; 0 = none; None =
                the configuration's.
        """
        if k is not None and k < 1:
            raise ValueError(f"k must be 1 or more; got {k}.")
        ranked = self._ranked(queries, ratio)
        k = len(self) if k is None else k
        best = [scores.argsort(descending=True, stable=True)[:k] for scores in ranked.scores]
        return [ranked.hits(i, images) for i, images in enumerate(best)]

    def explain(
        self, query: str | Query, image: int | str, style: str = "auto", ratio: float | None = None
    ) -> Explanation:
        """Why an image stands where it does.

        Args:
            query, style, ratio: as for `search`.
            image: its index or its name.

        Raises:
            ValueError: there is no such image, or see `search`.
        """
        asked = as_query(query, style)
        image = self._index(image)
        ranked = self._ranked([asked], ratio)
        (hit,) = ranked.hits(0, torch.tensor([image]))
        kind, values = ranked.values(image)
        vision = self._vision(torch.tensor([image]))
        words = contributions(self.model, self.processor, asked, vision)
        texts = [asked, *(Query(one.word, "word") for one in words)]
        inputs = self.processor(
            images=[self.images[image]],
            text=[text.text for text in texts],
            styles=[text.style for text in texts],
        ).to(self.model.device)
        with evaluating(self.model):
            _, trace = self.model.run_with_trace({**inputs, "steps": self.steps}, list(NEEDED))
        trace.meta["texts"] = [list(text) for text in texts]
        best, *others = values.flatten().sort(descending=True).values.tolist()
        margin = best - others[0] if others else nan
        return Explanation(asked, hit, kind, values, margin, words, trace)

    def _ranked(self, queries: Sequence[Query], ratio: float | None) -> "_Ranked":
        ratio = self.model.config.rerank_ratio if ratio is None else ratio
        if not 0 <= ratio <= 1:
            raise ValueError(f"the share to re-rank is from 0 to 1; got {ratio}.")
        texts, is_word = self._encoded(queries)
        cosine = self._scores(texts, is_word)
        probability = torch.full_like(cosine, nan)
        if not ratio:
            return _Ranked(self, texts, is_word, cosine, cosine, probability)
        bar = tqdm(total=len(queries), desc="re-ranking", unit="query", leave=False, delay=1)

        def matched(number: int, best: Tensor) -> Tensor:
            probability[number, best] = self._match(queries[number], best)
            bar.update()
            return probability[number, best]

        with bar, evaluating(self.model):
            final = rerank(cosine, matched, ratio)
        return _Ranked(self, texts, is_word, cosine, final, probability)

    def _encoded(self, queries: Sequence[Query]) -> tuple[TextEncoding, Tensor]:
        if not queries:
            raise ValueError("a search needs at least one query.")
        with evaluating(self.model):
            return encode_texts(self.model, self.processor, queries)

    @torch.no_grad()
    def _scores(self, texts: TextEncoding, is_word: Tensor) -> Tensor:
        scores = torch.empty(len(is_word), len(self))
        bar = tqdm(total=len(self), desc="search", unit="image", leave=False, delay=1)
        with bar, evaluating(self.model):
            for block in self._blocks(is_word):
                scores[:, block.images] = (
                    self.model.score(block.vision, texts, is_word).float().cpu()
                )
                bar.update(len(block.images))
        return scores

    @torch.no_grad()
    def _match(self, query: Query, images: Tensor) -> Tensor:
        """Probability that the text is in these images, by the matching head, [k]."""
        data = self.processor(text=[query.text], styles=[query.style]).to(self.model.device)
        run, found = hooking.active(self.model), []
        for some in images.split(_MATCHED_AT_ONCE):
            pairs = (data[name].expand(len(some), -1) for name in ("input_ids", "attention_mask"))
            if run is None:
                tokens = self._tokens.get(some.tolist(), self._encode)
            else:  # what a hook changed must not outlive it
                tokens = self._encode(some.tolist())
            logits = self.model.match(tokens, *pairs, run)
            found.append(logits.softmax(-1)[:, 1].float().cpu())
        return torch.cat(found)

    @torch.no_grad()
    def _encode(self, images: Sequence[int]) -> Tensor:
        """f₀ of these images, [n, N, D]."""
        photos = [self.images[image] for image in images]
        pixels = self.processor(images=photos)["pixel_values"]
        pixels = pixels.to(self.model.device, self.model.dtype)
        return self.model.vision(pixels, hooking.active(self.model))[0]

    def _blocks(self, is_word: Tensor) -> Iterator[_Rows]:
        """The gallery in blocks that are small while they are compared with these texts."""
        config = self.model.config
        words = self.model.scored_by_word(is_word)
        several = int((~words).sum())
        for rows in self._rows:
            vision = rows.vision
            _, vectors, size = vision.features.shape
            values = vectors * (size + int(words.sum()))
            if several:  # the branch keeps normed, key and value of each, and weights of each text
                dim = config.qformer_config.hidden_size
                values += 4 * vectors * dim
                values += several * (3 * dim + 2 * vectors * config.multi_word_heads)
            count = max(1, _BLOCK_BYTES // (4 * values))
            for start in range(0, len(rows.images), count):
                part = slice(start, start + count)
                embeddings = self._ready(vision.embeddings[part]) if several else None
                features = self._ready(vision.features[part])
                yield _Rows(VisionEmbeddings(embeddings, features), rows.images[part])

    def _vision(self, images: Tensor) -> VisionEmbeddings:
        """The vision embeddings of some images, int64 [n]."""
        chosen = [(self._rows[part].vision, row) for part, row in self._where[images].tolist()]
        stored = chosen[0][0].embeddings is not None
        embeddings = torch.stack([v.embeddings[row] for v, row in chosen]) if stored else None
        features = torch.stack([vision.features[row] for vision, row in chosen])
        return VisionEmbeddings(self._ready(embeddings) if stored else None, self._ready(features))

    def _ready(self, stored: Tensor) -> Tensor:
        return stored.to(self.model.device, self.model.dtype)

    def _index(self, image: int | str) -> int:
        if isinstance(image, str):
            if image not in self.names:
                raise ValueError(f"the gallery has no image {image!r}.")
            return self.names.index(image)
        if not 0 <= image < len(self):
            raise ValueError(f"the gallery has images 0 to {len(self) - 1}; got {image}.")
        return image


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A gallery ranked for N texts: all [N, B], with NaN where the matching head was not asked."""

    gallery: Gallery
    texts: TextEncoding
    is_word: Tensor
    cosine: Tensor
    scores: Tensor
    probability: Tensor

    def hits(self, text: int, images: Tensor) -> list[Hit]:
        """What became of these images, int64 [k], for one of the texts."""
        queries = self.gallery.model.config.num_query_tokens
        rank, cosine_rank = _ranks(self.scores[text]), _ranks(self.cosine[text])
        chosen = torch.cat([self._values(text, some).argmax(1) for some in images.split(256)])
        return [
            Hit(
                image,
                self.gallery.names[image],
                int(rank[image]),
                float(self.scores[text, image]),
                int(cosine_rank[image]),
                float(self.cosine[text, image]),
                matched if (matched := float(self.probability[text, image])) >= 0 else None,
                *divmod(best, queries),
            )
            for image, best in zip(images.tolist(), chosen.tolist(), strict=True)
        ]

    def values(self, image: int, text: int = 0) -> tuple[str, Tensor]:
        """What every vision embedding of an image counts, [T + 1, Q], and in which measure."""
        model = self.gallery.model
        by_word = bool(model.scored_by_word(self.is_word[text : text + 1]))
        values = self._values(text, torch.tensor([image]))[0]
        count = model.config.num_query_tokens
        return "cosine" if by_word else "weight", values.unflatten(0, (-1, count))

    @torch.no_grad()
    def _values(self, text: int, images: Tensor) -> Tensor:
        """[k, (T+1)·Q]"""
        one = slice(text, text + 1)
        texts = TextEncoding(self.texts.embeddings[one], self.texts.features[one])
        vision = self.gallery._vision(images)
        return self.gallery.model.embedding_values(vision, texts, self.is_word[one])[0].cpu()


def _ranks(scores: Tensor) -> Tensor:
    """The place of every image, int64 [B]: 1 = first; equal scores keep the images' order."""
    ranks = torch.empty(len(scores), dtype=torch.long)
    ranks[scores.argsort(descending=True, stable=True)] = torch.arange(1, len(scores) + 1)
    return ranks
