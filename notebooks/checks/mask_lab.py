"""Of `03_mask_lab`."""

import numpy as np

from mstar import evaluate, experiments, hooks


def gained(nb, hidden: list[float], beside: list[float]) -> None:
    """Exercise 1."""
    for name, shares in (("word covered", hidden), ("free box", beside)):
        assert len(shares) == 40, f"{name}: forty scenes; got {len(shares)}"
        assert all(0 <= one <= 1 for one in shares), f"{name}: of each scene a share, 0 to 1"
    given = np.array([hidden, beside])
    sides = zip(*nb.forty_scenes(-1), strict=True)
    truth = np.array([[(change > 0).mean() for change in side] for side in sides])
    wrong = (abs(given - truth) > 1e-6).sum(1)
    if wrong.any():
        assert not np.allclose(given[::-1], truth), "the two lists are swapped"
        raise AssertionError(
            f"wrong: {wrong[0]} shares with the word covered, {wrong[1]} with a free box; count "
            "the words whose change is above 0, and divide by all that were not covered"
        )
    both = evaluate.paired(*(100 * truth))
    print(f"right: in % {both.first} gain, control {both.second}, difference {both.difference}")


def costs(nb, costs: list[float], silent) -> None:
    """Exercise 2."""
    assert len(costs) == nb.queries, f"one cost a query: {nb.queries}; got {len(costs)}"
    left = float(silent["mim.similarity"].abs().max())
    assert left == 0, f"with all of them silent a cosine of {left:.3f} is left"
    pixels, truth = nb.bench.pixels([nb.photo]), []
    for query in range(nb.queries):
        change = experiments.Change("", hooks.ablate_query_tokens([query]))
        lost = nb.before - experiments.scores(nb.bench, pixels, nb.asked, change)[:, 0]
        truth.append(float(lost.sum()))
    wrong = int((abs(np.array(costs) - truth) > 1e-4).sum())
    if wrong:
        other_sign = np.allclose(costs, -np.array(truth), atol=1e-4)
        assert not other_sign, "a cost is the score before, less the score after: the other sign"
        raise AssertionError(f"{wrong} of these are not what all words lose without that token")
    print(f"right: query token {int(np.argmax(costs))} costs {max(costs):.4f}")


def said(nb, message: str) -> None:
    """Exercise 3."""
    assert "query token" in message, "an error about query tokens is meant"
    there = f"0 to {nb.queries - 1}"
    assert there in message, "a good error says which there are"
    assert "got [" in message, "a good error says what it got"
    print("right:", message)
