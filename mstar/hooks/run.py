"""Who listens to a model: hooks, records, and the block in which they are heard."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

import torch
from torch import Tensor

from mstar.hooks.points import MOST_PVE_STEPS, HookError, point_names, select


class Hook(Protocol):
    def __call__(self, value: Tensor, *, point: str) -> Tensor | None: ...


@dataclass
class Run:
    """The listeners of one model in one block. `run(name, value)` is what a hook point calls.

    Recording is by name and written once, so a forward that gradient checkpointing repeats
    records nothing twice.
    """

    hooks: list[tuple[str, Hook]] = field(default_factory=list)
    record: frozenset[str] = frozenset()
    keep: Callable[[Tensor], Tensor] = lambda value: value
    recorded: dict[str, Tensor] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)
    parent: "Run | None" = None

    def __call__(self, name: str, value: Tensor, *, readonly: str | None = None) -> Tensor:
        """Intervene, then record. `readonly` is the reason why nothing may be replaced here."""
        if self.parent is not None:
            value = self.parent(name, value, readonly=readonly)
        for pattern, hook in self.hooks:
            if fnmatchcase(name, pattern):
                self.fired.add(pattern)
                replacement = hook(value, point=name)
                if replacement is not None:
                    if readonly is not None:
                        raise HookError(f"{name} cannot be replaced: {readonly}.")
                    _check_replacement(name, value, replacement)
                    value = replacement
        if name in self.record and name not in self.recorded:
            self.recorded[name] = self.keep(value)
        return value

    def wants(self, name: str) -> bool:
        """Whether anybody listens here; for values that cost something to make."""
        return (
            name in self.record
            or any(fnmatchcase(name, pattern) for pattern, _ in self.hooks)
            or (self.parent is not None and self.parent.wants(name))
        )


@dataclass(frozen=True)
class TiledRun:
    """A run as φ, ψ and σ hear it, which take each tile for an image.

    Whoever listens is given [batch, tile, …], also where there is one tile.
    """

    run: Run
    tiles: int

    def __call__(self, name: str, value: Tensor, *, readonly: str | None = None) -> Tensor:
        heard = self.run(name, value.unflatten(0, (-1, self.tiles)), readonly=readonly)
        return heard.flatten(0, 1)

    def wants(self, name: str) -> bool:
        return self.run.wants(name)


def of_tiles(run: Run | None, tiles: int) -> TiledRun | None:
    """The run for what works on tiles; None where nobody listens."""
    return None if run is None else TiledRun(run, tiles)


def _check_replacement(name: str, value: Tensor, replacement: object) -> None:
    if not isinstance(replacement, Tensor):
        raise HookError(
            f"the hook on {name} must return a tensor or None; got {type(replacement).__name__}."
        )
    for what in ("shape", "dtype", "device"):
        expected, got = getattr(value, what), getattr(replacement, what)
        if expected != got:
            if what == "shape":
                expected, got = list(expected), list(got)
            raise HookError(f"the hook on {name} must keep {what} {expected}; got {got}.")


# Keyed by the model's identity: two models in one block do not hear each other's listeners.
_active: ContextVar[Mapping[int, Run]] = ContextVar("mstar_hooks", default={})  # noqa: B039


def active(model: object) -> Run | None:
    """The listeners of this model in this thread or task, if any."""
    runs = _active.get()
    return runs.get(id(model)) if runs else None


@contextmanager
def listening(model: object, run: Run) -> Iterator[Run]:
    """Let `run` hear every call of `model` inside the block; nothing survives it."""
    run.parent = active(model)
    token = _active.set({**_active.get(), id(model): run})
    try:
        # A compiled graph was traced without listeners: inside the block run the eager code.
        with torch.compiler.set_stance("force_eager"):
            yield run
    finally:
        _active.reset(token)


#: Names or globs to functions; as pairs a name may come several times.
Hooks = Mapping[str, Hook] | Iterable[tuple[str, Hook]]


def pairs(functions: Hooks) -> list[tuple[str, Hook]]:
    """Names or globs with their functions, in their order."""
    listed = functions.items() if isinstance(functions, Mapping) else functions
    listed = list(listed) if isinstance(listed, Iterable) else [listed]
    for one in listed:
        if not (isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)
                and callable(one[1])):  # fmt: skip
            raise HookError(f"hooks are names of points, each with a function; got {one!r}.")
    return listed


@contextmanager
def hooks(model: object, functions: Hooks) -> Iterator[Run]:
    """`with hooks(model, {"pve.0.mask": fn}):` — names or globs to functions.

    Raises:
        HookError: a name that no point of this model has (near matches are listed).
    Warns:
        UserWarning: at the end of a block without error, for each hook that never fired.
    """
    listed = pairs(functions)
    for name, _ in listed:
        t = re.match(r"pve\.(\d+)\.", name)
        look = int(t.group(1)) if t and len(t.group(1)) < 9 else 0
        if t and not look <= MOST_PVE_STEPS:
            raise HookError(f"{name!r} is of look {look}; T is at most {MOST_PVE_STEPS}.")
        pve_steps = max(model.config.pve_steps, look)
        select(name, point_names(model.config, pve_steps))
    run = Run(hooks=listed)
    with listening(model, run):
        yield run
    for name in dict(listed):
        if name not in run.fired:
            warnings.warn(
                f"the hook on {name!r} never fired: no forward pass in the block reached it.",
                stacklevel=3,
            )
