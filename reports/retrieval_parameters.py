"""The parameters of the reports on retrieval, `retrieval` and `compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mstar.errors import LARGEST_SEED, MOST_SCENES, UserError, check_range

from .options import asked
from .parameters import (
    Parameters,
    check_levels,
    check_pve_steps,
    checkpoint_folder,
    checkpoint_name,
    is_embedded,
)

if TYPE_CHECKING:
    from mstar.data.benchmarks import Benchmark

MAX_SHOWN = 20


@dataclass(frozen=True)
class _OnBenchmark(Parameters):
    """What both have in common."""

    benchmark: str = asked(
        "sandbox-easy, -hard, -crowd; svt, icdar2015, mqtr-word, ...", "sandbox-easy"
    )
    folder: str = asked("where the data set lies; none: the benchmark is rendered", "")
    scenes: int = asked("of a rendered benchmark, 40 or more", 400)
    shown: int = asked("queries of each style, 0 to 20, with their images, at either end", 3)
    seed: int = asked("of what is rendered, and of random rankings", 0)

    def load(self) -> "Benchmark":
        """The benchmark; raises as `mstar.data.benchmarks.load` does."""
        from mstar.data.benchmarks import load

        scenes = None if self.of_photographs else self.scenes
        return load(self.benchmark, self.folder or None, self.seed, scenes)

    @property
    def of_photographs(self) -> bool:
        from mstar.data.benchmarks import RENDERED

        return self.benchmark not in RENDERED

    def _check(self) -> None:
        from mstar.data.scenes.galleries import FEWEST

        if not 0 <= self.shown <= MAX_SHOWN:
            raise UserError(f"shown must be from 0 to {MAX_SHOWN}; got {self.shown}.")
        check_range("seed", self.seed, 0, LARGEST_SEED)
        if self.of_photographs and self.scenes != type(self)().scenes:
            raise UserError(
                f"{self.benchmark} is not rendered: leave out the number of scenes, {self.scenes}."
            )
        check_range("scenes", self.scenes, FEWEST, MOST_SCENES)
        if self.of_photographs or self.folder:
            self.load()  # says what is missing; a rendered one would be drawn
        from mstar.io.checkpoints import load_config  # from here on with torch

        for folder in self.checkpoints.values():
            load_config(folder)


@dataclass(frozen=True)
class RetrievalReport(_OnBenchmark):
    """What `reports/retrieval.ipynb` is run with. An empty value means the default."""

    report = "retrieval"

    checkpoint: str = asked("a checkpoint folder; none: the embedded one", "")
    pve_steps: int | None = asked("T, looks after the first, 0 to 15; none: the checkpoint's", None)
    tiles: list[int] = asked(
        "levels of parts along a side: 1, 1 2 or 1 2 3; none: the checkpoint's", []
    )
    peers: list[str] = asked(
        "beside it: random, rapidocr, tesseract, parts (one off at a time)", ["random"]
    )
    kept: str = asked(
        "a file that keeps what text spotters read, to go on from; none: not kept", ""
    )
    out: str = asked("the folder of the report", "out/retrieval")

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {"checkpoint": checkpoint_folder(self.checkpoint)}

    @property
    def uses_embedded(self) -> bool:
        """Whether the weights are the embedded ones, which are small."""
        return is_embedded(checkpoint_folder(self.checkpoint))

    def _check(self) -> None:
        from mstar.evaluate.spotters import check_kept, check_peers, make_spotters

        check_pve_steps(self.pve_steps)
        check_levels(self.tiles)
        check_peers(self.peers)
        try:
            make_spotters(self.peers)
        except ImportError as error:
            raise UserError(str(error)) from error
        check_kept(Path(self.kept) if self.kept else None)
        super()._check()


@dataclass(frozen=True)
class CompareReport(_OnBenchmark):
    """What `reports/compare.ipynb` is run with: every model with every T."""

    report = "compare"

    checkpoint: list[str] = asked(
        "folders, or embedded; the first is compared with; none: embedded", []
    )
    pve_steps: list[int] = asked(
        "T of each checkpoint, 0 to 15; the first is compared with", [1, 0]
    )
    tiles: list[int] = asked(
        "levels of parts along a side, 4 at most: 1 2 or 1 2 3; none: each one's", []
    )
    rerank: bool = asked("compare the rankings after re-ranking", False)
    out: str = asked("the folder of the report", "out/compare")

    @property
    def checkpoints(self) -> dict[str, Path]:
        folders = [checkpoint_folder(model) for model in self.checkpoint or [""]]
        names = [checkpoint_name(folder) for folder in folders]
        return {
            name if names.count(name) == 1 else str(folder): folder
            for name, folder in zip(names, folders, strict=True)
        }

    def arms(self) -> dict[str, tuple[Path, int]]:
        """Label -> checkpoint and T, in the order of the report."""
        from mstar.io.checkpoints import load_config

        found = {}
        for name, folder in self.checkpoints.items():
            own = load_config(folder).pve_steps
            for pve_steps in self.pve_steps or [own]:
                found[f"{name}, T = {pve_steps}"] = (folder, pve_steps)
        return found

    def _check(self) -> None:
        for pve_steps in self.pve_steps:
            check_pve_steps(pve_steps)
        check_levels(self.tiles)
        folders = [checkpoint_folder(model).resolve() for model in self.checkpoint]
        for name, values, told in (
            ("checkpoint", folders, self.checkpoint),
            ("pve_steps", self.pve_steps, self.pve_steps),
        ):
            if len(set(values)) < len(values):
                raise UserError(f"{name} has an entry twice: {', '.join(map(str, told))}.")
        if len(self.checkpoints) * len(self.pve_steps or [None]) < 2:
            raise UserError("a comparison needs two checkpoints or values of pve_steps at least.")
        super()._check()
