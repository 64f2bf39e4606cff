"""Search in a large gallery: `python -m tests.measure_search --help`.

Random unit vectors in half precision, as many as a gallery of photographs at the paper's size has
(T = 1: 128 of 256 dimensions each), on disk. Prints the time of a batch of queries, of the same
queries one by one, and the memory that the search took beyond the mapped file.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import torch
from tqdm import tqdm

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.io.processing import character_tokenizer
from mstar.model.outputs import VisionEmbeddings
from mstar.search.gallery import Gallery
from mstar.search.store import About, Entry, write_about
from mstar.search.writing import write_shard
from mstar.texts import Query
from mstar.versions import checkpoint_hash

QUERIES, STEPS, DIM, SHARD = 64, 1, 256, 1000


def make(folder: Path, images: int, repeated: bool = False) -> Path:
    """A gallery of noise, and a small checkpoint whose vectors have its shape.

    Args:
        repeated: the same noise in every shard, which is drawn sooner and searched alike.
    """
    checkpoint, gallery = folder / "checkpoint", folder / "gallery"
    config = MstarConfig.tiny(
        num_query_tokens=QUERIES, embed_dim=DIM, pve_steps=STEPS, multi_word_branch=False
    )
    MstarModel(config).save_pretrained(checkpoint)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(checkpoint)
    gallery.mkdir()
    generator, features = torch.Generator().manual_seed(0), None
    for number in tqdm(range(0, images, SHARD), desc="writing", unit="shard"):
        count = min(SHARD, images - number)
        if features is None or not repeated or count != len(features):
            values = torch.randn(count, (STEPS + 1) * QUERIES, DIM, generator=generator)
            features = torch.nn.functional.normalize(values, dim=-1).half()
        entries = [Entry(f"{number + i:06}.jpg", 0, 0, "") for i in range(count)]
        write_shard(gallery / f"{number // SHARD:05}.safetensors", entries,
                    VisionEmbeddings(None, features, tiles=1))  # fmt: skip
    made_with = str(checkpoint), checkpoint_hash(checkpoint)
    write_about(gallery, About(*made_with, STEPS, (1,), "../photos"))
    return gallery


class Memory(threading.Thread):
    """The most memory of its own, without mapped files, that this process has while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_, self.most, self.done = self.now(), 0, threading.Event()

    @staticmethod
    def now() -> int:
        status = Path("/proc/self/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("RssAnon")]
        return 1024 * int(line.split()[1])

    def run(self) -> None:
        while not self.done.wait(0.01):
            self.most = max(self.most, self.now())

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="for the gallery, 6.6 GB (default: temporary)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        path = make(Path(scratch), args.images)
        size = sum(file.stat().st_size for file in path.iterdir())
        gallery = Gallery.open(path)
        queries = [Query(f"word {i}", "word") for i in range(args.queries)]

        def timed(what: str) -> float:
            clock = time.perf_counter()
            gallery.search_many(queries, k=10, ratio=0)
            seconds = time.perf_counter() - clock
            print(f"{what:34} {seconds:8.2f} s", flush=True)
            return seconds

        print(f"{args.images} images, {size / 1e9:.2f} GB on disk, {len(queries)} queries")
        with Memory() as memory:
            timed("together, first time")
            together = timed("together, again")
        print(f"memory beyond the mapped file      {memory.most / 2**20:8.0f} MiB, "
              f"{memory.start_ / 2**20:.0f} before")  # fmt: skip
        clock = time.perf_counter()
        for query in tqdm(queries, desc="one by one", leave=False):
            gallery.search(query, k=10, ratio=0)
        alone = time.perf_counter() - clock
        print(f"{'one by one':34} {alone:8.2f} s, {alone / together:.1f} times as long")


if __name__ == "__main__":
    main()
