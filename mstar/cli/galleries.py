"""`mstar index`, `mstar search`, `mstar calibrate` and `mstar gallery …`."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mstar.cli.console import first_speaks, printable
from mstar.cli.session import Session, as_line, as_row, as_table
from mstar.errors import UserError, check_range
from mstar.io.embedded import checkpoint
from mstar.texts import as_query, check_style

if TYPE_CHECKING:
    from mstar.search.nearest.approximate import Approximate


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
        from dataclasses import asdict

        from mstar.search.folders import count_others
        from mstar.search.index import index_folder

        with first_speaks() as first:
            options = args.checkpoint, args.pve_steps, args.batch_size, args.tiles
            done = index_folder(args.images, args.gallery, *options)
        if not first:
            return
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
    add("queries", nargs="*", metavar="query", help="texts to look for (default: those that come "
        "on standard input, a line each, until it ends; :help says more)")  # fmt: skip
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
    add("--approximate", action="store_true", help="score only images that the gallery's index "
        "names (default: all of them)")  # fmt: skip
    _add_database(parser)
    add("--checkpoint", metavar="FOLDER", help="where the gallery's checkpoint is now")
    add("--images", metavar="FOLDER", help="where the gallery's images are now")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print one JSON object, not tables")
    forms.add_argument("--page", metavar="FILE", help="write a page: the photographs, where the "
                       "text stands in each, and how likely it is there")  # fmt: skip
    add("--known", metavar="LIST", help="what is written on the gallery's photographs, as `mstar "
        "labels` begins it: answers on the page are right or wrong, and without a query all words "
        "of the list are asked for")  # fmt: skip
    forms.add_argument("--jsonl", action="store_true", help="print a JSON object a query, each on "
                       "a line; lines of standard input are JSON as well")  # fmt: skip

    def run(args: argparse.Namespace) -> None:
        from mstar.data.lists.annotations import texts_by_name, words_of
        from mstar.search.presence import Presence
        from mstar.search.store import opened_with

        check_range("top", args.top, 1, sys.maxsize)
        check_style(args.style)
        queries = [as_query(query, args.style) for query in args.queries]
        if args.json and not queries:
            raise UserError("--json prints one object when all is done: name a query, or take "
                            "--jsonl, an object a line.")  # fmt: skip
        if not queries and sys.stdin is None:
            raise UserError("there is no standard input to read queries from: name one.")
        if args.known and not args.page:
            raise UserError("--known is for a page: give --page FILE as well.")
        if args.page and not queries and not args.known:
            raise UserError("--page shows the answers to queries: name one.")
        if args.page and Path(args.page).is_dir():
            raise UserError(f"{args.page} is a folder: --page names a file.")
        presence = Presence.of(opened_with(args.gallery, args.checkpoint)[1])
        if args.approximate or args.database:
            gallery = _open_approximate(args)
        else:
            from mstar.search.gallery import Gallery

            gallery = Gallery.open(args.gallery, args.checkpoint, args.images)
        known = texts_by_name(args.known, str(gallery.images.folder)) if args.known else None
        if known and not queries:
            queries = words_of(known)
        asked = {True: gallery.bench.config.rerank_ratio, False: 0, None: None}
        ratio = asked[args.rerank]
        if not queries:
            Session(gallery, args.style, args.top, ratio, jsonl=args.jsonl).run()
            return
        found = list(zip(queries, gallery.search_many(queries, args.top, ratio), strict=True))
        if args.page:
            from mstar.search.presence import write_page

            shown = known and {name: {t for t, _ in texts} for name, texts in known.items()}
            write_page(args.page, gallery, found, presence, shown)
            print(args.page)
        elif args.json:
            rows = [as_row(query, hits) for query, hits in found]
            print(json.dumps({"images": len(gallery), "queries": rows}, allow_nan=False))
        else:
            for query, hits in found:
                table = as_table(query, hits, len(gallery), ratio)
                print(as_line(query, hits) if args.jsonl else table)

    return run


def calibrate(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """measure when a search may say that a text is there, on photographs with their texts"""
    parser.epilog = (
        "Of each list the 8 % of photographs that judge a training run count. The numbers go into "
        "presence.json of the checkpoint's folder; `mstar evaluate presence` holds them against "
        "other photographs."
    )
    add = parser.add_argument
    add("--real", nargs=2, action="append", required=True, metavar=("LIST", "ROOT"), help="an "
        "MSTAR-Training list and the folder of its images; may be repeated")  # fmt: skip
    add("--checkpoint", metavar="FOLDER", help="what is measured (default: the embedded one)")
    add("--pve-steps", type=int, metavar="T", help="looks after the first (default: its own)")

    def run(args: argparse.Namespace) -> None:
        from mstar.data.lists.annotations import annotations
        from mstar.hooks.points import MOST_PVE_STEPS

        folder = checkpoint(args.checkpoint)
        if args.pve_steps is not None:
            check_range("pve-steps", args.pve_steps, 0, MOST_PVE_STEPS)
        for pair in args.real:
            annotations(*pair)
        from mstar.experiments.presence import calibrate
        from mstar.io.checkpoints import default_device, load_checkpoint

        bench = load_checkpoint(folder, default_device())
        found = calibrate(bench, tuple(map(tuple, args.real)), args.pve_steps)
        slope, intercept = found.styles["word"]
        print(f"{found.save(folder)}: log odds {slope:.2f} · cosine {intercept:+.2f}, from "
              f"{found.about['pairs']} pairs of {found.about['photographs']} photographs and "
              f"{found.about['words']} words")  # fmt: skip

    return run


def gallery(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """a gallery too large for exact search: its index, and what that finds"""
    below = parser.add_subparsers(metavar="WHAT", required=True)
    for name, made in _BELOW.items():
        one = below.add_parser(name, help=made.__doc__, description=made.__doc__)
        one.add_argument("gallery", help="a folder that `mstar index` made")
        one.set_defaults(run=made(one))
    return parser.print_help


def _add_database(parser: argparse.ArgumentParser) -> None:
    """Where the images that are scored are named by a server."""
    parser.add_argument("--database", metavar="URL", help="score only images that this Qdrant "
                        "server names, after `mstar gallery export` (default: none)")  # fmt: skip
    _add_collection(parser)


def _open_approximate(args: argparse.Namespace) -> "Approximate":
    """A gallery by its index, or by the server that was named."""
    from mstar.search.nearest.needs import check_needs

    check_needs(args.gallery, args.database)
    from mstar.search.nearest.approximate import Approximate
    from mstar.search.nearest.database import connect

    server = (connect(args.database), args.collection) if args.database else None
    images = getattr(args, "images", None)
    return Approximate.open(args.gallery, args.checkpoint, images, server)


def _add_collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", default="mstar", metavar="NAME", help="of the database")


def _where(parser: argparse.ArgumentParser) -> None:
    place = "where the gallery's checkpoint is now"
    parser.add_argument("--checkpoint", metavar="FOLDER", help=place)


def _build_index(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """write the index of a gallery, for `mstar search --approximate`"""

    _where(parser)

    def run(args: argparse.Namespace) -> None:
        from mstar.search.nearest.needs import check_installed
        from mstar.search.store import read_about

        check_installed()
        checkpoint(args.checkpoint or read_about(args.gallery).checkpoint)
        from mstar.search.nearest.lists import build

        made = build(args.gallery, args.checkpoint)
        print(f"{args.gallery}: an index of {made.images * made.vectors:,} vectors, "
              f"{made.vectors} an image, in {made.lists:,} lists")  # fmt: skip

    return run


def _recall(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """ask queries with and without the index: what it misses, and the time it saves"""
    add = parser.add_argument
    add("queries", nargs="*", metavar="query", help="a sample of yours (default: those that come "
        "on standard input, a line each)")  # fmt: skip
    add("--top", type=int, default=10, metavar="K", help="images a query (default 10)")
    _where(parser)
    _add_database(parser)
    add("--json", action="store_true", help="print one JSON object, not a table")

    def run(args: argparse.Namespace) -> None:
        from mstar.search.store import read_about

        check_range("top", args.top, 1, sys.maxsize)
        typed = args.queries or [line for line in map(str.strip, sys.stdin) if line]
        queries = [as_query(query) for query in typed]
        if not queries:
            raise UserError("name a query, or give some on standard input.")
        about = read_about(args.gallery)
        checkpoint(args.checkpoint or about.checkpoint)
        approximate = _open_approximate(args)
        from mstar.search.nearest.approximate import recalls

        found = recalls(approximate, queries, args.top)
        means = [sum(one[i] for one in found) / len(found) for i in (1, 2, 3)]
        if args.json:
            names = "recall", "exact_seconds", "approximate_seconds"
            rows = [one.query._asdict() | dict(zip(names, one[1:], strict=True)) for one in found]
            mean = dict(zip(names, means, strict=True))
            print(json.dumps({"top": args.top, **mean, "queries": rows}))
            return
        print(f"recall at {args.top:<3} exact, s  approximate, s  query")
        for one in found:
            said = f"{printable(one.query.text)} ({one.query.style})"
            print(f"{one.recall:13.3f} {one.exact:9.3f} {one.approximate:15.3f}  {said}")
        print(f"{means[0]:13.3f} {means[1]:9.3f} {means[2]:15.3f}  mean of {len(found)}")

    return run


def _export(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """send what a gallery looks up to a Qdrant server, for `mstar search --database`"""
    parser.add_argument("--to", required=True, metavar="URL", help="of the server; its key, if it "
                        "wants one, is taken from QDRANT_API_KEY")  # fmt: skip
    _add_collection(parser)
    _where(parser)

    def run(args: argparse.Namespace) -> None:
        from mstar.search.nearest.needs import check_database
        from mstar.search.store import read_about

        check_database(args.to)
        checkpoint(args.checkpoint or read_about(args.gallery).checkpoint)
        from mstar.search.nearest.database import connect, export

        images = export(args.gallery, connect(args.to), args.collection, args.checkpoint)
        print(f"{args.to}: {images:,} images in the collection {args.collection}")

    return run


_BELOW = {"build-index": _build_index, "recall": _recall, "export": _export}
