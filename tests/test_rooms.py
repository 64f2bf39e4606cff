"""The rooms of mstar/ as namespaces: what they offer is there, and loads when it is asked for."""

from importlib import import_module

import pytest

from tests.test_project import heavy, run_python

ROOMS = (
    "hooks", "model", "io", "data.scenes", "data.lists", "explain", "search", "evaluate",
    "experiments", "training",
)  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_there(room):
    package = import_module(f"mstar.{room}")
    assert package.__all__ and set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"'mstar.{room}' has no attribute 'nothing'"):
        _ = package.nothing


def test_a_room_brings_in_nothing_before_it_is_asked():
    asked = "\n".join(f"import mstar.{room}" for room in ROOMS)
    said = run_python(f"import sys\n{asked}\nprint(*sys.modules)")
    assert heavy(said.split(), {"torch", "transformers", "numpy", "PIL"}) == set()
