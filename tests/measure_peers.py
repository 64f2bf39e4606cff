"""Our model beside RapidOCR and a random ranking: `python -m tests.measure_peers --help`.

Same images, same queries, one table: MAP in % with its 95 % interval, and images/s of what looks at
the images. RapidOCR reads about one image a second, so what it read can be kept and gone on with.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from mstar import embedded, files
from mstar.checkpoints import load_checkpoint
from mstar.data import sandbox
from mstar.data.benchmarks import icdar2003, icdar2015
from mstar.data.labels import words_of
from mstar.evaluation import Estimate, mean_average_precision, random_scores, rank_gallery
from mstar.peers import RapidOcr, spotting_scores
from mstar.queries import Query

Images = Sequence[NDArray[np.uint8]]


class Kept:
    """What RapidOCR read, image by image, in a file that grows."""

    def __init__(self, file: Path | None):
        self.file = file
        self.lines: list[list[str]] = []
        if file is not None and file.is_file():
            self.lines = json.loads(file.read_text(encoding="utf-8"))
        self.spotter = RapidOcr()

    def read(self, images: Images) -> tuple[list[list[str]], float]:
        """The lines of every image, and images/s of what was read just now."""
        todo = images[len(self.lines) :]
        clock = time.perf_counter()
        for image in tqdm(todo, desc="RapidOCR", unit="image", leave=False):
            self.lines.append(self.spotter.spot(np.asarray(image)))
            if self.file is not None and len(self.lines) % 20 == 0:
                self.save()
        seconds = time.perf_counter() - clock
        if self.file is not None:
            self.save()
        return self.lines, len(todo) / seconds

    def save(self) -> None:
        with files.replacing(self.file) as part:
            part.write_text(json.dumps(self.lines), encoding="utf-8")


def compare(
    name: str,
    images: Images,
    queries: Sequence[Query],
    relevant: NDArray[np.bool_],
    checkpoint: str,
    kept: Kept | None,
) -> None:
    """Print the lines of one gallery."""
    model, processor = load_checkpoint(checkpoint)
    clock = time.perf_counter()
    scores = {"ours": rank_gallery(model, processor, images, queries)}
    speed = {"ours": len(images) / (time.perf_counter() - clock)}
    if kept is not None:
        lines, speed["RapidOCR"] = kept.read(images)
        words = [words_of(query.text, query.style) for query in queries]
        scores["RapidOCR"] = spotting_scores(words, lines)
        scores["RapidOCR, joined"] = spotting_scores(words, lines, joined=True)
    scores["random"] = random_scores(relevant.shape, 1)
    styles = np.array([query.style for query in queries])
    print(f"\n{name}: {len(images)} images", flush=True)
    for style in dict.fromkeys(styles.tolist()):
        rows = styles == style
        for who, found in scores.items():
            value: Estimate = mean_average_precision(relevant[rows], found[rows])
            rate = f"{speed[who]:8.1f} images/s" if speed.get(who) else ""
            print(f"  {style:9} {who:17} {value!s:20} of {rows.sum():3} queries {rate}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--difficulty", nargs="*", default=[], choices=list(sandbox.DIFFICULTIES))
    add("--seeds", nargs="+", type=int, default=[11])
    add("--images", type=int, default=1000, help="of each sandbox gallery")
    add("--photos", type=Path, help="folder with ICDAR2003/ and ICDAR2015/")
    add("--checkpoint", default=str(embedded.checkpoint()))
    add("--kept", type=Path, help="folder for what RapidOCR read")
    add("--no-peer", action="store_true", help="our model and the random ranking alone")
    args = parser.parse_args()
    if args.kept:
        args.kept.mkdir(parents=True, exist_ok=True)

    def kept(name: str) -> Kept | None:
        return None if args.no_peer else Kept(args.kept and args.kept / f"{name}.json")

    for difficulty in args.difficulty:
        for seed in args.seeds:
            name = f"{difficulty}-{seed}-{args.images}"
            asked = min(200, args.images // 5)
            level = sandbox.DIFFICULTIES[difficulty]
            made = sandbox.gallery(seed, level, images=args.images, seen=asked, unseen=asked)
            relevant = np.array([query.relevant for query in made.queries])
            queries = [query.asked for query in made.queries]
            compare(name, made.images, queries, relevant, args.checkpoint, kept(name))
    if args.photos:
        for found in (icdar2003(args.photos / "ICDAR2003"), icdar2015(args.photos / "ICDAR2015")):
            photos = [np.asarray(Image.open(path).convert("RGB")) for path in found.images]
            name = found.name.replace(" ", "-")
            compare(name, photos, found.queries, found.relevant, args.checkpoint, kept(name))


if __name__ == "__main__":
    main()
