"""Packages that offer names of their modules, which load when they are first asked for."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def offered(
    package: str, **modules: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package: its modules, and names of theirs.

    A function that is called as its module is named by both: `experiments.patching.patching`.

    Args:
        modules: module → the names of it that the package offers, spaces between, `here=there`
            where it calls one otherwise; the module of a package within is called as in
            `loop.state`, and offered by its names alone.
    """
    place = {}
    for module, names in modules.items():
        for entry in names.split():
            here, _, there = entry.partition("=")
            place[here] = (module, there or here)
    every = sorted({*place, *(module for module in modules if "." not in module)})

    def get(name: str) -> Any:
        if name not in every:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, there = place.get(name, (name, None))
        value = import_module(f"{package}.{module}")
        if there is not None:
            value = getattr(value, there)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *every}), every
