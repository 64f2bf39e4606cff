"""`mstar sandbox`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from mstar.errors import UserError, check_range


def sandbox(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """draw a contact sheet of rendered scenes"""
    add = parser.add_argument
    add(
        "--difficulty",
        choices=("easy", "hard", "crowd", "street"),
        default="easy",
        help="of the scenes",
    )
    add("--backgrounds", metavar="FOLDER", help="photographs without text for street to stand on")
    add("--seed", type=int, default=0, metavar="N", help="of the scenes (default: 0)")
    add("--scenes", type=int, default=24, metavar="N", help="scenes on the sheet (default: 24)")
    add("--polygons", action="store_true", help="outline every word")
    add("--out", default="sheet.png", metavar="FILE", help="a PNG image (default: sheet.png)")

    def run(args: argparse.Namespace) -> None:
        check_range("scenes", args.scenes, 1, 10_000)
        if Path(args.out).is_dir():
            raise UserError(f"{args.out} is a folder: --out names a file.")
        from tqdm.auto import tqdm

        from mstar import files
        from mstar.data.scenes.sandbox import DIFFICULTIES, contact_sheet, scene

        difficulty = DIFFICULTIES[args.difficulty]
        split = difficulty.splits[0]  # train where there is training, else test
        indices = tqdm(range(args.scenes), desc="scenes", leave=False)
        sheet = contact_sheet(
            [scene(args.seed, i, split, difficulty, backgrounds=args.backgrounds) for i in indices],
            polygons=args.polygons,
        )
        with files.replacing(args.out) as path:
            sheet.save(path, format="PNG")
        print(args.out)

    return run
