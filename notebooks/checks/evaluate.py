"""Of `07_evaluate`."""

import numpy as np

from mstar import evaluate


def constant(nb, precisions) -> None:
    """Exercise 1."""
    assert len(precisions) == len(nb.relevant), f"one AP per query: {len(nb.relevant)}"
    assert max(precisions) < 100, "some query is perfect: do all images have the same score?"
    wrong = ~np.isclose(precisions, 100 * nb.relevant.mean(1))
    assert not wrong.any(), f"{wrong.sum()} queries have another AP than equal scores give"
    print(f"constant {np.mean(precisions):.1f}, random {nb.floors.mean():.1f}")


def forgotten(nb, truth) -> None:
    """Exercise 2."""
    assert truth.shape == nb.relevant.shape, "the same queries and images"
    assert not (truth & ~nb.relevant).any(), "an answer was invented"
    lost = (nb.relevant & ~truth).sum(1)
    assert not lost[nb.answers < 2].any(), "a query with one answer keeps it"
    assert (lost[nb.answers >= 2] == 1).all(), "each of the others loses exactly one"
    best = np.where(nb.relevant, nb.found, -np.inf).argmax(1)
    several = np.flatnonzero(nb.answers >= 2)
    assert not truth[several, best[several]].any(), "it is the image ranked best that is lost"
    print("right: one label per query is gone, the one that the model ranked best")


def pairs(nb, differences: dict) -> None:
    """Exercise 3."""
    missing = set(nb.styles.tolist()) - set(differences)
    assert not missing, f"these styles are missing: {sorted(missing)}"
    after = evaluate.average_precisions(nb.relevant, nb.by_name["MSTAR, re-ranked"])
    for style, change in differences.items():
        rows = nb.styles == style
        assert change.count == rows.sum(), f"{style}: {rows.sum()} pairs; got {change.count}"
        true = evaluate.paired(after[rows], nb.precisions[rows]).difference
        close = np.isclose(change.value, true.value)
        turned = np.isclose(change.value, -true.value)
        assert close or not turned, f"{style}: the sign; a gain is re-ranked less cosine"
        assert close or change.value, f"{style}: nothing changed: is it compared with itself?"
        assert close, f"{style}: not the difference of these two rankings"
        ends = np.isclose([change.low, change.high], [true.low, true.high], atol=1).all()
        assert ends, f"{style}: the mean is right, the interval is not that of the pairs"
        few = " (few)" if rows.sum() < 20 else ""
        print(f"{style:9}{change!s:22}{few}")
