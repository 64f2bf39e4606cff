"""What millions of photographs cost: `python -m tests.measure_scale [--checkpoint FOLDER]`.

Measures on this machine, in about a minute: photographs of 3 megapixels embedded (rendered scenes,
enlarged), and queries of a gallery of random vectors in clusters, exact and by an index. Prints
what follows for 1, 10 and 100 million with the checkpoint's tiles, T and sizes. Nothing of that
size is made: exact search grows with the images, and so does opening a gallery; the lists that an
approximate query reads with the root of the vectors, and an index takes vectors times lists.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from mstar.data.scenes import sandbox
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint
from mstar.io.images import open_image
from mstar.model.outputs import VisionEmbeddings
from mstar.search.gallery import Gallery
from mstar.search.index import index_folder
from mstar.search.nearest.approximate import Approximate
from mstar.search.nearest.lists import build
from mstar.search.store import About, Entry, read_shards, write_about
from mstar.search.vectors import in_order
from mstar.search.writing import write_shard
from mstar.texts import Query
from mstar.tiles import tile_count
from mstar.versions import checkpoint_hash

MILLIONS = (1, 10, 100)
VECTORS, PHOTOS, CLUSTERS, SHARD = 300_000, 24, 2000, 500
#: What a GPU is taken to reach, a tenth of an H100's dense bf16, and the cores that decode for it.
GPU_FLOPS, GPU_CORES = 1e14, 16
QUERIES = {
    "word": [Query(word, "word") for word in ("exit", "hotel", "coffee", "open")],
    "phrase": [Query(text, "phrase") for text in ("way out", "no parking", "ice cream", "city")],
}  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    """CPU-seconds of this process, all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def photographs(folder: Path) -> list[Path]:
    folder.mkdir()
    for number in range(PHOTOS):
        scene = sandbox.scene(1, number, "test", sandbox.STREET).image
        path = folder / f"{number}.jpg"
        Image.fromarray(np.asarray(scene)).resize((2000, 1500)).save(path, quality=90)
    return sorted(folder.iterdir())


def synthetic(folder: Path, checkpoint: Path, shape: tuple[int, int, int], dim: int) -> Path:
    """A gallery of random vectors around centres, as many as texts are compared with."""
    images, vectors, hidden = shape
    folder.mkdir()
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(CLUSTERS, dim, generator=draw)
    for start in range(0, images, SHARD):
        count = min(SHARD, images - start)
        near = centres[torch.randint(CLUSTERS, (count, vectors), generator=draw)]
        features = near + 0.7 * torch.randn(near.shape, generator=draw)
        kept = torch.randn(count, vectors, hidden, generator=draw).half() if hidden else None
        features = torch.nn.functional.normalize(features, dim=-1).half()
        entries = [Entry(f"{start + i:08}.jpg", 0, 0, "0" * 64) for i in range(count)]
        path = folder / f"{start // SHARD:05}.safetensors"
        write_shard(path, entries, VisionEmbeddings(kept, features, 1))
    config = load_checkpoint(checkpoint).config
    made = str(checkpoint.resolve()), checkpoint_hash(checkpoint)
    write_about(folder, About(*made, config.pve_steps, config.tiles, "../photos"))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=embedded.checkpoint())
    checkpoint = parser.parse_args().checkpoint
    bench, cores = load_checkpoint(checkpoint, "cpu"), os.cpu_count()
    config = bench.config
    vectors = (config.pve_steps + 1) * tile_count(config.tiles) * config.num_query_tokens
    hidden = config.multi_word_branch * config.qformer_config.hidden_size
    images = max(SHARD, -(-VECTORS // vectors))
    with tempfile.TemporaryDirectory() as scratch:
        paths = photographs(Path(scratch, "photos"))
        index_folder(paths[0].parent, Path(scratch, "first"), checkpoint)
        each = cpu(lambda: index_folder(paths[0].parent, Path(scratch, "second"), checkpoint))
        each, opened = each / PHOTOS, [open_image(path) for path in paths[:4]]
        read = (
            cpu(
                lambda: [
                    bench.pixels([open_image(path, bench.processor.reduction)]) for path in paths
                ]
            )
            / PHOTOS
        )
        bench.model.requires_grad_(False)  # or the counter looks for gradients
        with FlopCounterMode(display=False) as flops:
            bench.encode_images(opened[:1])

        folder = Path(scratch, "gallery")
        synthetic(folder, checkpoint, (images, vectors, hidden), config.embed_dim)
        size = sum(path.stat().st_size for path in folder.iterdir()) / images
        building = cpu(lambda: build(folder)) / (images * vectors) ** 1.5
        indexed = sum(path.stat().st_size for path in folder.glob("nearest.*")) / images
        opening = cpu(lambda: in_order(read_shards(folder))) / images
        gallery, approximate = Gallery.open(folder), Approximate.open(folder)
        exact, near, fixed = {}, {}, {}
        for kind, queries in QUERIES.items():
            for one in (gallery, approximate):
                one.search_many(queries[:1], 10, 0)
            count, encoded = len(queries), bench.encode_texts(queries)[0].features
            search = approximate.nearest.get("several" if kind == "phrase" else "word")
            search = search or next(iter(approximate.nearest.values()))
            exact[kind] = cpu(lambda q=queries: [gallery.search(x, k=10, ratio=0) for x in q])
            exact[kind] /= count * images
            near[kind] = cpu(lambda e=encoded, s=search: [s(x, 80) for x in e]) / count
            every = cpu(lambda q=queries: approximate.search_many(q, 10, 0)) / count
            fixed[kind] = max(0.0, every - near[kind])

    tiles = " ".join(map(str, config.tiles))
    print(f"{vectors} vectors an image (tiles {tiles}, T = {config.pve_steps}) of "
          f"{config.embed_dim} + {hidden} dimensions; measured on {cores} cores with {PHOTOS} "
          f"photographs and {images:,} images of random vectors, {images * vectors:,} vectors.\n"
          f"A photograph takes {1000 * each:.0f} CPU-ms, {1000 * read:.0f} of them to read it, and "
          f"{flops.get_total_flops() / 1e9:.2f} GFLOP.\n")  # fmt: skip
    heads = ["", *(f"{m} million" for m in MILLIONS)]
    gpu = max(flops.get_total_flops() / GPU_FLOPS, read / GPU_CORES)
    root = (images * vectors) ** 0.5

    def row(what: str, value: Callable[[int], float]) -> list[str]:
        return [what, *(f"{value(m * 1_000_000):,.3g}" for m in MILLIONS)]

    table = [
        row("gallery on disk, TB", lambda n: n * size / 1e12),
        row("index on disk, TB", lambda n: n * indexed / 1e12),
        row(f"embedding, hours of these {cores} cores", lambda n: n * each / cores / 3600),
        row(f"embedding, hours of a GPU (estimate: {GPU_FLOPS / 1e12:.0f} TFLOP/s or {GPU_CORES} "
            "such cores reading)", lambda n: n * gpu / 3600),
        row("index, hours of a core", lambda n: building * (n * vectors) ** 1.5 / 3600),
        row("opening the gallery, CPU-s", lambda n: n * opening),
    ]  # fmt: skip
    for kind in QUERIES:
        table += [
            row(f"a {kind}, exact, CPU-s", lambda n, k=kind: n * exact[k]),
            row(f"a {kind} by the index, CPU-s",
                lambda n, k=kind: fixed[k] + near[k] * (n * vectors) ** 0.5 / root),
        ]  # fmt: skip
    for line in (heads, ["---"] * len(heads), *table):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
