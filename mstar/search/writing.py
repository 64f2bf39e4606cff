"""A gallery's shards, written: vision embeddings in half precision, a file full at a time."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mstar import files
from mstar.errors import UserError
from mstar.model.outputs import ImageEncoding, VisionEmbeddings
from mstar.search.store import Entry, shard_paths

#: Bytes of a shard, about: what a run loses at most that is killed, or stopped while it writes,
#: and what an update rewrites.
_SHARD_BYTES = 64 * 2**20


def write_shard(path: Path, entries: Sequence[Entry], vision: VisionEmbeddings) -> None:
    """One shard; its tensors are of half precision, [n, …].

    Raises:
        OSError: it cannot be written, the disk is full.
    """
    tensors = {"features": vision.features}
    if vision.embeddings is not None:
        tensors["embeddings"] = vision.embeddings
    # JSON in ASCII: a header is UTF-8, a file name may not be
    listed = json.dumps([asdict(entry) for entry in entries])
    with files.replacing(path) as part:
        try:
            save_file({n: t.contiguous() for n, t in tensors.items()}, part, {"images": listed})
        except SafetensorError as error:
            raise OSError(f"the gallery {path.parent} cannot be written: {error}.") from error


class ShardWriter:
    """Embedded images on their way to disk, a shard at a time."""

    def __init__(self, gallery: Path, keep_embeddings: bool):
        self.gallery, self.keep_embeddings = gallery, keep_embeddings
        self.entries: list[Entry] = []
        self.features: list[Tensor] = []
        self.embeddings: list[Tensor] = []
        self.bytes = 0
        self.tiles = 1

    def add(self, entries: Sequence[Entry], encoded: ImageEncoding) -> None:
        features = _half(encoded.features, entries)
        embeddings = [_half(encoded.embeddings, entries)] if self.keep_embeddings else []
        self.entries += entries
        self.tiles = encoded.tiles
        self.features.append(features)
        self.embeddings += embeddings
        self.bytes += sum(one.numel() * one.element_size() for one in (features, *embeddings))
        if self.bytes >= _SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write what has not been written yet."""
        if not self.features:
            return
        numbers = [int(path.stem) for path in shard_paths(self.gallery)]
        path = self.gallery / f"{max(numbers, default=-1) + 1:05}.safetensors"
        embeddings = torch.cat(self.embeddings) if self.keep_embeddings else None
        entries, vision = (
            self.entries,
            VisionEmbeddings(embeddings, torch.cat(self.features), self.tiles),
        )
        # before writing: what fails or is stopped there is not written a second time
        self.entries, self.features, self.embeddings, self.bytes = [], [], [], 0
        write_shard(path, entries, vision)


def _half(values: Tensor, entries: Sequence[Entry]) -> Tensor:
    half = values.to("cpu", torch.float16)
    if not half.isfinite().all():
        names = ", ".join(entry.name for entry in entries[:3])
        raise UserError(f"the checkpoint gives values that are no numbers for {names}.")
    return half
