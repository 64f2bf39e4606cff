"""Of `02_assignments`."""

from mstar import evaluate, explain
from mstar.model import assign


def gives_way(nb, found: list[str]) -> None:
    """Exercise 1."""
    strangers = [word for word in found if word not in nb.crowd_words]
    assert not strangers, f"not a word of `crowd_words`: {strangers}"
    picks = zip(nb.crowd_words, explain.examine_assignment(nb.crowd, assign(nb.crowd)), strict=True)
    truth = {word for word, pick in picks if pick.index != pick.greedy}
    assert not set(found) - truth, "some of these get their own favourite"
    assert set(found) == truth, "some word that gives way is missing"
    print("right")


def favourites(nb, share: float) -> None:
    """Exercise 2."""
    assert 0 < share <= 1, f"a share lies above 0 and up to 1; got {share}"
    favourites = nb.crowd.argmax(1)
    kept = float((assign(nb.crowd) == favourites).float().mean())
    assert abs(share - kept) > 1e-3, "this is how many get their favourite *with* the assignment"
    truth = evaluate.distinct_share(nb.crowd)
    assert abs(share - truth) < 1e-3, "count different favourites, and divide by the words"
    print(f"right: {share:.0%} of the words")


def tie(nb, matrix) -> None:
    """Exercise 3."""
    assert matrix.shape == (2, 2), f"two words, two embeddings; got {tuple(matrix.shape)}"
    assert (matrix[:, 0] != matrix[:, 1]).any(), "no word has a favourite here: too easy a tie"
    one, other = float(matrix[0, 0] + matrix[1, 1]), float(matrix[0, 1] + matrix[1, 0])
    assert abs(one - other) < 1e-6, f"the sums differ: {one:.3f} and {other:.3f}"
    assert all(
        abs(pick.margin) < 1e-6 for pick in explain.examine_assignment(matrix, assign(matrix))
    )
    print("right: both ways are as good, and the margins are zero")
