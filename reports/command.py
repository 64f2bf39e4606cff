"""`mstar report`: the command line finds it by the entry point that this package declares."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from mstar.cli.console import printable

from .options import options, title
from .table import REPORTS

_PAGE = "the offline page of a notebook that papermill or you have run"


def report(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """make one HTML file that opens without a network"""
    names = parser.add_subparsers(required=True, dest="report", metavar="REPORT")
    for name, one in REPORTS.items():
        about = title(one.notebook)
        # an option that is not given leaves no trace: the notebook's default stands
        page = names.add_parser(
            name, help=about, description=about, argument_default=argparse.SUPPRESS
        )
        for option in options(one.parameters):
            if option.kind is bool:
                how = dict(action=argparse.BooleanOptionalAction)
            else:
                metavar = {str: "TEXT", int: "N", float: "X"}[option.scalar]
                how = dict(type=option.scalar, metavar=metavar)
            if option.is_list:
                how |= dict(nargs="*", action="extend")
            flag = f"--{option.name.replace('_', '-')}"
            page.add_argument(flag, help=option.about().replace("%", "%%"), **how)
        page.add_argument(
            "--sweep",
            metavar="NAME=V1,V2,…",
            help="a report for each of these values of an option that takes one, and a page that "
            "puts them side by side: OUT/index.html",
        )

    whole = names.add_parser("page", help=_PAGE, description=_PAGE)
    whole.add_argument("notebook", type=Path, help="one that was run: a report's or any other")
    whole.add_argument("--out", type=Path, metavar="FILE", help="default: beside it, as .html")

    def run(args: argparse.Namespace) -> None:
        if args.report == "page":
            from .runner import page_of

            print(page_of(args.notebook, args.out))
            return
        from .runner import ReportFailed, make

        known = [option.name for option in options(REPORTS[args.report].parameters)]
        values = {name: value for name, value in vars(args).items() if name in known}
        try:
            if "sweep" in args:
                from .sweep import sweep

                print(sweep(args.report, values, args.sweep))
            else:
                print(make(args.report, values))
        except ReportFailed as error:
            # code 1: the input was fine
            sys.exit(f"mstar: error: {printable(str(error))}")

    return run
