"""The causal experiments on rendered scenes, ready to run: what the commands print."""

from dataclasses import asdict, dataclass
from typing import Any

from mstar.data.scenes import sandbox
from mstar.evaluate.cases import cases
from mstar.evaluate.metrics import without_nan
from mstar.experiments.patching import patching
from mstar.experiments.salience import salience
from mstar.experiments.sweep import importance
from mstar.io.bench import Bench
from mstar.model.modeling import MstarModel
from mstar.versions import versions


@dataclass(frozen=True)
class Experiment:
    """What an experiment found, and with which settings.

    Attributes:
        name: of the experiment.
        about: its settings, seed and versions.
        found: its result; see `salience`, `importance`, `patching`.
    """

    name: str
    about: dict[str, Any]
    found: Any

    def to_json(self) -> dict[str, Any]:
        """Plain values; an estimate of nothing is null."""
        return {"about": self.about, "found": without_nan(asdict(self.found))}

    def __str__(self) -> str:
        said = {name: value for name, value in self.about.items() if name != "versions"}
        said |= {name: said[name][:12] for name in ("checkpoint", "gallery") if name in said}
        listed = ", ".join(f"{name} {value}" for name, value in said.items())
        return f"{self.name}: {listed}\n\n{self.found}"


def evaluate_salience(
    bench: Bench,
    difficulty: str = "easy",
    seed: int = 0,
    images: int = 400,
    steps: int | None = None,
) -> Experiment:
    """See `salience`.

    Args:
        difficulty: `easy`, `hard` or `crowd`.
        seed: of the scenes and of the controls.
        images: scenes that are drawn.
        steps: T; None = the configuration's.
    """
    steps, level = _checked(bench.model, difficulty, images, steps)
    scenes = [sandbox.scene(seed, index, "test", level) for index in range(images)]
    found = salience(bench, scenes, steps, seed)
    return Experiment("salience", _about(difficulty, seed, steps, images=images), found)


def evaluate_importance(
    bench: Bench,
    kind: str = "heads",
    difficulty: str = "easy",
    seed: int = 0,
    images: int = 300,
    per_style: int = 25,
    steps: int | None = None,
) -> Experiment:
    """See `importance`.

    Args:
        kind: `heads`, `queries` or `layers`.
        images: of the gallery from which the queries come.
        per_style: queries of each style, as far as the gallery has them.
    """
    steps, _ = _checked(bench.model, difficulty, images, steps)
    gallery = sandbox.judging_gallery(difficulty, seed, images)
    found = cases(gallery, per_style)
    result = importance(bench, found, kind, steps)
    about = _about(
        difficulty, seed, steps, images=images, per_style=per_style, queries=len(found), kind=kind,
        gallery=gallery.hash,
    )  # fmt: skip
    return Experiment("importance", about, result)


def evaluate_patching(
    bench: Bench,
    difficulty: str = "easy",
    seed: int = 0,
    pairs: int = 100,
    steps: int | None = None,
) -> Experiment:
    """See `patching`; `pairs` of scenes are drawn."""
    steps, level = _checked(bench.model, difficulty, pairs, steps)
    drawn = [sandbox.pair(seed, index, "test", level) for index in range(pairs)]
    found = patching(bench, drawn, steps, seed)
    return Experiment("patching", _about(difficulty, seed, steps, pairs=pairs), found)


def _checked(
    model: MstarModel, difficulty: str, images: int, steps: int | None
) -> tuple[int, sandbox.Difficulty]:
    if difficulty not in sandbox.DIFFICULTIES:
        names = ", ".join(sandbox.DIFFICULTIES)
        raise ValueError(f"unknown difficulty {difficulty!r}: expected one of {names}.")
    if images < 1:
        raise ValueError(f"images must be 1 or more; got {images}.")
    steps = model.config.steps_from(steps)
    return steps, sandbox.DIFFICULTIES[difficulty]


def _about(difficulty: str, seed: int, steps: int, **sizes: Any) -> dict[str, Any]:
    about = {"difficulty": difficulty, "seed": seed, "steps": steps}
    return about | sizes | {"versions": versions()}
