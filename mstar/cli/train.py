"""`mstar train`, and `mstar labels`, which begins what it reads."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from mstar import files
from mstar.cli.console import printable
from mstar.errors import LARGEST_SEED, UserError, check_range
from mstar.files import locked
from mstar.io.embedded import checkpoint

if TYPE_CHECKING:
    from mstar.training import Recipe


_LISTED = ("real", "incomplete", "share")
_PAPER = ("real", "synthetic", "siglip", "blip2", "tokenizer", "download", "epochs", "accumulate",
          "checkpoint_activations")  # fmt: skip
#: What each recipe has a use for, beside what all have.
_RECIPES = {
    "sandbox": ("init", *_LISTED, "minutes"),
    "tune": ("init", *_LISTED, "minutes", "lr", "pve_only"),
    "photographs": ("init", *_LISTED, "crops", "backgrounds", "minutes"),
    "paper-word": _PAPER,
    "paper-multiquery": _PAPER,
}
#: Least and largest value of an option; beyond, it was mistyped.
_RANGES = {
    "threads": (1, 1024), "workers": (0, 256), "seed": (0, LARGEST_SEED), "epochs": (1, 10_000),
    "save_every": (1, 10**9), "accumulate": (1, 4096), "keep": (1, 10_000),
}  # fmt: skip


def train(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """train a model, or go on where a run in OUT stopped"""
    parser.epilog = (
        "sandbox learns from nothing on rendered text; tune goes on from any checkpoint for "
        "minutes, with your photographs and a list of what is written there (`mstar labels` begins "
        "it); photographs makes a sandbox checkpoint larger, for hours; the others are the paper's "
        "four stages on your images. On several GPUs: accelerate launch -m mstar.cli train …"
    )
    add = parser.add_argument
    add("--recipe", choices=_RECIPES, help="what is trained, and how (default: tune with --real or "
        "--incomplete, else sandbox)")  # fmt: skip
    add("--out", metavar="DIR", help="folder of the run (default: runs/RECIPE)")
    add("--seed", type=int, metavar="N", help="of weights and order (default: the recipe's)")
    group = parser.add_argument_group("sandbox, tune and photographs")
    group.add_argument(
        "--init",
        metavar="FOLDER",
        help="train on from this checkpoint (sandbox: with HARD images as well; default of tune: "
        "the embedded one)",
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
    add("--minutes", type=float, metavar="M", help="in all (default: the recipe's steps; tune: 10)")
    group = parser.add_argument_group("tune")
    add = group.add_argument
    add("--lr", type=float, metavar="X", help="peak rate (default: 0.0002)")
    add("--pve-only", action="store_true", help="φ stays as it is")
    parser.add_argument(
        "--real", help="an MSTAR-Training list and the folder of its images", **lists
    )
    group = parser.add_argument_group("photographs")
    add = group.add_argument
    add("--crops", help="the same of single words cut out, for the reading warm-up", **lists)
    add("--backgrounds", metavar="FOLDER", help="photographs without text, to render on")
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
    add("--save-every", type=int, default=500, metavar="N", help="steps of a save (default: 500)")
    add("--keep", type=int, default=2, metavar="N", help="checkpoints that stay (default: 2)")
    add("--skip-unreadable", action="store_true", help="replace and count unreadable images")

    def run(args: argparse.Namespace) -> None:
        if args.recipe is None:
            listed = (args.real or args.incomplete) and not args.synthetic
            args.recipe = "tune" if listed else "sandbox"
        for name, (least, most) in _RANGES.items():
            if (value := getattr(args, name)) is not None:
                check_range(name.replace("_", "-"), value, least, most)
        out = Path(args.out or f"runs/{args.recipe}")
        if out.exists() and not out.is_dir():
            raise UserError(f"{out} is a file: --out names a folder.")
        others = {option for of in _RECIPES.values() for option in of} - set(_RECIPES[args.recipe])
        given = [n for n in sorted(others) if getattr(args, n) != parser.get_default(n)]
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            use = {name: [r for r, of in _RECIPES.items() if name in of] for name in given}
            raise UserError(
                f"the recipe {args.recipe} has no use for {names}: take "
                f"{' or '.join(sorted({one for of in use.values() for one in of}))}."
            )
        if args.recipe.startswith("paper") and not (args.real and args.synthetic):
            raise UserError(
                f"{args.recipe} needs images: give --real LIST ROOT and --synthetic LIST ROOT."
            )
        if args.recipe.startswith("paper") and not args.tokenizer:
            raise UserError(
                f"{args.recipe} reads BERT's word pieces: give --tokenizer, a folder that holds "
                "the vocab.txt of bert-base-uncased."
            )
        if args.recipe == "photographs" and not (args.init and (args.real or args.incomplete)):
            raise UserError(
                "photographs goes on from a checkpoint and needs images: give --init FOLDER and "
                "--real LIST ROOT."
            )
        if args.recipe == "tune" and not (args.real or args.incomplete):
            raise UserError("tune needs photographs: give --real LIST ROOT, see `mstar labels`.")
        for name in ("minutes", "lr"):
            value = getattr(args, name)
            if value is not None and not 0 < value < inf:
                raise UserError(f"{name} must be a number above 0; got {value}.")
        from mstar.data.lists.annotations import annotations

        if not 0 <= args.share <= 1:
            raise UserError(f"the share of photographs is from 0 to 1; got {args.share}.")
        if args.init or args.recipe == "tune":
            args.init = checkpoint(args.init)
        for pair in (*args.real, *args.incomplete, *args.crops, *args.synthetic):
            annotations(*pair)
        # of several processes the first one writes
        first = os.environ.get("RANK", "0") == "0"
        with locked(out, "run") if first else nullcontext():
            _train(args, out)

    return run


def _train(args: argparse.Namespace, out: Path) -> None:
    import torch

    from mstar import training
    from mstar.io.checkpoints import load_checkpoint
    from mstar.training.loop.state import CHECKPOINT

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    history = training.training_record(args.init) if args.init else []
    recipe = _recipe(args, runs=len(history))
    recipe.check_data()
    if args.init:
        bench = load_checkpoint(args.init)
        if recipe.size == "photographs":
            bench = training.grown(recipe, bench)
    else:
        bench = training.fresh(recipe, args.tokenizer, args.download)
    training.check_texts(bench.processor, (*args.real, *args.incomplete, *args.synthetic))
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


def _recipe(args: argparse.Namespace, runs: int) -> "Recipe":
    """The recipe that `train` was asked for; `runs` made the checkpoint it goes on from."""
    from dataclasses import replace

    from mstar import training
    from mstar.io.checkpoints import load_config

    given = (args.real, args.incomplete, args.crops, args.synthetic)
    real, incomplete, crops, synthetic = (tuple(map(tuple, lists)) for lists in given)
    if args.recipe == "sandbox":
        recipe = training.sandbox()
        if args.init:  # with images not seen before
            recipe = training.continued(recipe.seed + runs)
        recipe = training.mixed(recipe, real, incomplete, args.share)
        if args.minutes is not None:
            recipe = training.within(recipe, args.minutes)
    elif args.recipe == "tune":
        recipe = training.tuned(load_config(args.init), real, incomplete, args.minutes, args.lr,
                                args.share, args.pve_only)  # fmt: skip
    elif args.recipe == "photographs":
        recipe = training.photographs(
            real, incomplete, crops, args.backgrounds, minutes=args.minutes, share=args.share
        )
    else:
        make = {"paper-word": training.paper_word, "paper-multiquery": training.paper_multiquery}
        recipe = make[args.recipe](synthetic, real, epochs=args.epochs)
        memory = {name: getattr(args, name) for name in ("accumulate", "checkpoint_activations")}
        stages = tuple(replace(stage, **memory) for stage in recipe.stages)
        recipe = replace(recipe, stages=stages)
    return recipe if args.seed is None else replace(recipe, seed=args.seed)


def labels(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """begin a list of what is written on photographs, for `mstar train --real LIST FOLDER`"""
    parser.epilog = (
        'Write the texts of each photograph between its brackets, as "text": ["exit", "way out"], '
        "and take out the lines of those that you leave. The same command again adds photographs "
        "that are new and changes nothing else."
    )
    parser.add_argument("images", metavar="FOLDER", help="of photographs; subfolders count")
    parser.add_argument("--out", metavar="LIST", help="the list (default: FOLDER/labels.json)")

    def run(args: argparse.Namespace) -> None:
        from mstar.search.folders import look_through

        path = Path(args.out or Path(args.images, "labels.json"))
        if path.is_dir():
            raise UserError(f"{path} is a folder: --out names a file.")
        found = look_through(args.images)
        entries = files.read_json(path, list) if path.is_file() else []
        if not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path} should list photographs, each an object with image and text.")
        listed = {entry.get("image") for entry in entries}
        new = [{"image": name, "text": []} for name in found.images if name not in listed]
        lines = ",\n ".join(json.dumps(entry, ensure_ascii=False) for entry in [*entries, *new])
        if new or not path.is_file():
            with files.replacing(path) as whole:
                whole.write_text(f"[{lines}]\n", "utf-8", errors="backslashreplace")
        empty = sum(not entry.get("text") for entry in [*entries, *new])
        print(f"{path}: {len(entries) + len(new)} photographs, {len(new)} of them new, {empty} "
              "still without a text")  # fmt: skip
        for why in found.unopened.values():
            print(f"  left out: {printable(why)}")

    return run
