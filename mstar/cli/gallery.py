"""`mstar gallery …`: what is done with a gallery beside searching it."""

import argparse
import json
import sys
from collections.abc import Callable

from mstar.cli.console import printable
from mstar.errors import UserError, check_range
from mstar.io.embedded import checkpoint
from mstar.texts import as_query


def gallery(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """a gallery too large for exact search: its index, and what that finds"""
    below = parser.add_subparsers(metavar="WHAT", required=True)
    for name, made in _BELOW.items():
        one = below.add_parser(name, help=made.__doc__, description=made.__doc__)
        one.add_argument("gallery", help="a folder that `mstar index` made")
        one.set_defaults(run=made(one))
    return parser.print_help


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
    add("--json", action="store_true", help="print one JSON object, not a table")

    def run(args: argparse.Namespace) -> None:
        from mstar.search.nearest.needs import check_installed, check_there
        from mstar.search.store import read_about

        check_range("top", args.top, 1, sys.maxsize)
        queries = [as_query(query) for query in args.queries or map(str.strip, sys.stdin) if query]
        if not queries:
            raise UserError("name a query, or give some on standard input.")
        about = read_about(args.gallery)
        check_installed()
        check_there(args.gallery)
        checkpoint(args.checkpoint or about.checkpoint)
        from mstar.search.nearest.approximate import Approximate, recalls

        found = recalls(Approximate.open(args.gallery, args.checkpoint), queries, args.top)
        means = [
            sum(column) / len(found)
            for column in zip(
                *((one.recall, one.exact, one.approximate) for one in found), strict=True
            )
        ]
        names = "recall", "exact_seconds", "approximate_seconds"
        if args.json:
            rows = [one.query._asdict() | dict(zip(names, one[1:], strict=True)) for one in found]
            print(
                json.dumps(
                    {"top": args.top, **dict(zip(names, means, strict=True)), "queries": rows}
                )
            )
            return
        print(f"recall at {args.top}  exact, s  approximate, s  query")
        for one in found:
            said = f"{printable(one.query.text)} ({one.query.style})"
            print(f"{one.recall:12.3f} {one.exact:9.3f} {one.approximate:15.3f}  {said}")
        print(f"{means[0]:12.3f} {means[1]:9.3f} {means[2]:15.3f}  mean of {len(found)}")

    return run


_BELOW = {"build-index": _build_index, "recall": _recall}
