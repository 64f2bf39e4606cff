"""Of `05_train_paper`."""

from dataclasses import replace

import numpy as np

from mstar import training


def saving(nb, frozen: dict, thawed: dict, hours: float) -> None:
    """Exercise 1; parts of the model → operations per image, and hours with φ trained."""
    last = nb.full.stages[-1]
    true = training.cost.training_flops(nb.base, replace(last, frozen=()), nb.texts)
    assert frozen.keys() == thawed.keys() == true.keys(), "the same parts, please"
    kept = [part for part in true if not np.isclose(frozen[part], nb.costs[last.name][part])]
    assert not kept, f"with φ frozen these are not the last stage's: {kept}"
    changed = [part for part in frozen if frozen[part] != thawed[part]]
    assert changed == ["φ"], f"only φ's part should change; these do: {changed}"
    assert np.isclose(thawed["φ"], true["φ"]), "φ's part: what does a way back cost?"

    def in_hours(found: dict) -> float:
        return sum(found.values()) * nb.later * nb.epochs / nb.speeds["4 × A100"] / 3600

    if not np.isclose(hours, in_hours(true), rtol=0.01):
        assert not np.isclose(hours, in_hours(frozen), rtol=0.01), "that is with φ frozen"
        assert not np.isclose(hours * nb.later * nb.epochs, in_hours(true)), (
            "for all images, please"
        )
        assert not np.isclose(hours * nb.epochs, in_hours(true)), "for all epochs, please"
        raise AssertionError("not these hours: all images, all epochs, four A100, 3600 seconds")
    print(f"right: {in_hours(frozen):.1f} hours frozen, {hours:.1f} trained")


def micro(nb, counts: dict) -> None:
    """Exercise 2; stage → micro-batches, None = does not fit."""
    missing = {stage.name for stage in nb.full.stages} - counts.keys()
    assert not missing, f"these stages are missing: {sorted(missing)}"
    for stage in nb.full.stages:
        count, size = counts[stage.name], stage.batch_size
        held, each = (n / 2**30 for n in training.cost.training_bytes(nb.base, stage))
        fits = [n for n in range(1, size + 1) if size % n == 0 and held + each * size / n <= 24]
        if count is None:
            assert not fits, f"{stage.name}: it does fit, if micro-batches are small enough"
            print(f"{stage.name}: does not fit")
            continue
        uneven = count < 1 or size % count
        assert not uneven, f"{stage.name}: {size} images do not divide into {count}"
        needed = held + each * size / count
        assert count in fits, f"{stage.name}: {size // count} at once need {needed:.1f} GB"
        assert count == fits[0], f"{stage.name}: it fits, but so do larger micro-batches"
        print(f"{stage.name}: {count} micro-batches")


def uneven(nb, message: str) -> None:
    """Exercise 3."""
    try:
        replace(nb.full.stages[0], accumulate=5)
    except ValueError as error:
        assert message == str(error), "another error: five micro-batches of the first stage"
    print("right:", message)
