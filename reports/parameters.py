"""The parameters of the reports, checked before anything runs."""

import difflib
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from mstar import embedded
from mstar.ablation import ARMS, Experiment, Settings
from mstar.checkpoints import load_config
from mstar.configuration import MstarConfig
from mstar.hooks import select
from mstar.processing import open_image
from mstar.queries import Query, parse_queries
from mstar.tracing import reached_points

#: More would not stay under 8 MB of HTML at the size of the released model.
MAX_IMAGES, MAX_QUERIES, MAX_STEPS = 8, 24, 15
#: Side in pixels; attention over the tokens of larger images outgrows the memory.
MAX_SIZE = 2048


class Parameters(ABC):
    """What a report's notebook is run with; a subclass is a frozen dataclass."""

    out: str

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """From names and values, as a notebook or a command line has them.

        Raises:
            ValueError: an unknown name (near matches are listed), a wrong type, or a value that
                cannot work, each in one sentence.
            FileNotFoundError: an image or the embedded checkpoint is not there.
        """
        known = get_type_hints(cls)
        for name, value in values.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
                raise ValueError(f"unknown report parameter {name!r}; there is {', '.join(near)}.")
            if not _fits(value, known[name]):
                raise ValueError(
                    f"the report parameter {name} must be {_said(known[name])}; got {value!r}."
                )
        settings = cls(**values)
        if Path(settings.out).exists() and not Path(settings.out).is_dir():
            raise ValueError(f"{settings.out} is a file: --out names a folder.")
        settings._check()
        return settings

    @abstractmethod
    def _check(self) -> None:
        """What types do not say; raises as `checked` does."""


@dataclass(frozen=True)
class AblationReport(Parameters):
    """What `reports/ablation.ipynb` is run with; see `mstar.ablation`.

    Attributes:
        seeds: one parent and one run of each arm a seed.
        queries, images, parent_steps, steps, gallery: see `ablation.Settings`.
        mosaics: whether the released semantics are among the arms, on a finer grid and four times
            as dear.
        checkpoint: where φ and the rest come from; "" = the embedded one.
        runs: the folder of features, parents and the table, which goes on where it stopped.
        out: the folder of the report.
    """

    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    queries: int = 3
    images: int = 3000
    parent_steps: int = 1000
    steps: int = 300
    gallery: int = 400
    mosaics: bool = True
    checkpoint: str = ""
    runs: str = "runs/ablation"
    out: str = "out/ablation"

    def experiment(self) -> Experiment:
        """The experiment with these settings."""
        arms = ARMS if self.mosaics else tuple(arm for arm in ARMS if arm.side == 1)
        sizes = Settings(self.queries, self.images, self.parent_steps, self.steps, self.gallery)
        return Experiment(self.runs, sizes, self.checkpoint or None, tuple(self.seeds), arms)

    def _check(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds are different whole numbers from 0 on; got {self.seeds}.")
        if Path(self.runs).exists() and not Path(self.runs).is_dir():
            raise ValueError(f"{self.runs} is a file: --runs names a folder.")
        self.experiment()  # has sentences of its own


@dataclass(frozen=True)
class ImageReport(Parameters):
    """What `reports/image.ipynb` is run with. An empty value means the default.

    Attributes:
        images: paths of photographs; none = the embedded samples.
        words: queries as typed, see `mstar.queries`; none = the samples' own labels.
        checkpoint: a checkpoint folder; "" = the embedded one.
        steps: T; None = the checkpoint's.
        size: side in pixels to which images are resized; None = the checkpoint's.
        record: further hook points to keep in the saved traces.
        seed: of torch, before each run.
        out: the folder of the report.
    """

    images: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    checkpoint: str = ""
    steps: int | None = None
    size: int | None = None
    record: list[str] = field(default_factory=list)
    seed: int = 0
    out: str = "out/report"

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return Path(self.checkpoint) if self.checkpoint else embedded.checkpoint()

    @property
    def uses_embedded(self) -> bool:
        """Whether the weights are the embedded ones, which have seen rendered text only."""
        ours = (embedded.ASSETS / "checkpoint").resolve()
        return not self.checkpoint or Path(self.checkpoint).resolve() == ours

    def queries(self) -> list[Query]:
        """The words as (text, style), each once."""
        return parse_queries(self.words)

    def config(self) -> MstarConfig:
        return load_config(self.folder)

    def command(self) -> str:
        """The command that makes this report, but for its folder."""
        parts = ["mstar", "report", "image"]
        for name, values in (("image", self.images), ("record", self.record)):
            parts += [f"--{name}", *values] if values else []
        parts += ["--words", ",".join(self.words)] if self.words else []
        for name in ("checkpoint", "steps", "size", "seed"):
            value = getattr(self, name)
            if value != next(f.default for f in fields(self) if f.name == name):
                parts += [f"--{name}", str(value)]
        return shlex.join(parts)

    def _check(self) -> None:
        queries = self.queries()
        if self.images and not queries:
            raise ValueError("no words: say what to look for, as in --words exit,platform.")
        if self.words and not queries:
            raise ValueError("no words: every entry of --words is empty.")
        for name, count, most in (
            ("images", len(self.images), MAX_IMAGES),
            ("words", len(queries), MAX_QUERIES),
        ):
            if count > most:
                raise ValueError(f"a report takes at most {most} {name}; got {count}.")
        if self.steps is not None and not 0 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps (T) must be from 0 to {MAX_STEPS}; got {self.steps}.")
        config = self.config()
        patch = config.vision_config.patch_size
        if self.size is not None and (self.size <= 0 or self.size % patch):
            raise ValueError(f"image size {self.size} is not a multiple of the patch size {patch}.")
        if self.size is not None and self.size > MAX_SIZE:
            raise ValueError(f"a report takes images of up to {MAX_SIZE} pixels; got {self.size}.")
        if self.record:
            steps = config.steps if self.steps is None else self.steps
            select(self.record, reached_points(config, steps))
        for path in self.images:
            open_image(path)


def _fits(value: object, kind: Any) -> bool:
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return isinstance(value, list) and all(_fits(one, inner) for one in value)
    return type(value) is kind or (kind is type(None) and value is None)


def _said(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", bool: "true or false", type(None): "None"}
    if isinstance(kind, UnionType):
        return " or ".join(_said(one) for one in get_args(kind))
    if get_origin(kind) is list:
        return f"a list of {names[get_args(kind)[0]].split(' ', 1)[1]}s"
    return names[kind]
