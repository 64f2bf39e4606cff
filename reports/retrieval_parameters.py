"""The parameters of the reports on retrieval, `retrieval` and `compare`."""

from dataclasses import dataclass, field
from pathlib import Path

from mstar.data.benchmarks import RENDERED, Benchmark, load
from mstar.data.scenes.galleries import FEWEST
from mstar.errors import UserError
from mstar.evaluate.benchmark import PEERS
from mstar.evaluate.spotters import check_kept, make_spotters
from mstar.io.checkpoints import load_config

from .parameters import Parameters, check_levels, check_steps, checkpoint_folder, is_embedded

MAX_SHOWN = 20


@dataclass(frozen=True)
class _OnBenchmark(Parameters):
    """What both have in common.

    Attributes:
        benchmark: see `mstar.data.benchmarks.load`.
        folder: of its data set; "" for a rendered one.
        images: of a rendered one.
        shown: queries of each style that are shown with their images, at either end.
        seed: of what is rendered and of random rankings.
    """

    benchmark: str = "sandbox-easy"
    folder: str = ""
    images: int = 400
    shown: int = 3
    seed: int = 0

    def load(self) -> Benchmark:
        """The benchmark; raises as `mstar.data.benchmarks.load` does."""
        images = None if self.of_photographs else self.images
        return load(self.benchmark, self.folder or None, self.seed, images)

    @property
    def of_photographs(self) -> bool:
        return self.benchmark not in RENDERED

    def _check(self) -> None:
        if not 0 <= self.shown <= MAX_SHOWN:
            raise UserError(f"shown must be from 0 to {MAX_SHOWN}; got {self.shown}.")
        if self.seed < 0:
            raise UserError(f"seed must be 0 or more; got {self.seed}.")
        if self.of_photographs and self.images != type(self)().images:
            raise UserError(
                f"{self.benchmark} is not rendered: leave out the number of images, {self.images}."
            )
        if self.images < FEWEST:
            raise UserError(f"images must be {FEWEST} or more; got {self.images}.")
        if self.of_photographs or self.folder:
            self.load()  # says what is missing; a rendered one would be drawn
        for folder in self.checkpoints.values():
            load_config(folder)


@dataclass(frozen=True)
class RetrievalReport(_OnBenchmark):
    """What `reports/retrieval.ipynb` is run with. An empty value means the default.

    Attributes:
        checkpoint: a checkpoint folder; "" = the embedded one.
        steps: T; None = the checkpoint's.
        tiles: levels, see `mstar.tiles`; none = the checkpoint's.
        peers: what is ranked beside it, see `mstar.evaluate.benchmark.PEERS`.
        kept: a file in which what text spotters read is kept; "" = none.
        out: the folder of the report.
    """

    report = "retrieval"

    checkpoint: str = ""
    steps: int | None = None
    tiles: list[int] = field(default_factory=list)
    peers: list[str] = field(default_factory=lambda: ["random"])
    kept: str = ""
    out: str = "out/retrieval"

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {"checkpoint": checkpoint_folder(self.checkpoint)}

    @property
    def uses_embedded(self) -> bool:
        """Whether the weights are the embedded ones, which have seen rendered text only."""
        return is_embedded(checkpoint_folder(self.checkpoint))

    def _check(self) -> None:
        check_steps(self.steps)
        check_levels(self.tiles)
        unknown = [peer for peer in self.peers if peer not in PEERS]
        if unknown:
            raise UserError(f"unknown peer {unknown[0]!r}: expected some of {', '.join(PEERS)}.")
        try:
            make_spotters(self.peers)
        except ImportError as error:
            raise UserError(str(error)) from error
        check_kept(Path(self.kept) if self.kept else None)
        super()._check()


@dataclass(frozen=True)
class CompareReport(_OnBenchmark):
    """What `reports/compare.ipynb` is run with: every model with every T, the first is compared to.

    Attributes:
        models: checkpoint folders; none = the embedded one.
        steps: values of T; none = each checkpoint's own.
        tiles: levels for all of them, see `mstar.tiles`; none = each checkpoint's own.
        rerank: compare the rankings after re-ranking.
        out: the folder of the report.
    """

    report = "compare"

    models: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=lambda: [1, 0])
    tiles: list[int] = field(default_factory=list)
    rerank: bool = False
    out: str = "out/compare"

    @property
    def checkpoints(self) -> dict[str, Path]:
        folders = [checkpoint_folder(model) for model in self.models or [""]]
        if len(folders) == 1:
            return {"checkpoint": folders[0]}
        return {f"checkpoint {number}": folder for number, folder in enumerate(folders, 1)}

    def arms(self) -> dict[str, tuple[Path, int]]:
        """Label -> checkpoint and T, in the order of the report."""
        found = {}
        for name, folder in self.checkpoints.items():
            own = load_config(folder).steps
            for steps in self.steps or [own]:
                label = f"T = {steps}" if len(self.checkpoints) == 1 else f"{name}, T = {steps}"
                found[label] = (folder, steps)
        return found

    def _check(self) -> None:
        for steps in self.steps:
            check_steps(steps)
        check_levels(self.tiles)
        folders = [Path(model).resolve() for model in self.models]
        for name, values, told in (
            ("models", folders, self.models),
            ("steps", self.steps, self.steps),
        ):
            if len(set(values)) < len(values):
                raise UserError(f"{name} has an entry twice: {', '.join(map(str, told))}.")
        super()._check()
        if len(self.arms()) < 2:
            raise UserError("a comparison needs two models or two values of steps at least.")
