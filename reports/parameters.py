"""The parameters of the reports, declared once and checked before anything runs.

Whatever brings torch along is imported by what runs: the command line's help does without.
"""

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mstar import files
from mstar.errors import LARGEST_SEED, UserError, check_range
from mstar.io import embedded
from mstar.search.folders import image_files
from mstar.search.store import opened_with, read_about
from mstar.texts import Query, parse_queries
from mstar.tiles import check_tiles

from .options import asked, fits, options, said, unknown

if TYPE_CHECKING:
    from mstar.experiments.ablation import Experiment
    from mstar.io.processing import MstarProcessor
    from mstar.model.configuration import MstarConfig

#: More would not stay under 10 MB of HTML at the size of the released model.
MAX_IMAGES, MAX_QUERIES, MAX_PVE_STEPS, MAX_LEVEL = 8, 24, 15, 4
#: Side in pixels; attention over the tokens of larger images outgrows the memory.
MAX_SIZE = 2048


class Parameters(ABC):
    """What a report's notebook is run with; a subclass is a frozen dataclass of `asked` fields.

    The command line's options and the notebook's cell are made of them.

    Attributes:
        report: the report's name in `table.REPORTS`.
        folders: the parameters that name where it keeps what it makes; in a sweep each report has
            a folder of its own in them.
        out: its folder.
    """

    report: ClassVar[str]
    folders: ClassVar[tuple[str, ...]] = ("out",)
    out: str

    @property
    @abstractmethod
    def checkpoints(self) -> dict[str, Path]:
        """What the page calls a checkpoint -> its folder, for all that it runs."""

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """From names and values, as a notebook or a command line has them.

        Raises:
            UserError: an unknown name (near matches are listed), a wrong type, or a value that
                cannot work, each in one sentence.
            FileNotFoundError: an image or the embedded checkpoint is not there.
        """
        known = {one.name: one for one in options(cls)}
        for name in values:
            if name not in known:
                raise unknown(name, known)
        values = {name: known[name].several(value) for name, value in values.items()}
        for name, value in values.items():
            if not fits(value, known[name].kind):
                raise UserError(
                    f"the report parameter {name} must be {said(known[name].kind)}; got {value!r}."
                )
        settings = cls(**values)
        out = Path(settings.out)
        there = next(path for path in (out, *out.parents, Path()) if path.exists())
        if not there.is_dir():
            raise UserError(f"{there} is a file: --out names a folder.")
        _ = settings.checkpoints  # each is there
        settings._check()
        return settings

    @classmethod
    def of_notebook(cls, values: Mapping[str, Any]) -> Self:
        """`checked`, from all that a notebook's cells have defined: `globals()`."""
        return cls.checked({one.name: values[one.name] for one in options(cls)})

    def command(self) -> str:
        """The command that makes this report, but for its folder."""
        parts = ["mstar", "report", self.report]
        for key, default in vars(type(self)()).items():
            value, name = getattr(self, key), key.replace("_", "-")
            if key == "out" or value == default:
                continue
            if isinstance(value, bool):
                parts.append(f"--{name}" if value else f"--no-{name}")
                continue
            texts = [str(one) for one in (value if isinstance(value, list) else [value])]
            if any(text.startswith("-") for text in texts):  # else it would pass for an option
                parts += [f"--{name}={text}" for text in texts]
            else:
                parts += [f"--{name}", *texts]
        return shlex.join(parts)

    def label(self) -> str:
        """What tells its page apart from others of its kind: what is not as by default, briefly."""
        said = []
        for key, default in vars(type(self)()).items():
            value = getattr(self, key)
            if key in self.folders or value == default:
                continue
            for one in value if isinstance(value, list) else [value]:
                said.append(Path(one).name if isinstance(one, str) else f"{key} {one}")
        return ", ".join(said)[:80] or "as by default"

    @property
    def place(self) -> Path:
        """Where what belongs to the page is written: it moves to `out` when all of it is there."""
        made = Path(self.out, files.MAKING)
        return made if made.is_dir() else Path(self.out)

    @abstractmethod
    def _check(self) -> None:
        """What types do not say; raises as `checked` does."""


@dataclass(frozen=True)
class AblationReport(Parameters):
    """What `reports/ablation.ipynb` is run with; see `mstar.experiments.ablation`."""

    report = "ablation"
    folders = ("out", "runs")

    seeds: list[int] = asked("one parent a seed, and one run of each arm", [1, 2, 3])
    query_tokens: int = asked("Q: fewer than many images have words", 3)
    scenes: int = asked("of which features are kept to train on", 3000)
    parent_steps: int = asked("of the parents, with one look", 1000)
    steps: int = asked("of each arm", 300)
    gallery: int = asked("images of each gallery", 400)
    mosaics: bool = asked(
        "the released semantics too, on a finer grid that takes most of the time", True
    )
    checkpoint: str = asked("a folder, where φ and the rest come from; none: the embedded one", "")
    runs: str = asked("features, parents and the table; goes on where it stopped", "runs/ablation")
    out: str = asked("the folder of the report", "out/ablation")

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {"checkpoint": checkpoint_folder(self.checkpoint)}

    def experiment(self) -> "Experiment":
        """The experiment with these settings."""
        from mstar.experiments.ablation import ARMS, Experiment, Settings

        arms = ARMS if self.mosaics else tuple(arm for arm in ARMS if arm.side == 1)
        sizes = Settings(
            self.query_tokens, self.scenes, self.parent_steps, self.steps, self.gallery
        )
        return Experiment(self.runs, sizes, self.checkpoint or None, tuple(self.seeds), arms)

    def _check(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise UserError(f"seeds are different whole numbers from 0 on; got {self.seeds}.")
        if Path(self.runs).exists() and not Path(self.runs).is_dir():
            raise UserError(f"{self.runs} is a file: --runs names a folder.")
        self.experiment()  # has sentences of its own


@dataclass(frozen=True)
class ImageReport(Parameters):
    """What `reports/image.ipynb` is run with. An empty value means the default."""

    report = "image"

    images: list[str] = asked(
        "photographs, or folders of them, 8 at most; none: the embedded samples", []
    )
    texts: list[str] = asked(
        "what to look for, commas between: exit,phrase:way out; none: known labels", []
    )
    gallery: str = asked("where it ranks: one that mstar index made; none: the sample gallery", "")
    checkpoint: str = asked("a checkpoint folder; none: the gallery's, or the embedded one", "")
    pve_steps: int | None = asked("T, looks after the first, 0 to 15; none: the checkpoint's", None)
    tiles: list[int] = asked(
        "levels of parts along a side: 1, 1 2 or 1 2 3; none: the checkpoint's", []
    )
    size: int | None = asked(
        "pixels to which images are resized, whole patches; none: the checkpoint's", None
    )
    record: list[str] = asked(
        "further hook points, names or globs, to keep in the saved traces", []
    )
    seed: int = asked("of torch, before each run", 0)
    out: str = asked("the folder of the report", "out/report")

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return checkpoint_folder(named(self.checkpoint, self.gallery))

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {"checkpoint": self.folder}

    @property
    def uses_embedded(self) -> bool:
        """Whether the weights are the embedded ones, which are small."""
        checkpoint = named(self.checkpoint, self.gallery)
        return checkpoint in ("", "embedded") or is_embedded(Path(checkpoint))

    @property
    def looked_with(self) -> tuple[int | None, list[int]]:
        """T and the levels of tiles, those of the gallery if there is one; none = as by default."""
        if not self.gallery:
            return self.pve_steps, self.tiles
        about = read_about(self.gallery)
        return about.pve_steps, list(about.tiles)

    def queries(self) -> list[Query]:
        """The texts as (text, style), each once."""
        return parse_queries(self.texts)

    def files(self) -> list[Path]:
        """The photographs, those of folders too."""
        return image_files(self.images)

    def config(self) -> "MstarConfig | SimpleNamespace":
        """The checkpoint's, or what of it is asked for here."""
        found = embedded.shape(self.folder)
        if found is None:
            from mstar.io.checkpoints import load_config  # which takes torch

            found = load_config(self.folder)
        return found

    def _check(self) -> None:
        from mstar.hooks.points import reached_points, select
        from mstar.io.images import open_image

        queries, photographs = self.queries(), self.files()
        if self.images and not queries:
            raise UserError("no texts: say what to look for, as in --texts exit,platform.")
        if self.texts and not queries:
            raise UserError("no texts: every entry of --texts is empty.")
        for name, count, most in (
            ("images", len(photographs), MAX_IMAGES),
            ("texts", len(queries), MAX_QUERIES),
        ):
            if count > most:
                raise UserError(f"a report takes at most {most} {name}; got {count}.")
        check_range("seed", self.seed, 0, LARGEST_SEED)
        if self.gallery:
            self._check_gallery()
        pve_steps, tiles = self.looked_with
        check_pve_steps(pve_steps)
        check_levels(tiles)
        for path in photographs:
            open_image(path)
        if self.size is not None and self.size > MAX_SIZE:
            raise UserError(f"a report takes images of up to {MAX_SIZE} pixels; got {self.size}.")
        config = self.config()
        patch = config.vision_config.patch_size
        if self.size is not None and (self.size <= 0 or self.size % patch):
            raise UserError(f"image size {self.size} is not a multiple of the patch size {patch}.")
        if self.record:
            pve_steps = config.pve_steps if pve_steps is None else pve_steps
            select(self.record, reached_points(config, pve_steps))

    def _check_gallery(self) -> None:
        if not self.images:
            raise UserError("no images: say which to rank in the gallery, as in --images a.jpg.")
        if self.size is not None:
            raise UserError("a gallery is embedded at the checkpoint's size: leave out --size.")
        opened_with(self.gallery, self.checkpoint)
        check_of_gallery(self.gallery, pve_steps=self.pve_steps, tiles=tuple(self.tiles))


def named(checkpoint: str, gallery: str) -> str:
    """The checkpoint that a report was asked for; "" = that of its gallery, if it has one."""
    return checkpoint or (read_about(gallery).checkpoint if gallery else "")


def check_of_gallery(gallery: str, **values: Any) -> None:
    """What is asked for, if it is, has to be what a gallery was made with; raises UserError."""
    about = read_about(gallery)
    for name, value in values.items():
        own = getattr(about, name)
        if value not in (None, (), own):
            raise UserError(
                f"the gallery {gallery} was made with {about.made_with}: leave out {name} {value}, "
                "or make another gallery with `mstar index`."
            )


def check_pve_steps(pve_steps: int | None) -> None:
    """T within what a report can show; raises UserError."""
    if pve_steps is not None and not 0 <= pve_steps <= MAX_PVE_STEPS:
        raise UserError(f"pve_steps (T) must be from 0 to {MAX_PVE_STEPS}; got {pve_steps}.")


def check_levels(tiles: Sequence[int]) -> None:
    """Levels of tiles, or none, and no more than a report can show; raises UserError."""
    if tiles and check_tiles(tiles)[-1] > MAX_LEVEL:
        raise UserError(f"a report shows at most {MAX_LEVEL} tiles along a side; got {tiles[-1]}.")


def tiled(processor: "MstarProcessor", tiles: Sequence[int]) -> None:
    """Let a processor cut images into these levels; none = as its checkpoint says."""
    if tiles:
        processor.tiles = check_tiles(tiles)


def is_embedded(checkpoint: Path) -> bool:
    """Whether a folder is the embedded checkpoint, however it is written."""
    return checkpoint.resolve() == (embedded.ASSETS / "checkpoint").resolve()


def checkpoint_name(checkpoint: Path) -> str:
    """What pages call a checkpoint: `embedded`, or its folder, where `runs/a/checkpoint` is a."""
    if is_embedded(checkpoint):
        return "embedded"
    named = checkpoint.resolve()
    return named.parent.name if named.name == "checkpoint" else named.name


def checkpoint_folder(checkpoint: str) -> Path:
    """Of a checkpoint as a parameter names it: "" = the embedded one."""
    return embedded.checkpoint(checkpoint)
