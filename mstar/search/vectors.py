"""The vision embeddings of a gallery, in memory or mapped from its files, as they are compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mstar.model.modeling import MstarModel
from mstar.model.outputs import VisionEmbeddings
from mstar.search.store import Entry, Shard

#: Bytes that are compared at once. They fit into a CPU's cache, and memory of this size is used
#: again: blocks of 12 MiB were given back to the system each time, and one query took four times as
#: long (`python -m tests.measure_speed --only 7`).
_BLOCK_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Rows:
    """Vision embeddings of some images, and their indices in the gallery, int64 [n]."""

    vision: VisionEmbeddings
    images: Tensor

    def cpu(self) -> "Rows":
        """The same in memory that other processes can be given."""
        vision = self.vision
        kept = None if vision.embeddings is None else vision.embeddings.cpu()
        return Rows(VisionEmbeddings(kept, vision.features.cpu(), vision.tiles), self.images)


def in_order(shards: Sequence[Shard]) -> tuple[list[Entry], list[Rows]]:
    """The images of a gallery in the order of their names, and what its shards have of them."""
    entries = sorted((e for shard in shards for e in shard.entries), key=lambda e: e.name)
    place = {entry.name: i for i, entry in enumerate(entries)}
    return entries, [
        Rows(shard.vision, torch.tensor([place[entry.name] for entry in shard.entries]))
        for shard in shards
    ]


class Vectors:
    """What texts are compared with, kept in parts of any order and size, in any precision.

    Attributes:
        model: gives the device and the precision in which they are handed out.
        tiles: V.
    """

    def __init__(self, model: MstarModel, parts: Sequence[Rows]):
        self.model, self._parts = model, list(parts)
        self.tiles = self._parts[0].vision.tiles
        count = sum(len(part.images) for part in self._parts)
        self._where = torch.empty(count, 2, dtype=torch.long)  # image -> part, row
        for number, part in enumerate(self._parts):
            self._where[part.images, 0] = number
            self._where[part.images, 1] = torch.arange(len(part.images))

    def __len__(self) -> int:
        """How many images."""
        return len(self._where)

    @property
    def shape(self) -> tuple[int, int]:
        """Vectors an image, and dimensions of their features."""
        return tuple(self._parts[0].vision.features.shape[1:])

    def blocks(self, is_word: Tensor) -> Iterator[Rows]:
        """All images in blocks that are small while they are compared with these texts."""
        config = self.model.config
        words = self.model.scored_by_word(is_word)
        several = int((~words).sum())
        for rows in self._parts:
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
                yield Rows(VisionEmbeddings(embeddings, features, self.tiles), rows.images[part])

    def parts(self, vectors: int) -> Iterator[Rows]:
        """All images in blocks of about so many vectors, in the order in which they are kept."""
        count = max(1, vectors // self.shape[0])
        for rows in self._parts:
            for start in range(0, len(rows.images), count):
                part = slice(start, start + count)
                yield Rows(self._handed_out(rows.vision, part), rows.images[part])

    def of(self, images: Tensor) -> VisionEmbeddings:
        """The vision embeddings of some images, int64 [n]."""
        part, row = self._where[images].unbind(1)
        found: list[tuple[Tensor, VisionEmbeddings]] = []
        for number in part.unique().tolist():
            (here,) = (part == number).nonzero(as_tuple=True)
            found.append((here, self._handed_out(self._parts[number].vision, row[here])))
        back = torch.cat([here for here, _ in found]).argsort()
        features = torch.cat([one.features for _, one in found])[back]
        if found[0][1].embeddings is None:
            return VisionEmbeddings(None, features, self.tiles)
        embeddings = torch.cat([one.embeddings for _, one in found])[back]
        return VisionEmbeddings(embeddings, features, self.tiles)

    def _handed_out(self, stored: VisionEmbeddings, rows: Tensor | slice) -> VisionEmbeddings:
        kept = None if stored.embeddings is None else self._ready(stored.embeddings[rows])
        return VisionEmbeddings(kept, self._ready(stored.features[rows]), self.tiles)

    def _ready(self, stored: Tensor) -> Tensor:
        return stored.to(self.model.device, self.model.dtype)
