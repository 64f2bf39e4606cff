"""Of `04_train`."""

import numpy as np

from mstar import training
from mstar.data.scenes import sandbox


def step(nb, step: int | None) -> None:
    """Exercise 1; None = it never happened."""
    name = nb.recipe.stages[-1].name
    losses = np.array([row["loss"] for row in nb.rows if row["stage"] == name])
    low_enough = [
        end
        for end in range(10, len(losses) + 1)
        if losses[end - 10 : end].mean() < 0.75 * losses[:10].mean()
    ]
    if step is None:
        assert not low_enough, "it did happen in this run"
        print("right: not in this run, and that is an answer")
        return
    most = len(losses)
    assert 10 <= step <= most, f"ten losses are needed: from 10 to {most}; got {step}"
    mean = losses[step - 10 : step].mean()
    assert step in low_enough, f"the mean there is {mean:.2f}: not low enough"
    assert step == low_enough[0], f"low enough, with {mean:.2f}; but not for the first time"
    print(f"right: after step {step}")


def likes(nb, share: float, pairs: int) -> None:
    """Exercise 2; the share in %."""
    made = nb.sets["unseen words"]
    assert pairs == len(made), "one pair for each strip with an unseen word"
    like = training.similar(sandbox.words("unseen"))
    asked = sorted({word for one in made for word in (one.word, like[one.word][0])})
    scores, row_of = nb.score(made, asked), {word: row for row, word in enumerate(asked)}
    above = [
        scores[row_of[one.word], i] > scores[row_of[like[one.word][0]], i]
        for i, one in enumerate(made)
    ]
    true = 100 * np.mean(above)
    spare = 100 / len(made)  # a pair, where rounding decides
    if abs(share - true) > spare:
        assert abs(100 * share - true) > spare, "in %, please"
        assert abs(100 - share - true) > spare, "that is how often the other word is above"
        raise AssertionError("another share: its own word against the first of those most like it")
    print(f"right: {share:.0f} %; a guess would have 50")


def gap(nb, low: float, high: float) -> None:
    """Exercise 3; the interval of seen − unseen."""
    seen, new = nb.precisions["seen words"], nb.precisions["unseen words"]
    dice = np.random.default_rng(1)
    means = [
        dice.choice(seen, len(seen)).mean() - dice.choice(new, len(new)).mean() for _ in range(4000)
    ]
    ends = np.percentile(means, (2.5, 97.5))
    spare = 0.1 * np.ptp(ends) + 1e-6  # of the luck of the dice
    assert low <= high, "the lower end first"
    if not np.allclose((low, high), ends, rtol=0, atol=spare):
        turned = np.allclose((-high, -low), ends, rtol=0, atol=spare)
        assert not turned, "the sign: seen less unseen"
        width = (high - low) / np.ptp(ends)
        assert width < 1.1, "too wide: it is the means that are drawn anew, not single words"
        assert width > 0.9, "too narrow: are both sets drawn anew, and as many as there are?"
        raise AssertionError("as wide as it should be, but not in its place")
    said = "holds 0: these words cannot tell" if low <= 0 <= high else "does not hold 0"
    print(f"right: [{low:.1f}, {high:.1f}] {said}")
