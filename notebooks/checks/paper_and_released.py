"""Of `10_paper_and_released`."""

from mstar import MstarConfig, experiments
from mstar.model import salient_region


def share(nb, config: MstarConfig) -> None:
    """Exercise 1."""
    assert config.sigma == "threshold", f"another σ than asked for: {config.sigma}"
    hides = int(salient_region(nb.hill[None], config).sum())
    assert hides == 5, f"it hides {hides} tokens: {'too many' if hides > 5 else 'too few'}"
    print(f"right: five tokens, with sigma_low = {config.sigma_low}")


def together(nb, alone: float, together: float) -> None:
    """Exercise 2."""
    changes = {field: row["word"].value for field, row in nb.report["change"].by_name().items()}
    every = changes.pop("released")
    total = sum(changes.values())
    said = "not the sum of the changes of words over the fields that are switched by themselves"
    assert abs(alone - total) < 0.05, f"{alone:+.1f} is {said}"
    assert abs(together - every) < 0.05, f"{together:+.1f} is not that of all together"
    print(f"fields by themselves add up to {alone:+.1f}, all together {together:+.1f}")


def silent(nb, field: str) -> None:
    """Exercise 3."""
    assert field in nb.paper, f"no field is called {field!r}"
    assert field not in experiments.TRAINING, "this one only training reads"
    changes = nb.report["change"].by_name()
    assert field in changes, "this one is read in re-ranking, not here"
    _, *changed = changes[field].values()
    reassigned = nb.switched[field]["reassigned"].value
    assert reassigned > 0, "assignments stay as they are"
    assert all(change.value == 0 for change in changed), "a score changes"
    print(f"right: {field} assigns {reassigned:.0f} % of the words otherwise")
