"""`mstar gallery …`: what is done with a gallery beside searching it."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mstar.cli.console import printable
from mstar.errors import UserError, check_range
from mstar.io.embedded import checkpoint
from mstar.texts import as_query

if TYPE_CHECKING:
    from mstar.search.nearest.approximate import Approximate


def gallery(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """a gallery too large for exact search: its index, and what that finds"""
    below = parser.add_subparsers(metavar="WHAT", required=True)
    for name, made in _BELOW.items():
        one = below.add_parser(name, help=made.__doc__, description=made.__doc__)
        one.add_argument("gallery", help="a folder that `mstar index` made")
        one.set_defaults(run=made(one))
    return parser.print_help


def add_database(parser: argparse.ArgumentParser) -> None:
    """Where the images that are scored are named by a server."""
    parser.add_argument("--database", metavar="URL", help="score only images that this Qdrant "
                        "server names, after `mstar gallery export` (default: none)")  # fmt: skip
    _add_collection(parser)


def open_approximate(args: argparse.Namespace) -> "Approximate":
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
    add_database(parser)
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
        approximate = open_approximate(args)
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
