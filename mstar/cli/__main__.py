"""`mstar …`: thin. Each subcommand adds its arguments and runs; heavy imports stay inside it."""

# ruff: noqa: E402 - Ctrl-C is seen to before anything else is loaded
import os
import signal
import sys

#: Whether this is the command `mstar`, and not a module that somebody imports.
_COMMAND = __name__ == "__main__" or os.path.basename(sys.argv[0]).partition(".")[0] == "mstar"
if _COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main` listens: Ctrl-C simply ends it

import argparse
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mstar import __version__
from mstar.cli.evaluate import evaluate
from mstar.files import said

if TYPE_CHECKING:
    from mstar.training import Recipe


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
        from mstar.io.released import convert

        folder = convert(
            args.file, args.out, args.tokenizer, vision=args.vision, image_size=args.image_size
        )
        print(f"saved {folder}")

    return run


def index(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """embed a folder of images once, to be searched by `mstar search`"""
    parser.epilog = (
        "The same command again embeds what is new or changed and drops what is gone; a run that "
        "was stopped goes on."
    )
    add = parser.add_argument
    add("images", help="a folder of images; subfolders and links count, hidden files do not")
    add("gallery", help="a new folder for the embeddings, or a gallery made before")
    add("--checkpoint", metavar="FOLDER", help="default: the embedded checkpoint")
    add("--steps", type=int, metavar="T", help="looks after the first (default: the checkpoint's)")
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

        from mstar.io.embedded import checkpoint
        from mstar.search.index import count_others, index_folder

        done = index_folder(
            args.checkpoint or checkpoint(),
            args.images,
            args.gallery,
            args.steps,
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
            print(f"  left out: {_printable(why)}")
        if done.others:
            print(f"  no images: {_printable(count_others(done.others))}")

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
    add("--style", default="auto", help="word, phrase, combined or semantic, for all queries")
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

        from mstar.search.gallery import Gallery
        from mstar.texts import as_query

        if args.top < 1:
            raise ValueError(f"top must be 1 or more; got {args.top}.")
        queries = [as_query(query, args.style) for query in args.queries]
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
            print(f"{_printable(query.text)} ({query.style}), the best of {len(gallery)} images")
            print(" rank  score  cosine (rank)  matched  look, query  image")
            for hit in hits:
                matched = "–" if hit.probability is None else f"{hit.probability:.0%}"
                print(
                    f"{hit.rank:5} {hit.score:6.3f}  {hit.cosine:6.3f} {f'({hit.cosine_rank})':6} "
                    f"{matched:>8}  {f'{hit.step}, {hit.query}':11}  {_printable(hit.name)}"
                )

    return run


def report(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """make one HTML file that opens without a network"""
    from reports.options import options, title  # light, unlike what runs
    from reports.table import REPORTS

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

    def run(args: argparse.Namespace) -> None:
        from reports.runner import ReportFailed, make

        known = [option.name for option in options(REPORTS[args.report].parameters)]
        values = {name: value for name, value in vars(args).items() if name in known}
        try:
            if "sweep" in args:
                from reports.sweep import sweep

                print(sweep(args.report, values, args.sweep))
            else:
                print(make(args.report, values))
        except ReportFailed as error:
            # code 1: the input was fine
            sys.exit(f"mstar: error: {_printable(str(error))}")

    return run


def sandbox(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """draw a contact sheet of rendered scenes"""
    add = parser.add_argument
    add("--difficulty", choices=("easy", "hard", "crowd", "street"), default="easy")
    add("--backgrounds", metavar="FOLDER", help="photographs without text for street to stand on")
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

        from mstar import files
        from mstar.data.scenes.sandbox import DIFFICULTIES, contact_sheet, scene

        difficulty = DIFFICULTIES[args.difficulty]
        split = difficulty.splits[0]  # train where there is training, else test
        indices = tqdm(range(args.count), desc="scenes", leave=False)
        sheet = contact_sheet(
            [scene(args.seed, i, split, difficulty, backgrounds=args.backgrounds) for i in indices],
            polygons=args.polygons,
        )
        with files.replacing(args.out) as path:
            sheet.save(path, format="PNG")
        print(args.out)

    return run


_LISTED = ("real", "incomplete", "share")
_PAPER = ("real", "synthetic", "siglip", "blip2", "tokenizer", "download", "epochs", "accumulate",
          "checkpoint_activations")  # fmt: skip
#: What each recipe has a use for, beside what all have.
_RECIPES = {
    "sandbox": ("init", *_LISTED),
    "photographs": ("init", *_LISTED, "crops", "backgrounds", "minutes"),
    "paper-word": _PAPER,
    "paper-multiquery": _PAPER,
}


def train(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """train a model, or go on where a run in OUT stopped"""
    parser.epilog = (
        "sandbox learns from nothing on rendered text, photographs goes on from such a checkpoint "
        "with your photographs and lists of what is written on them, the others are the paper's "
        "four stages on your images. On several GPUs: accelerate launch -m mstar.cli train …"
    )
    add = parser.add_argument
    add("--recipe", choices=_RECIPES, default="sandbox")
    add("--out", metavar="DIR", help="(default: runs/RECIPE)")
    add("--seed", type=int, metavar="N", help="of weights and order (default: the recipe's)")
    group = parser.add_argument_group("sandbox and photographs")
    group.add_argument(
        "--init",
        metavar="FOLDER",
        help="train on from this checkpoint (sandbox: with HARD images as well)",
    )
    lists = dict(nargs=2, action="append", default=[], metavar=("LIST", "ROOT"))
    add = group.add_argument
    add(
        "--incomplete", help="as --real, of a list that leaves out some of what is written", **lists
    )
    add(
        "--share",
        type=float,
        default=0.5,
        metavar="X",
        help="of photographs in a batch, beside rendered scenes (default: 0.5)",
    )
    parser.add_argument(
        "--real", help="an MSTAR-Training list and the folder of its images", **lists
    )
    group = parser.add_argument_group("photographs")
    add = group.add_argument
    add("--crops", help="the same of single words cut out, for the reading warm-up", **lists)
    add("--backgrounds", metavar="FOLDER", help="photographs without text, to render on")
    add("--minutes", type=float, metavar="M", help="in all (default: the recipe's steps)")
    paper = parser.add_argument_group("paper-word and paper-multiquery")
    add = paper.add_argument
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
        others = {option for of in _RECIPES.values() for option in of} - set(_RECIPES[args.recipe])
        given = [n for n in sorted(others) if getattr(args, n) != parser.get_default(n)]
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            use = {name: [r for r, of in _RECIPES.items() if name in of] for name in given}
            raise ValueError(
                f"the recipe {args.recipe} has no use for {names}: take "
                f"{' or '.join(sorted({one for of in use.values() for one in of}))}."
            )
        if args.recipe.startswith("paper") and not (args.real and args.synthetic):
            raise ValueError(
                f"{args.recipe} needs images: give --real LIST ROOT and --synthetic LIST ROOT."
            )
        if args.recipe == "photographs" and not (args.init and (args.real or args.incomplete)):
            raise ValueError(
                "photographs goes on from a checkpoint and needs images: give --init FOLDER and "
                "--real LIST ROOT."
            )
        if args.minutes is not None and not args.minutes > 0:
            raise ValueError(f"minutes must be above 0; got {args.minutes}.")
        import torch

        from mstar import training
        from mstar.io.checkpoints import load_checkpoint
        from mstar.training.loop.state import CHECKPOINT

        if args.threads is not None:
            torch.set_num_threads(args.threads)
        history = training.training_record(args.init) if args.init else []
        recipe = _recipe(args, runs=len(history))
        if args.init:
            bench = load_checkpoint(args.init)
            if recipe.size == "photographs":
                bench = training.grown(recipe, bench)
        else:
            bench = training.fresh(recipe, args.tokenizer)
        if args.siglip or args.blip2:
            print(training.warm_start(bench.model, args.siglip, args.blip2, args.download))
        trainer = training.Trainer(
            bench,
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
                print(trainer.save_checkpoint(out / CHECKPOINT))
        except training.TrainingStopped as error:
            sys.exit(f"mstar: error: {error}")  # code 1: the input was fine

    return run


def _recipe(args: argparse.Namespace, runs: int) -> "Recipe":
    """The recipe that `train` was asked for; `runs` made the checkpoint it goes on from."""
    from dataclasses import replace

    from mstar import training

    if args.recipe == "sandbox":
        recipe = training.sandbox()
        if args.init:  # with images not seen before
            recipe = training.continued(recipe.seed + runs)
        lists = (tuple(map(tuple, of)) for of in (args.real, args.incomplete))
        recipe = training.mixed(recipe, *lists, args.share)
    elif args.recipe == "photographs":
        lists = (tuple(map(tuple, of)) for of in (args.real, args.incomplete, args.crops))
        recipe = training.photographs(
            *lists, args.backgrounds, minutes=args.minutes, share=args.share
        )
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


def _printable(name: str) -> str:
    """A file name as a terminal may have it: on Linux it can hold any bytes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


#: A subcommand is a function here: its docstring is the help, it adds its arguments to a parser
#: and returns what runs.
COMMANDS = (convert, evaluate, index, report, sandbox, search, train)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        0 = done; 2 = bad input, said in one sentence on stderr; 130 = stopped from the keyboard.
    """
    try:
        if _COMMAND and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with _plain_output():
            try:
                return _run(argv)
            finally:
                _flush()
    except KeyboardInterrupt:
        with suppress(OSError):
            print("mstar: stopped; what was finished is kept.", file=sys.stderr)
        return 130  # as shells count it
    except BrokenPipeError:  # `| head -1` has what it wanted
        _close_output()
        return 0
    except OSError as error:  # what was printed cannot be written
        print(f"mstar: error: {_printable(said(error))}", file=sys.stderr)
        return 2


def _run(argv: Sequence[str] | None) -> int:
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
        _flush()  # a full disk is said here, not while Python ends
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:  # HookError is a ValueError
        if isinstance(error, OSError) and error.filename is None:
            with suppress(OSError):
                _flush()
        why = said(error) if isinstance(error, OSError) else str(error)
        print(f"mstar: error: {_printable(why)}", file=sys.stderr)
        return 2
    return 0


def _flush() -> None:
    """What was printed, written: raises what stands against it, once."""
    if sys.stdout is None or sys.stdout.closed:
        return
    try:
        sys.stdout.flush()
    except OSError:
        _close_output()
        raise


def _close_output() -> None:
    """Print no more: what is left would be tried again while Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr) if _broken(sys.stderr) else (sys.stdout,):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _broken(stream: object) -> bool:
    try:
        stream.flush()
        return False
    except (OSError, ValueError, AttributeError):
        return True


@contextmanager
def _plain_output() -> Iterator[None]:
    """What a terminal cannot show is replaced in the block, and a warning is one line, once."""
    before, seen, show = getattr(sys.stdout, "errors", None), set(), warnings.showwarning
    stream = sys.stdout

    def one_line(message, category, *where) -> None:
        if not issubclass(category, UserWarning):
            show(message, category, *where)
        elif str(message) not in seen:
            seen.add(str(message))
            print(f"mstar: {_printable(str(message))}", file=sys.stderr)

    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    warnings.showwarning = one_line
    try:
        yield
    finally:
        warnings.showwarning = show
        if hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors=before)


if __name__ == "__main__":
    sys.exit(main())
