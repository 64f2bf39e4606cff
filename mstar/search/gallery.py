"""Searching a gallery: every image scored, the best of them looked at again, a rank explained."""

import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mstar.distributed import gather_lists, processes, share, together
from mstar.errors import UserError
from mstar.explain.contributions import contributions
from mstar.files import as_stored
from mstar.io.bench import Bench
from mstar.io.checkpoints import default_device, load_checkpoint
from mstar.io.images import IMAGES_AT_ONCE, open_image
from mstar.model.configuration import MstarConfig
from mstar.model.outputs import TextEncoding, VisionEmbeddings
from mstar.search.ranking import Explanation, Hit, Ranked
from mstar.search.reranking import Matcher, ratio_of, rerank
from mstar.search.store import About, Entry, Shard, opened_with, read_shards
from mstar.search.vectors import Rows, Vectors, in_order
from mstar.texts import Query, Texts, as_queries, as_query
from mstar.tiles import check_tiles, tile_count


class Files(Sequence[Any]):
    """The image files of a gallery, opened when asked for, and only if they are as embedded."""

    def __init__(self, folder: Path, entries: Sequence[Entry]):
        self.folder, self.entries = folder, entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, image: int | slice) -> Any:
        if isinstance(image, slice):
            return Files(self.folder, self.entries[image])
        entry = self.entries[image]
        if entry.now(self.folder) is None:
            raise UserError(
                f"{self.folder / entry.name} is gone or has changed since it was embedded: run "
                "`mstar index` again."
            )
        return open_image(as_stored(self.folder, entry.name))


def _check(shard: Shard, config: MstarConfig, about: About) -> None:
    """See that a shard holds what the model makes: it may be of another gallery.

    Raises:
        UserError: vectors of another number or size, or none where the model asks for them.
    """
    vision = shard.vision
    count = (about.pve_steps + 1) * tile_count(about.tiles) * config.num_query_tokens
    sizes = {"features": (vision.features, config.embed_dim)}
    if config.multi_word_branch:
        sizes["embeddings"] = (vision.embeddings, config.qformer_config.hidden_size)
    for name, (found, size) in sizes.items():
        shape = None if found is None else tuple(found.shape[1:])
        if shape != (count, size):
            raise UserError(
                f"{shard.path} has {name} of shape {shape} an image, and the checkpoint makes "
                f"{(count, size)}: it is of another gallery; delete it and run `mstar index` again."
            )


class Gallery:
    """Images embedded once, and searched by text. Made by `embed` or `open`.

    Hooks on the model are heard where it looks at images and reads texts, but for the points of
    `mim` and `scores`: a gallery is compared in blocks.

    Attributes:
        images: as the processor takes them; those of a folder are opened when asked for.
        names: of the images.
        pve_steps, tiles: T, and the levels of tiles.
        vectors: what texts are compared with.
    """

    def __init__(
        self,
        bench: Bench,
        images: Sequence[Any],
        names: Sequence[str],
        pve_steps: int,
        tiles: Sequence[int],
        parts: Sequence[Rows],
    ):
        self.bench = bench
        self.images, self.names = images, tuple(names)
        self.pve_steps, self.tiles = pve_steps, tuple(tiles)
        self.vectors = Vectors(bench.model, parts)
        self._matcher = Matcher(bench, self.images, self.tiles)

    @classmethod
    def embed(
        cls,
        bench: Bench,
        images: Sequence[Any],
        names: Sequence[str] | None = None,
        pve_steps: int | None = None,
        batch_size: int = IMAGES_AT_ONCE,
        tiles: Sequence[int] | None = None,
        shared: bool = False,
    ) -> "Gallery":
        """A gallery in memory.

        Args:
            images: PIL images or uint8 arrays [H, W, 3].
            names: of the images; None = image 0, image 1, …
            pve_steps, tiles: T and the levels of tiles; None = the checkpoint's.
            shared: each process of `mstar.distributed.joined` embeds its share, and has all.
        """
        if not len(images):
            raise UserError("a gallery needs at least one image.")
        names = [f"image {i}" for i in range(len(images))] if names is None else names
        if len(names) != len(images):
            raise UserError(f"got {len(images)} images and {len(names)} names: one name each.")
        pve_steps = bench.config.pve_steps_from(pve_steps)
        tiles = bench.processor.tiles if tiles is None else check_tiles(tiles)
        shared, every = shared and processes()[1] > 1, range(len(images))
        batches = [every[i : i + batch_size] for i in range(0, len(images), batch_size)]
        own = batches[share(len(batches))] if shared else batches

        def embedded() -> Iterator[Rows]:
            for batch in tqdm(own, desc="gallery", leave=False):
                one = bench.encode_images([images[i] for i in batch], pve_steps, tiles)
                kept = one.embeddings if bench.config.multi_word_branch else None
                yield Rows(VisionEmbeddings(kept, one.features, one.tiles), torch.tensor(batch))

        with bench.evaluating():
            parts = together(lambda: [one.cpu() for one in embedded()]) if shared else [*embedded()]
        parts = gather_lists(parts) if shared else parts
        return cls(bench, images, names, pve_steps, tiles, parts)

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
            FileNotFoundError: there is no gallery, or no such folder of images.
            UserError: it was made with another checkpoint, or it is broken or empty.
        """
        about, checkpoint = opened_with(folder, checkpoint)
        if images is not None and not Path(images).is_dir():
            raise FileNotFoundError(f"there is no folder of images {images}.")
        bench = load_checkpoint(checkpoint, default_device())
        shards = read_shards(folder)
        for shard in shards:
            _check(shard, bench.config, about)
        entries, parts = in_order(shards)
        if not entries:
            raise UserError(f"the gallery {folder} is empty: run `mstar index` again.")
        photos = Files(Path(images or Path(folder, about.folder)), entries)
        names = [entry.name for entry in entries]
        return cls(bench, photos, names, about.pve_steps, about.tiles, parts)

    def __len__(self) -> int:
        return len(self.names)

    def forget(self) -> None:
        """Drop the image tokens that are kept for the next re-ranking."""
        self._matcher.tokens.clear()

    def scores(self, queries: Texts) -> Tensor:
        """Scores of the ranking by cosine, float32 [Q, B]: exact, over all looks.

        The embeddings are read a block at a time, once for all queries; give many at once.
        """
        return self._scores(*self._encoded(as_queries(queries)))

    def reranked_scores(self, queries: Texts, ratio: float | None = None) -> Tensor:
        """Scores after re-ranking, float32 [Q, B], whatever a search does by itself.

        Args:
            ratio: as of `search_many`; None = the configuration's `rerank_ratio`.
        """
        ratio = self.bench.config.rerank_ratio if ratio is None else ratio
        return self._ranked(as_queries(queries), ratio).scores

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
            UserError: an unknown style, or a text without any word.
        """
        return self.search_many([as_query(query, style)], k, ratio)[0]

    def search_many(
        self, queries: Texts, k: int | None = 10, ratio: float | None = None
    ) -> list[list[Hit]]:
        """The k best images of each query, best first, by cosine and then by the matching head.

        Equal scores are in the order of the images.

        Args:
            queries: texts with their styles; a str is read as `search` reads it.
            k: how many; None = all.
            ratio: share of the gallery that is re-ranked, see `rerank_count`; 0 = none; None =
                the configuration's where its `rerank_weight` is above 0, else none. The matching
                probability counts with that weight, and with 1 where it is 0. An image that cannot
                be opened, is gone or has changed keeps its cosine; a warning names it.
        """
        if k is not None and k < 1:
            raise UserError(f"k must be 1 or more; got {k}.")
        ranked = self._ranked(as_queries(queries), ratio)
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
            UserError: there is no such image, or see `search`.
        """
        return self.explain_each(query, [image], style, ratio)[0]

    def explain_each(
        self,
        query: str | Query,
        images: Sequence[int | str],
        style: str = "auto",
        ratio: float | None = None,
    ) -> list[Explanation]:
        """`explain` for several images, at the cost of one search."""
        asked = as_query(query, style)
        places = [self._index(image) for image in images]
        ranked = self._ranked([asked], ratio)
        hits = ranked.hits(0, torch.tensor(places, dtype=torch.long))
        return [self._explained(asked, ranked, hit) for hit in hits]

    def _explained(self, asked: Query, ranked: Ranked, hit: Hit) -> Explanation:
        kind, values = ranked.values(hit.image)
        vision = self.vectors.of(torch.tensor([hit.image]))
        words = contributions(self.bench, asked, vision)
        texts = [asked, *(Query(one.word, "word") for one in words)]
        photo, looked = self.images[hit.image], {"pve_steps": self.pve_steps, "tiles": self.tiles}
        trace = self.bench.trace(photo, texts, **looked)
        best, *others = values.flatten().sort(descending=True).values.tolist()
        lead = best - others[0] if others else nan
        return Explanation(asked, hit, kind, values, lead, words, trace)

    def _ranked(self, queries: Sequence[Query], ratio: float | None) -> Ranked:
        config = self.bench.config
        ratio = ratio_of(config, ratio)
        texts, is_word = self._encoded(queries)
        cosine = self._scores(texts, is_word)
        final, probability = cosine, torch.full_like(cosine, nan)
        bar = tqdm(total=len(queries), desc="re-ranking", unit="query", leave=False, delay=1)
        self._matcher.lost.clear()

        def matched(number: int, best: Tensor) -> Tensor:
            one = slice(number, number + 1)
            vision = self.vectors.of(best)
            tiles = self.bench.model.matched_tiles(vision, texts.of(one), is_word[one])[0].cpu()
            probability[number, best] = self._matcher.match(queries[number], best, tiles)
            bar.update()
            return probability[number, best].nan_to_num(0)

        with bar, self.bench.evaluating(), torch.no_grad():
            if ratio:
                final = rerank(cosine, matched, ratio, config.rerank_weight or 1.0)
        if self._matcher.lost:
            whys = list(self._matcher.lost.values())
            more = f" (and {len(whys) - 3} more)" * (len(whys) > 3)
            warnings.warn(
                f"{len(whys)} of the best images could not be looked at again and are ranked by "
                f"cosine alone: {' '.join(whys[:3])}{more}",
                stacklevel=3,
            )
        return Ranked(self.vectors, self.names, texts, is_word, cosine, final, probability)

    def _encoded(self, queries: Sequence[Query]) -> tuple[TextEncoding, Tensor]:
        if not queries:
            raise UserError("a search needs at least one query.")
        with self.bench.evaluating():
            return self.bench.encode_texts(queries)

    @torch.no_grad()
    def _scores(self, texts: TextEncoding, is_word: Tensor) -> Tensor:
        scores = torch.empty(len(is_word), len(self))
        bar = tqdm(total=len(self), desc="search", unit="image", leave=False, delay=1)
        with bar, self.bench.evaluating():
            for block in self.vectors.blocks(is_word):
                scores[:, block.images] = (
                    self.bench.model.score(block.vision, texts, is_word).float().cpu()
                )
                bar.update(len(block.images))
        wrong = (~scores.isfinite()).any(0).nonzero()
        if len(wrong):
            name = self.names[int(wrong[0])]
            raise UserError(f"the embeddings of {name} are no numbers: embed the gallery anew.")
        return scores

    def _index(self, image: int | str) -> int:
        if isinstance(image, str):
            forms = (image, *(unicodedata.normalize(form, image) for form in ("NFC", "NFD")))
            name = next((one for one in forms if one in self.names), None)
            if name is None:
                raise UserError(f"the gallery has no image {image!r}.")
            return self.names.index(name)
        if not 0 <= image < len(self):
            raise UserError(f"the gallery has images 0 to {len(self) - 1}; got {image}.")
        return image
