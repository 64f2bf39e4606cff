"""`mstar index` and `mstar search`."""

import argparse
import sys
from collections.abc import Callable

from mstar.cli.console import printable
from mstar.errors import check_range
from mstar.io.embedded import checkpoint


def index(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """embed a folder of images once, to be searched by `mstar search`"""
    parser.epilog = (
        "The same command again embeds what is new or changed and drops what is gone; a run that "
        "was stopped goes on."
    )
    add = parser.add_argument
    add("images", help="a folder of images; subfolders and links count, hidden files do not")
    add("gallery", help="a new folder for the embeddings, or a gallery made before")
    add("--checkpoint", metavar="FOLDER", help="what embeds (default: the embedded checkpoint)")
    add(
        "--pve-steps",
        type=int,
        metavar="T",
        help="looks after the first (default: the checkpoint's)",
    )
    add("--batch-size", type=int, default=16, metavar="N", help="images at once (default 16)")
    add(
        "--tiles",
        type=int,
        nargs="+",
        metavar="N",
        help="parts along a side, level by level, as 1 2 3 (default: the checkpoint's)",
    )
    add("--json", action="store_true", help="print one JSON object instead of sentences")

    def run(args: argparse.Namespace) -> None:
        import json
        from dataclasses import asdict

        from mstar.search.index import count_others, index_folder

        done = index_folder(
            args.images,
            args.gallery,
            args.checkpoint,
            args.pve_steps,
            args.batch_size,
            args.tiles,
        )
        if args.json:
            print(json.dumps(asdict(done)))
            return
        print(
            f"{args.gallery}: {done.images} images; {done.embedded} embedded now, {done.kept} "
            f"unchanged, {done.dropped} changed or gone, {len(done.unreadable)} unreadable"
        )
        for why in done.unreadable.values():
            print(f"  left out: {printable(why)}")
        if done.others:
            print(f"  no images: {printable(count_others(done.others))}")

    return run


def search(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """rank the images of a gallery by the text written in them"""
    parser.epilog = (
        'A query may name its style: phrase:"way out", combined:stop+go, '
        "semantic:\"'dream big' on a shirt\"; else it is guessed. With --rerank the best images "
        "are looked at again by the matching head, which can move them."
    )
    add = parser.add_argument
    add("gallery", help="a folder that `mstar index` made")
    add("queries", nargs="+", metavar="query", help="texts to look for")
    add(
        "--style",
        default="auto",
        help="word, phrase, combined or semantic, for all "
        "queries (default: as each says, or guessed)",
    )
    add("--top", type=int, default=10, metavar="K", help="images a query (default 10)")
    add(
        "--rerank",
        action=argparse.BooleanOptionalAction,
        help="look at the best images again, or "
        "go by cosine alone (default: as the checkpoint's configuration says)",
    )
    add("--checkpoint", metavar="FOLDER", help="where the gallery's checkpoint is now")
    add("--images", metavar="FOLDER", help="where the gallery's images are now")
    add("--json", action="store_true", help="print one JSON object instead of tables")

    def run(args: argparse.Namespace) -> None:
        import json
        from dataclasses import asdict

        from mstar.search.store import read_about
        from mstar.texts import as_query

        check_range("top", args.top, 1, sys.maxsize)
        queries = [as_query(query, args.style) for query in args.queries]
        about = read_about(args.gallery)
        checkpoint(args.checkpoint or about.checkpoint)
        from mstar.search.gallery import Gallery

        gallery = Gallery.open(args.gallery, args.checkpoint, args.images)
        asked = {True: gallery.bench.config.rerank_ratio, False: 0, None: None}
        ratio = asked[args.rerank]
        found = gallery.search_many(queries, args.top, ratio)
        if args.json:
            rows = [
                query._asdict() | {"hits": [asdict(hit) for hit in hits]}
                for query, hits in zip(queries, found, strict=True)
            ]
            print(json.dumps({"images": len(gallery), "queries": rows}, allow_nan=False))
            return
        for query, hits in zip(queries, found, strict=True):
            print(f"{printable(query.text)} ({query.style}), the best of {len(gallery)} images")
            print(" rank  score  cosine (rank)  matched  look, token  image")
            for hit in hits:
                matched = "–" if hit.probability is None else f"{hit.probability:.0%}"
                print(
                    f"{hit.rank:5} {hit.score:6.3f}  {hit.cosine:6.3f} {f'({hit.cosine_rank})':6} "
                    f"{matched:>8}  {f'{hit.look}, {hit.query_token}':11}  {printable(hit.name)}"
                )

    return run
