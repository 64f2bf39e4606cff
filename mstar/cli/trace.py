"""`mstar trace`: what a run saw, of any number of photographs, as files."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from mstar.cli.console import printable
from mstar.errors import UserError, check_range
from mstar.io.embedded import checkpoint
from mstar.texts import as_query


def trace(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """record maps, masks, assignments and scores of photographs, as safetensors and CSV"""
    parser.epilog = (
        "The same command again goes on where it was stopped. Trace.load reads each folder of "
        "OUT/traces; OUT/scores.csv and OUT/looks.csv are tables of all photographs."
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="PHOTOS", help="photographs, or folders of them")
    add("--texts", nargs="+", default=[], metavar="TEXT", help="to be looked for, as `mstar "
        "search` reads them (default: none, the looks alone)")  # fmt: skip
    add("--record", nargs="+", metavar="NAME", help="hook points, or globs, see mstar/hooks "
        "(default: maps, masks, cross-attention, assignment, scores)")  # fmt: skip
    add("--out", required=True, metavar="DIR", help="a new folder, or one of the same command")
    add("--checkpoint", metavar="FOLDER", help="what looks (default: the embedded checkpoint)")
    add("--pve-steps", type=int, metavar="T", help="looks after the first (default: its own)")
    add("--tiles", type=int, nargs="+", metavar="N", help="parts along a side, level by level")
    add("--json", action="store_true", help="print one JSON object instead of sentences")

    def run(args: argparse.Namespace) -> None:
        from mstar.hooks.points import MOST_PVE_STEPS
        from mstar.search.folders import look_through
        from mstar.tiles import check_tiles
        from mstar.versions import checkpoint_hash

        folder = checkpoint(args.checkpoint)
        texts = [as_query(text) for text in args.texts]
        if args.pve_steps is not None:
            check_range("pve-steps", args.pve_steps, 0, MOST_PVE_STEPS)
        tiles = None if args.tiles is None else check_tiles(args.tiles)
        photographs, unopened = [], {}
        for path in map(Path, args.images):
            if path.is_dir():
                found = look_through(path)
                photographs += [path / name for name in found.images]
                unopened |= found.unopened
            elif path.is_file():
                photographs.append(path)
            else:
                raise UserError(f"there is no photograph or folder {path}.")
        from mstar.explain.traces import trace_photographs
        from mstar.io.checkpoints import default_device, load_checkpoint

        bench = load_checkpoint(folder, default_device())
        options = args.record, args.pve_steps, tiles, checkpoint_hash(folder)
        done = trace_photographs(bench, photographs, texts, args.out, *options)
        left_out = done.unreadable | unopened
        if args.json:
            print(json.dumps({"made": done.made, "kept": done.kept, "unreadable": left_out}))
            return
        print(f"{args.out}: {done.made} traces made now, {done.kept} there already, "
              f"{len(left_out)} photographs unreadable")  # fmt: skip
        for why in left_out.values():
            print(f"  left out: {printable(why)}")

    return run
