"""A gallery's shards, written: vision embeddings in half precision, a file full at a time."""

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mstar import files
from mstar.errors import UserError
from mstar.model.configuration import MstarConfig
from mstar.model.outputs import ImageEncoding, VisionEmbeddings
from mstar.search.store import About, Entry
from mstar.tiles import tile_count

#: Bytes of a shard, about: what a run loses at most that is killed, or stopped while it writes,
#: and what an update rewrites.
_SHARD_BYTES = 64 * 2**20
#: Shards of a run, for several processes to deal out, as long as each has so many images.
_SHARES, _LEAST = 64, 16


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


def shards_of(
    config: MstarConfig, about: About, names: Sequence[str], batch_size: int
) -> list[list[Sequence[str]]]:
    """Images that are to be embedded, by shards and batches: as a run of any processes has them."""
    vectors = (about.pve_steps + 1) * tile_count(about.tiles) * config.num_query_tokens
    size = config.embed_dim + config.multi_word_branch * config.qformer_config.hidden_size
    batches = [names[i : i + batch_size] for i in range(0, len(names), batch_size)]
    share = max(-(-len(batches) // _SHARES), -(-_LEAST // batch_size))
    full = max(1, min(share, _SHARD_BYTES // (2 * vectors * size * batch_size)))
    return [batches[i : i + full] for i in range(0, len(batches), full)]


class ShardWriter:
    """Embedded images on their way to a shard, written at the end of the block, or at an error."""

    def __init__(self, path: Path, keep_embeddings: bool):
        self.path, self.keep_embeddings = path, keep_embeddings
        self.entries: list[Entry] = []
        self.features: list[Tensor] = []
        self.embeddings: list[Tensor] = []
        self.tiles = 1

    def add(self, entries: Sequence[Entry], encoded: ImageEncoding) -> None:
        features = _half(encoded.features, entries)
        embeddings = [_half(encoded.embeddings, entries)] if self.keep_embeddings else []
        self.entries += entries
        self.tiles = encoded.tiles
        self.features.append(features)
        self.embeddings += embeddings

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        if not self.features:
            return
        embeddings = torch.cat(self.embeddings) if self.keep_embeddings else None
        vision = VisionEmbeddings(embeddings, torch.cat(self.features), self.tiles)
        # what happened first is what has to be said
        with suppress(Exception) if raised else nullcontext():
            write_shard(self.path, self.entries, vision)


def _half(values: Tensor, entries: Sequence[Entry]) -> Tensor:
    half = values.to("cpu", torch.float16)
    if not half.isfinite().all():
        names = ", ".join(entry.name for entry in entries[:3])
        raise UserError(f"the checkpoint gives values that are no numbers for {names}.")
    return half
