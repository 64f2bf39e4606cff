"""`mstar …`: thin. Each subcommand adds its arguments and runs; heavy imports stay inside it."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .training import Recipe


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

    _ablation(pages)
    # argparse lets the innermost parser decide what runs
    image.set_defaults(run=run)
    return run


def _ablation(pages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "whether attention recycling helps: an experiment with its controls, which resumes"
    parser = pages.add_parser("ablation", help=about, description=about)
    add = parser.add_argument
    add("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="(default: 1 2 3)")
    add("--queries", type=int, default=3, metavar="Q", help="(default: 3)")
    add("--images", type=int, default=3000, metavar="N", help="to train on (default: 3000)")
    add("--parent-steps", type=int, default=1000, metavar="N", help="(default: 1000)")
    add("--steps", type=int, default=300, metavar="N", help="of each arm (default: 300)")
    add("--gallery", type=int, default=400, metavar="N", help="its images (default: 400)")
    add(
        "--no-mosaics",
        dest="mosaics",
        action="store_false",
        help="without the released semantics, whose finer grid takes most of the time",
    )
    add("--checkpoint", default="", metavar="DIR", help="of φ (default: the embedded one)")
    add("--runs", default="runs/ablation", metavar="DIR", help="(default: runs/ablation)")
    add("--out", default="out/ablation", metavar="DIR", help="(default: out/ablation)")

    def run(args: argparse.Namespace) -> None:
        from reports.parameters import AblationReport
        from reports.runner import ReportFailed, ablation_report

        values = {name: getattr(args, name) for name in AblationReport.__dataclass_fields__}
        try:
            print(ablation_report(values))
        except ReportFailed as error:
            sys.exit(f"mstar: error: {error}")

    parser.set_defaults(run=run)


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


_PAPER_OPTIONS = ("real", "synthetic", "siglip", "blip2", "tokenizer", "download", "epochs",
                  "accumulate", "checkpoint_activations")  # fmt: skip


def train(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """train a model, or go on where a run in OUT stopped"""
    parser.epilog = (
        "sandbox learns from nothing on rendered text, the others are the paper's four stages on "
        "your images. On several GPUs: accelerate launch -m mstar.cli train …"
    )
    add = parser.add_argument
    add("--recipe", choices=("sandbox", "paper-word", "paper-multiquery"), default="sandbox")
    add("--out", metavar="DIR", help="(default: runs/RECIPE)")
    add("--seed", type=int, metavar="N", help="of weights and order (default: the recipe's)")
    sandbox = parser.add_argument_group("sandbox")
    sandbox.add_argument(
        "--init",
        metavar="FOLDER",
        help="train on from this checkpoint, with HARD images as well",
    )
    paper = parser.add_argument_group("paper-word and paper-multiquery")
    add = paper.add_argument
    lists = dict(nargs=2, action="append", default=[], metavar=("LIST", "ROOT"))
    add("--real", help="an MSTAR-Training list and the folder of its images", **lists)
    add("--synthetic", help="the same, for the first stage alone", **lists)
    add("--siglip", metavar="PATH_OR_NAME", help="transformers-format SigLIP that φ starts from")
    add("--blip2", metavar="PATH_OR_NAME", help="transformers-format BLIP-2 that ψ starts from")
    add("--tokenizer", metavar="PATH_OR_NAME", help="BERT's uncased tokenizer")
    add("--download", action="store_true", help="names may be fetched from the hub")
    add("--epochs", type=int, default=16, metavar="N", help="of each stage (default: 16)")
    add("--accumulate", type=int, default=1, metavar="N", help="micro-batches a step, one by one")
    add("--checkpoint-activations", action="store_true", help="less memory for more time")
    machine = parser.add_argument_group("machine")
    add = machine.add_argument
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--workers", type=int, metavar="N", help="loader processes (default: 1, beside a GPU 4)")
    add("--precision", choices=("bf16", "no"), help="(default: bf16 on a GPU that has it)")
    add("--compile", action="store_true", help="compile φ's layers")
    add("--save-every", type=int, default=500, metavar="N", help="steps (default: 500)")
    add("--keep", type=int, default=2, metavar="N", help="checkpoints that stay (default: 2)")
    add("--skip-unreadable", action="store_true", help="replace and count unreadable images")

    def run(args: argparse.Namespace) -> None:
        for name, least in {
            "threads": 1, "workers": 0, "seed": 0, "save_every": 1, "epochs": 1, "accumulate": 1,
        }.items():  # fmt: skip
            value = getattr(args, name)
            if value is not None and value < least:
                raise ValueError(f"{name.replace('_', '-')} must be {least} or more; got {value}.")
        out = Path(args.out or f"runs/{args.recipe}")
        if out.exists() and not out.is_dir():
            raise ValueError(f"{out} is a file: --out names a folder.")
        paper = args.recipe != "sandbox"
        if paper and not (args.real and args.synthetic):
            raise ValueError(
                f"{args.recipe} needs images: give --real LIST ROOT and --synthetic LIST ROOT."
            )
        given = [name for name in _PAPER_OPTIONS if getattr(args, name) != parser.get_default(name)]
        if given and not paper:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"the recipe sandbox has no use for {names}: name a paper recipe.")
        if paper and args.init:
            raise ValueError("--init goes on with the sandbox: a paper run goes on by itself.")
        import torch

        from . import training
        from .checkpoints import load_checkpoint

        if args.threads is not None:
            torch.set_num_threads(args.threads)
        history = training.training_record(args.init) if args.init else []
        recipe = _recipe(args, runs=len(history))
        if args.init:
            model, processor = load_checkpoint(args.init)
        else:
            model, processor = training.fresh(recipe, args.tokenizer)
        if args.siglip or args.blip2:
            print(training.warm_start(model, args.siglip, args.blip2, args.download))
        trainer = training.Trainer(
            model,
            processor,
            recipe,
            out,
            history=history,
            workers=args.workers,
            save_every=args.save_every,
            keep=args.keep,
            precision=args.precision,
            compiled=args.compile,
            skip_unreadable=args.skip_unreadable,
        )
        try:
            trainer.run()
            if trainer.accelerator.is_main_process:
                print(trainer.save_checkpoint(out / "checkpoint"))
        except training.TrainingStopped as error:
            sys.exit(f"mstar: error: {error}")  # code 1: the input was fine

    return run


def _recipe(args: argparse.Namespace, runs: int) -> "Recipe":
    """The recipe that `train` was asked for; `runs` made the checkpoint it goes on from."""
    from dataclasses import replace

    from . import training

    if args.recipe == "sandbox":
        recipe = training.sandbox()
        if args.init:  # with images not seen before
            recipe = training.continued(recipe.seed + runs)
    else:
        make = {"paper-word": training.paper_word, "paper-multiquery": training.paper_multiquery}
        lists = (tuple(map(tuple, given)) for given in (args.synthetic, args.real))
        recipe = make[args.recipe](*lists, epochs=args.epochs)
        memory = {
            "accumulate": args.accumulate,
            "checkpoint_activations": args.checkpoint_activations,
        }
        stages = tuple(replace(stage, **memory) for stage in recipe.stages)
        recipe = replace(recipe, stages=stages)
    return recipe if args.seed is None else replace(recipe, seed=args.seed)


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
    except (ValueError, OSError) as error:  # HookError is a ValueError
        print(f"mstar: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
