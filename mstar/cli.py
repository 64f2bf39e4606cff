"""`mstar …`: thin. Each subcommand adds its arguments and runs; heavy imports stay inside it."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__


def convert(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """turn a released checkpoint into a folder that MstarModel and MstarProcessor load"""
    parser.add_argument("file", help="the released .pth (or its weights as .safetensors)")
    parser.add_argument("out", help="a new or empty folder")
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="PATH_OR_NAME",
        help="BERT's uncased tokenizer: a folder with its vocab.txt, or a name on the hub",
    )
    parser.add_argument(
        "--vision", metavar="FILE", help="where to take what FILE lacks: a stage-4 file has no φ"
    )
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="resize the position table to this size"
    )

    def run(args: argparse.Namespace) -> None:
        from .official import convert

        folder = convert(
            args.file, args.out, args.tokenizer, vision=args.vision, image_size=args.image_size
        )
        print(f"saved {folder}")

    return run


def evaluate(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """measure how well a checkpoint ranks a gallery, and where it looks"""
    galleries = parser.add_subparsers(required=True, metavar="GALLERY")
    text = "scenes rendered from a seed, whose every word and place is known"
    sandbox = galleries.add_parser("sandbox", help=text, description=text)
    add = sandbox.add_argument
    add("--difficulty", choices=("easy", "hard", "crowd"), default="easy")
    add("--seed", type=int, default=0, metavar="N", help="of the gallery (default 0)")
    add(
        "--images",
        type=int,
        default=1000,
        metavar="N",
        help="size of the gallery (default 1000); a fifth as many seen words are asked for, "
        "at most 200, and as many unseen ones",
    )
    add("--checkpoint", metavar="FOLDER", help="default: the embedded checkpoint")
    add("--steps", type=int, metavar="T", help="looks after the first (default: the checkpoint's)")
    add(
        "--controls",
        action="store_true",
        help="also compare T = 0 with T = 1, with an empty mask and with a random one",
    )
    add("--json", action="store_true", help="print one JSON object instead of tables")

    def run(args: argparse.Namespace) -> None:
        import json
        from dataclasses import replace

        import torch

        from .checkpoints import checkpoint_hash, load_checkpoint
        from .embedded import checkpoint
        from .sandbox_evaluation import evaluate_sandbox

        folder = args.checkpoint or checkpoint()
        model, processor = load_checkpoint(folder, "cuda" if torch.cuda.is_available() else "cpu")
        report = evaluate_sandbox(
            model, processor, args.difficulty, args.seed, args.images, args.steps, args.controls
        )
        report = replace(report, about=report.about | {"checkpoint": checkpoint_hash(folder)})
        if args.json:
            print(json.dumps(report.to_json(), allow_nan=False))
        else:
            print(report)

    return run


def report(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """make one HTML file that opens without a network"""
    pages = parser.add_subparsers(required=True, metavar="PAGE")
    about = "what the model looked at in images, and why they match a text"
    image = pages.add_parser("image", help=about, description=about)
    image.add_argument(
        "--image",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH",
        help="photographs (default: the embedded samples)",
    )
    image.add_argument(
        "--words",
        metavar="A,B,C",
        help="texts to look for; one with a space is a phrase, and a style may be named: "
        "combined:1888+celtic, \"semantic:'dream big' on a shirt\" (default: the samples' labels)",
    )
    image.add_argument(
        "--checkpoint", default="", metavar="DIR", help="(default: the embedded one)"
    )
    image.add_argument("--steps", type=int, metavar="T", help="(default: the checkpoint's)")
    image.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side to which images are resized, whole patches (default: the checkpoint's)",
    )
    image.add_argument(
        "--record",
        nargs="+",
        action="extend",
        default=[],
        metavar="POINT",
        help="further hook points, names or globs, to keep in the saved traces",
    )
    image.add_argument("--seed", type=int, default=0, help="(default: 0)")
    image.add_argument("--out", default="out/report", metavar="DIR", help="(default: out/report)")

    def run(args: argparse.Namespace) -> None:
        from reports.runner import ReportFailed, image_report

        values = {
            "images": args.image,
            "words": [] if args.words is None else args.words.split(","),
            **{
                name: getattr(args, name)
                for name in ("checkpoint", "steps", "size", "record", "seed", "out")
            },
        }
        try:
            print(image_report(values))
        except ReportFailed as error:
            sys.exit(f"mstar: error: {error}")  # code 1: the input was fine

    # argparse lets the innermost parser decide what runs
    image.set_defaults(run=run)
    return run


def sandbox(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """draw a contact sheet of rendered scenes"""
    add = parser.add_argument
    add("--difficulty", choices=("easy", "hard", "crowd"), default="easy")
    add("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    add("--count", type=int, default=24, metavar="N", help="scenes on the sheet (default: 24)")
    add("--polygons", action="store_true", help="outline every word")
    add("--out", default="sheet.png", metavar="FILE", help="a PNG image (default: sheet.png)")

    def run(args: argparse.Namespace) -> None:
        if args.count < 1:
            raise ValueError(f"count must be 1 or more; got {args.count}.")
        if Path(args.out).is_dir():
            raise ValueError(f"{args.out} is a folder: --out names a file.")
        from tqdm.auto import tqdm

        from . import files
        from .data.sandbox import DIFFICULTIES, contact_sheet, scene

        difficulty = DIFFICULTIES[args.difficulty]
        split = difficulty.splits[0]  # train where there is training, else test
        indices = tqdm(range(args.count), desc="scenes", leave=False)
        sheet = contact_sheet(
            [scene(args.seed, i, split, difficulty) for i in indices], polygons=args.polygons
        )
        with files.replacing(args.out) as path:
            sheet.save(path, format="PNG")
        print(args.out)

    return run


def train(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """train the sandbox model from nothing, or go on where a run in OUT stopped"""
    add = parser.add_argument
    add("--out", default="runs/sandbox", metavar="DIR", help="(default: runs/sandbox)")
    add("--init", metavar="FOLDER", help="train on from this checkpoint, on full scenes only")
    add(
        "--seed",
        type=int,
        metavar="N",
        help="of weights and images (default: one more than the runs before it)",
    )
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")

    def run(args: argparse.Namespace) -> None:
        if args.threads is not None and args.threads < 1:
            raise ValueError(f"threads must be 1 or more; got {args.threads}.")
        if args.seed is not None and args.seed < 0:
            raise ValueError(f"seed must be 0 or more; got {args.seed}.")
        if Path(args.out).exists() and not Path(args.out).is_dir():
            raise ValueError(f"{args.out} is a file: --out names a folder.")
        from dataclasses import replace

        import torch

        from . import training
        from .checkpoints import load_config
        from .configuration import MstarConfig

        if args.threads is not None:
            torch.set_num_threads(args.threads)
        config, recipe, seed = MstarConfig.sandbox(), training.Recipe(), 1
        if args.init:
            config, recipe = load_config(args.init), training.continued(recipe)
            seed += len(training.training_record(args.init))  # images not seen before
        recipe = replace(recipe, seed=seed if args.seed is None else args.seed)
        trainer = training.Trainer(config, recipe, args.out, init=args.init)
        trainer.run()
        if trainer.accelerator.is_main_process:
            print(trainer.save_checkpoint(Path(args.out, "checkpoint")))

    return run


#: A subcommand is a function here: its docstring is the help, it adds its arguments to a parser
#: and returns what runs.
COMMANDS = (convert, evaluate, report, sandbox, train)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; 0 = done, 2 = bad input, said in one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="mstar", description="The MSTAR workbench.")
    parser.add_argument("--version", action="version", version=f"mstar {__version__}")
    parser.set_defaults(run=lambda args: parser.print_help())
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.__name__.replace("_", "-"), help=command.__doc__, description=command.__doc__
        )
        subparser.set_defaults(run=command(subparser))
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="mstar: %(message)s")
    logging.getLogger("mstar").setLevel(logging.INFO)
    try:
        args.run(args)
    except (ValueError, FileNotFoundError, PermissionError, NotADirectoryError) as error:
        # HookError is a ValueError
        print(f"mstar: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
