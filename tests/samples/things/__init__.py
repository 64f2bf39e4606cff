"""The builders: one function for every kind of thing, and for the places where they stand."""

from collections.abc import Callable

from ..plan import Thing
from ..stage import Frame, Stage
from . import boards, goods, paper, places, street, vehicles

_BUILDERS: dict[str, Callable[[Frame, Thing], None]] = {
    name: builder
    for module in (boards, goods, paper, places, street, vehicles)
    for name, builder in module.BUILDERS.items()
}


def build(stage: Stage, thing: Thing) -> None:
    """Put a thing into the scene."""
    frame = Frame(stage, thing.at, thing.turn, thing.look.get("tilt", 0.0))
    _BUILDERS[thing.kind](frame, thing)
