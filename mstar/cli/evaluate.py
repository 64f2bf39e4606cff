"""`mstar evaluate …`: each evaluation adds its own arguments, and prints a table or JSON.

Every one is a function here: its docstring is the help, it adds its arguments to a parser and
returns what runs, which is given the arguments and the bench.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mstar.io.bench import Bench

    Evaluation = Callable[[argparse.Namespace, Bench], Any]


def benchmark(parser: argparse.ArgumentParser) -> "Evaluation":
    """a published benchmark, or a rendered one, beside other ways to rank it"""
    parser.epilog = (
        "NAME is svt, iiit-str, ctr, total-text, ctw1500, icdar2015, icdar2003, pstr, csvtr, "
        "mqtr-word, mqtr-phrase, mqtr-combined or mqtr-semantic, each with its FOLDER as "
        "published, or sandbox-easy, sandbox-hard or sandbox-crowd, which are rendered. For your "
        "own photographs lay them out as MQTR is: images/ and text_queries.json in a folder named "
        "word, phrase, combined or semantic."
    )
    _named(parser)
    add = parser.add_argument
    add(
        "--peers",
        nargs="+",
        default=["random"],
        metavar="PEER",
        help="what is ranked beside the model: random, rapidocr, tesseract (text spotting and edit "
        "distance), parts (the model with one part off at a time); default: random",
    )
    add("--kept", type=Path, metavar="FILE", help="keep here what spotters read, and go on from it")

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.data.benchmarks import load
        from mstar.evaluate.benchmark import rank_benchmark

        asked = load(args.name, args.folder, args.seed, args.images)
        try:
            ranked = rank_benchmark(
                asked, bench, args.steps, args.peers, args.seed, args.kept, args.strict
            )
        except ImportError as error:  # of a peer, which says how to install it
            raise ValueError(str(error)) from error
        return ranked.report()

    return run


def importance(parser: argparse.ArgumentParser) -> "Evaluation":
    """what each attention head, query or layer is worth: the score without it, with a control"""
    parser.add_argument(
        "kind", choices=("heads", "queries", "layers"), help="what is taken out, one at a time"
    )
    _rendered(parser, 300, "of the gallery from which the queries come")
    _per_style(parser)

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.experiments.commands import evaluate_importance

        return evaluate_importance(
            bench, args.kind, args.difficulty, args.seed, args.images, args.per_style,
            args.steps,
        )  # fmt: skip

    return run


def localisation(parser: argparse.ArgumentParser) -> "Evaluation":
    """whether maps of evidence (attention, Grad-CAM, …) point at the text, beside chance"""
    _rendered(parser, 300, "of the gallery from which the queries come")
    _per_style(parser)
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="of attention, attention_gradient, grad_cam, integrated_gradients, occlusion "
        "(default: all; attention is always among them)",
    )

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.evaluate.localisation import evaluate_localisation
        from mstar.explain.attribution import METHODS

        return evaluate_localisation(
            bench, args.difficulty, args.seed, args.images, args.per_style,
            methods=args.methods or tuple(METHODS), steps=args.steps,
        )  # fmt: skip

    return run


def masks(parser: argparse.ArgumentParser) -> "Evaluation":
    """whether masks cover the text: every variant of σ, every look (the paper's table 12)"""
    parser.epilog = (
        "NAME is icdar2003, icdar2015, total-text or ctw1500, each with its FOLDER as published, "
        "or sandbox-easy, sandbox-hard or sandbox-crowd, which are rendered: those that outline "
        "all text."
    )
    _named(parser)

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.data.benchmarks import load
        from mstar.evaluate.masks import evaluate_masks

        asked = load(args.name, args.folder, args.seed, args.images)
        return evaluate_masks(bench, asked, args.steps, args.seed, strict=args.strict)

    return run


def patching(parser: argparse.ArgumentParser) -> "Evaluation":
    """at which step and layer the model knows which word it is: activation patching"""
    _rendered(parser, 100, "pairs of scenes that differ in one word")

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.experiments.commands import evaluate_patching

        return evaluate_patching(bench, args.difficulty, args.seed, args.images, args.steps)

    return run


def salience(parser: argparse.ArgumentParser) -> "Evaluation":
    """whether covering the salient text raises the neglected one (the paper's fig. 1b)"""
    _rendered(parser, 400, "scenes that are drawn")

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.experiments.commands import evaluate_salience

        return evaluate_salience(bench, args.difficulty, args.seed, args.images, args.steps)

    return run


def sandbox(parser: argparse.ArgumentParser) -> "Evaluation":
    """scenes rendered from a seed, whose every word and place is known"""
    _rendered(
        parser,
        1000,
        "size of the gallery; a fifth as many seen words are asked for, at most 200, and as many "
        "unseen ones",
    )
    parser.add_argument(
        "--controls",
        action="store_true",
        help="also compare T = 0 with T = 1, with an empty mask and with a random one",
    )

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.evaluate.sandbox import evaluate_sandbox

        return evaluate_sandbox(
            bench, args.difficulty, args.seed, args.images, args.steps, args.controls
        )

    return run


def semantics(parser: argparse.ArgumentParser) -> "Evaluation":
    """the paper against the released code: what each difference does to a trained model"""
    _seed(parser.add_argument, "of the scenes")
    _images(parser.add_argument, 400, "scenes; four make an image")

    def run(args: argparse.Namespace, bench: "Bench") -> Any:
        from mstar.experiments.semantics import compare_semantics

        return compare_semantics(bench, args.seed, args.images, args.steps)

    return run


EVALUATIONS = (benchmark, importance, localisation, masks, patching, salience, sandbox, semantics)


def evaluate(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """measure how well a checkpoint ranks, where it looks, and what it relies on"""
    names = parser.add_subparsers(required=True, metavar="EVALUATION")
    for one in EVALUATIONS:
        page = names.add_parser(one.__name__, help=one.__doc__, description=one.__doc__)
        run = one(page)
        page.add_argument("--checkpoint", metavar="FOLDER", help="default: the embedded checkpoint")
        page.add_argument(
            "--steps", type=int, metavar="T", help="looks after the first (default: its own)"
        )
        page.add_argument("--json", action="store_true", help="one JSON object, not tables")
        # argparse lets the innermost parser decide what runs
        page.set_defaults(run=_printing(run))
    return lambda args: None


def _printing(run: "Evaluation") -> Callable[[argparse.Namespace], None]:
    def printed(args: argparse.Namespace) -> None:
        import json

        from mstar.io.checkpoints import checkpoint_hash, default_device, load_checkpoint
        from mstar.io.embedded import checkpoint

        folder = args.checkpoint or checkpoint()
        report = run(args, load_checkpoint(folder, default_device()))
        report = replace(report, about=report.about | {"checkpoint": checkpoint_hash(folder)})
        print(json.dumps(report.to_json(), allow_nan=False) if args.json else report)

    return printed


def _named(parser: argparse.ArgumentParser) -> None:
    """A benchmark by its name."""
    add = parser.add_argument
    add("name", metavar="NAME", help="of the benchmark, see below")
    add("folder", metavar="FOLDER", nargs="?", help="where it lies, if it is not rendered")
    _seed(add, "of what is rendered or random")
    add("--images", type=int, metavar="N", help="to render (default 1000)")
    add(
        "--strict",
        action="store_true",
        help="stop at a photograph that cannot be read (default: it is left out, and named)",
    )


def _rendered(parser: argparse.ArgumentParser, images: int, what: str) -> None:
    parser.add_argument("--difficulty", choices=("easy", "hard", "crowd", "street"), default="easy")
    _seed(parser.add_argument, "of what is rendered or drawn at random")
    _images(parser.add_argument, images, what)


def _seed(add: Callable[..., object], what: str) -> None:
    add("--seed", type=int, default=0, metavar="N", help=f"{what} (default 0)")


def _images(add: Callable[..., object], images: int, what: str) -> None:
    add("--images", type=int, default=images, metavar="N", help=f"{what} (default {images})")


def _per_style(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--per-style", type=int, default=25, metavar="N",
        help="queries of each style, as far as the gallery has them (default 25)",
    )  # fmt: skip
