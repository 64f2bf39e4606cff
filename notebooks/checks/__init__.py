"""The checks of the exercises: each says what is wrong with an answer, and never what is right.

They are here and not in the notebooks, where one would read the solution in them. A module has
those of one notebook: functions of that notebook's variables, `n`, and of an answer.
"""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any


def of(notebook: str, variables: Mapping[str, Any]) -> SimpleNamespace:
    """The checks of a notebook, as functions of the answers alone: `check.means(…)`.

    Args:
        notebook: its name, as `00_tour`.
        variables: its `globals()`, as they are now: what an answer changes of them is no matter.
    """
    module, n = import_module(f".{notebook[3:]}", __name__), SimpleNamespace(**variables)
    made = {
        name: partial(one, n)
        for name, one in vars(module).items()
        if isinstance(one, FunctionType) and one.__module__ == module.__name__ and name[0] != "_"
    }
    return SimpleNamespace(**made)
