"""`mstar evaluate …`: one table of evaluations, printed or written as JSON, CSV or a page.

What a function of the table takes is what it is given: options by their names, and whatever has to
be drawn or read first (`_MADE`) made of them.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from mstar.cli.console import first_speaks
from mstar.errors import LARGEST_SEED, MOST_SCENES, UserError, check_range
from mstar.io.embedded import checkpoint

if TYPE_CHECKING:
    from mstar.evaluate.table import Result

#: What evaluations have in common: name -> what argparse is told.
_OPTIONS = {
    "name": dict(metavar="NAME", help="of the benchmark, see below"),
    "folder": dict(metavar="FOLDER", nargs="?", help="where it lies, if it is not rendered"),
    "difficulty": dict(choices=("easy", "hard", "crowd", "street"), default="easy",
                       help="of the scenes that are rendered"),
    "seed": dict(type=int, default=0, metavar="N", help="of what is rendered or random"),
    "scenes": dict(type=int, metavar="N", help="to render (default 1000)"),
    "per_style": dict(type=int, default=25, metavar="N", help="queries of each style, as far as "
                      "the gallery has them"),
    "strict": dict(action="store_true", help="stop at a photograph that cannot be read (default: "
                   "it is left out, and named)"),
    "checkpoint": dict(metavar="FOLDER", help="what is judged (default: the embedded checkpoint)"),
    "pve_steps": dict(type=int, metavar="T", help="looks after the first (default: its own)"),
    "tiles": dict(type=int, nargs="+", metavar="N", help="parts along a side, level by level; 1 is "
                  "the whole image alone (default: its own)"),
}  # fmt: skip
_METHODS = ("attention", "attention_gradient", "grad_cam", "integrated_gradients", "occlusion")
_POSITIONAL = ("name", "folder", "kind")
_BENCHMARK = {name: {} for name in ("name", "folder", "seed", "scenes", "strict", "tiles")}
_FORMATS = {"json": "one JSON object", "csv": "a line a value", "html": "a page"}


def _rendered(scenes: int, what: str) -> dict[str, dict[str, Any]]:
    return {"difficulty": {}, "seed": {}, "scenes": dict(default=scenes, help=what)}


@dataclass(frozen=True)
class Evaluation:
    """One command.

    Attributes:
        help: a line.
        function: `module:name`; it is given a bench and returns a `Result` or what has one.
        options: name -> what argparse is told beside, or over, `_OPTIONS`.
        below: more help, under the options.
        fewest: least of an option where it is another than elsewhere.
    """

    help: str
    function: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    below: str | None = None
    fewest: Mapping[str, int] = field(default_factory=dict)


_GALLERY = _rendered(300, "of the gallery from which the queries come") | {
    "per_style": {}, "tiles": {},
}  # fmt: skip
EVALUATIONS = {
    "benchmark": Evaluation(
        "a published benchmark, or a rendered one, beside other ways to rank it",
        "mstar.evaluate.benchmark:rank_benchmark",
        _BENCHMARK | {
            "peers": dict(nargs="+", default=["random"], metavar="PEER",
                          help="what is ranked beside the model: random, rapidocr, tesseract (text "
                          "spotting and edit distance), parts (the model with one part off at a "
                          "time); default: random"),
            "kept": dict(type=Path, metavar="FILE", help="keep here what spotters read, and go on "
                         "from it"),
        },
        "NAME is svt, iiit-str, ctr, total-text, ctw1500, icdar2015, icdar2003, pstr, csvtr, "
        "mqtr-word, mqtr-phrase, mqtr-combined or mqtr-semantic, each with its FOLDER as "
        "published, or sandbox-easy, sandbox-hard, sandbox-crowd or sandbox-street, which are "
        "rendered. For your own photographs lay them out as MQTR is: images/ and text_queries.json "
        "in a folder named word, phrase, combined or semantic.",
    ),
    "importance": Evaluation(
        "what each head, query token or layer is worth: the score without it, with a control",
        "mstar.experiments.sweep:importance",
        {"kind": dict(choices=("heads", "query_tokens", "layers"),
                      help="what is taken out, one at a time")} | _GALLERY,
    ),
    "localisation": Evaluation(
        "whether maps of evidence (attention, Grad-CAM, …) point at the text, beside chance",
        "mstar.evaluate.localisation:evaluate_localisation",
        _GALLERY | {
            "methods": dict(nargs="+", choices=_METHODS, metavar="METHOD", help="of "
                            f"{', '.join(_METHODS)} (default: all; attention is always among "
                            "them)"),
        },
    ),
    "masks": Evaluation(
        "whether masks cover the text: every variant of σ, every look (the paper's table 12)",
        "mstar.evaluate.masks:evaluate_masks",
        _BENCHMARK,
        "NAME is icdar2003, icdar2015, total-text or ctw1500, each with its FOLDER as published, "
        "or sandbox-easy, sandbox-hard or sandbox-crowd, which are rendered: those that outline "
        "all text.",
    ),
    "patching": Evaluation(
        "at which look and layer the model knows which word it is: activation patching",
        "mstar.experiments.patching:patching",
        _rendered(100, "pairs of scenes that differ in one word"),
        fewest={"scenes": 2},
    ),
    "presence": Evaluation(
        "whether a search says right that a word is there, and where: regions and probabilities",
        "mstar.experiments.presence:presence",
        {name: {} for name in ("name", "folder", "seed", "scenes", "tiles")},
        "NAME is icdar2003, icdar2015, total-text or ctw1500, each with its FOLDER as published, "
        "or sandbox-easy, sandbox-hard or sandbox-crowd. The checkpoint is one that `mstar "
        "calibrate` has measured.",
    ),
    "salience": Evaluation(
        "whether covering the salient text raises the neglected one (the paper's fig. 1b)",
        "mstar.experiments.salience:salience",
        _rendered(400, "scenes that are drawn"),
        fewest={"scenes": 1},
    ),
    "sandbox": Evaluation(
        "scenes rendered from a seed, whose every word and place is known",
        "mstar.evaluate.sandbox:evaluate_sandbox",
        _rendered(1000, "size of the gallery; a fifth as many seen words are asked for, at most "
                  "200, and as many unseen ones") | {
            "controls": dict(action="store_true", help="also compare T = 0 with T = 1, with an "
                             "empty mask and with a random one"),
            "tiles": {},
        },
    ),
    "semantics": Evaluation(
        "the paper against the released code: what each difference does to a trained model",
        "mstar.experiments.semantics:compare_semantics",
        {"seed": {}, "scenes": dict(default=400, help="scenes; four make an image"), "tiles": {}},
        fewest={"pve_steps": 1},
    ),
}  # fmt: skip


def evaluate(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """measure how well a checkpoint ranks, where it looks, and what it relies on"""
    names = parser.add_subparsers(required=True, metavar="EVALUATION")
    for name, one in EVALUATIONS.items():
        page = names.add_parser(name, help=one.help, description=one.help, epilog=one.below)
        for option, over in (one.options | {"checkpoint": {}, "pve_steps": {}}).items():
            told = _OPTIONS.get(option, {}) | over
            if told.get("type") is int and told.get("default") is not None:
                told["help"] += f" (default {told['default']})"
            flag = option if option in _POSITIONAL else f"--{option.replace('_', '-')}"
            page.add_argument(flag, **told)
        for form, what in _FORMATS.items():
            said = f"write {what}; without FILE print it, not tables"
            page.add_argument(f"--{form}", nargs="?", const="-", metavar="FILE", help=said)
        # argparse lets the innermost parser decide what runs
        page.set_defaults(run=_runner(one), facts={})
    return lambda args: None


def _runner(evaluation: Evaluation) -> Callable[[argparse.Namespace], None]:
    def run(args: argparse.Namespace) -> None:
        with first_speaks() as first:
            result, files = judged(args)
            if first:
                _print(result, files)

    def judged(args: argparse.Namespace) -> "tuple[Result, dict[str, str]]":
        files = {form: file for form in _FORMATS if (file := getattr(args, form))}
        for form, file in files.items():  # or say so now, not when all is done
            if Path(file).is_dir():
                raise UserError(f"{file} is a folder: --{form} names a file.")
        folder = _checked(args, evaluation)
        from mstar.io.checkpoints import default_device, load_checkpoint
        from mstar.versions import checkpoint_hash

        bench = load_checkpoint(folder, default_device())
        given = {name: getattr(args, name) for name in evaluation.options}
        if "tiles" in given:
            bench.processor.tiles = given["tiles"] or bench.processor.tiles
            given["tiles"] = " ".join(map(str, bench.processor.tiles))
        given["pve_steps"] = bench.config.pve_steps_from(args.pve_steps)
        asked = {name: v for name, v in given.items() if v is not None and v is not False}
        function = resolve_name(evaluation.function)
        taken = signature(function).parameters
        given = asked | {name: make(args) for name, make in _MADE.items() if name in taken}
        try:
            found = function(bench, **{n: v for n, v in given.items() if n in taken})
        except ImportError as error:  # of a peer, which says how to install it
            raise UserError(str(error)) from error
        result = found.result() if hasattr(found, "result") else found
        about = asked | args.facts | {**result.about, "checkpoint": checkpoint_hash(folder)}
        return replace(result, about=about), files

    return run


def _checked(args: argparse.Namespace, evaluation: Evaluation) -> Path:
    """The checkpoint's folder, once all that is asked for can be: before torch is loaded."""
    from mstar.data.benchmarks import load
    from mstar.data.scenes.galleries import FEWEST
    from mstar.evaluate.spotters import check_kept, check_peers
    from mstar.hooks.points import MOST_PVE_STEPS
    from mstar.tiles import check_tiles

    ranges = {
        "pve_steps": (0, MOST_PVE_STEPS),
        "seed": (0, LARGEST_SEED),
        "scenes": (FEWEST, MOST_SCENES),
        "per_style": (1, MOST_SCENES),
    }
    for name, (least, most) in ranges.items():
        if (value := getattr(args, name, None)) is not None:
            said = "pve_steps (T)" if name == "pve_steps" else name.replace("_", "-")
            check_range(said, value, evaluation.fewest.get(name, least), most)
    check_kept(getattr(args, "kept", None))
    check_peers(getattr(args, "peers", ()))
    if getattr(args, "tiles", None) is not None:
        args.tiles = check_tiles(args.tiles)
    folder = checkpoint(args.checkpoint)
    if evaluation.function.endswith(":presence"):
        _calibrated(args)
    if "name" in evaluation.options:
        args.benchmark = load(args.name, args.folder, args.seed, args.scenes)
    return folder


def _cases(args: argparse.Namespace) -> Any:
    from mstar.data.scenes import sandbox
    from mstar.evaluate.cases import cases

    gallery = sandbox.judging_gallery(args.difficulty, args.seed, args.scenes)
    args.facts["gallery"] = gallery.hash
    return cases(gallery, args.per_style)


def _drawn(kind: str) -> Callable[[argparse.Namespace], Any]:
    def draw(args: argparse.Namespace) -> Any:
        from mstar.data.scenes import sandbox

        check_range("scenes", args.scenes, 1, MOST_SCENES)
        level, one = sandbox.DIFFICULTIES[args.difficulty], getattr(sandbox, kind)
        return [one(args.seed, index, "test", level) for index in range(args.scenes)]

    return draw


def _calibrated(args: argparse.Namespace) -> Any:
    from mstar.search.presence import Presence

    folder = checkpoint(args.checkpoint)
    if (found := Presence.of(folder)) is None:
        raise UserError(f"{folder} says of no text how likely it is there: run `mstar calibrate`.")
    return found


#: A parameter of an evaluation -> what makes it of the options.
_MADE = {
    "calibrated": _calibrated,
    "benchmark": attrgetter("benchmark"),
    "found": _cases,
    "pairs": _drawn("pair"),
    "drawn": _drawn("scene"),
}


def _print(result: "Result", files: Mapping[str, str]) -> None:
    from mstar.evaluate.table import FORMATS
    from mstar.files import replacing

    for form, file in files.items():
        text = FORMATS[form](result)
        if file == "-":
            print(text, end="")
        else:
            with replacing(file) as path:
                path.write_text(text, encoding="utf-8")
    if "-" not in files.values():
        print(result)
