"""The vision embeddings of a gallery, in memory or mapped from its files, as they are compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mstar.model.modeling import MstarModel
from mstar.model.outputs import VisionEmbeddings

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

    def of(self, images: Tensor) -> VisionEmbeddings:
        """The vision embeddings of some images, int64 [n]."""
        chosen = [(self._parts[part].vision, row) for part, row in self._where[images].tolist()]
        stored = chosen[0][0].embeddings is not None
        embeddings = torch.stack([v.embeddings[row] for v, row in chosen]) if stored else None
        features = torch.stack([vision.features[row] for vision, row in chosen])
        embeddings = self._ready(embeddings) if stored else None
        return VisionEmbeddings(embeddings, self._ready(features), self.tiles)

    def _ready(self, stored: Tensor) -> Tensor:
        return stored.to(self.model.device, self.model.dtype)
