"""Of `01_steps_and_masks`."""

import torch

from mstar import evaluate, explain


def sharpest(nb, query: int) -> None:
    """Exercise 1."""
    assert isinstance(query, int), f"the number of a query is meant, an int; got {query!r}"
    assert 0 <= query < nb.count, f"queries are numbered 0 to {nb.count - 1}; got {query}"
    peaks = explain.embedding_maps(nb.trace)[: nb.count].flatten(1).amax(1)
    higher = int((peaks > peaks[query]).sum())
    assert not higher, f"{higher} other query tokens of look 0 have a higher peak"
    print("right")


def shares(nb, shares: list[float]) -> None:
    """Exercise 2."""
    where, assigned = dict(nb.places), nb.trace["mim.assignment"][0].tolist()
    by_word = zip([query.text for query in nb.asked], assigned, strict=True)
    rows = [row for row in by_word if row[0] in where and row[1] >= 0]
    assert len(shares) == len(rows), f"one share a word: {len(rows)}; got {len(shares)}"
    if not rows:
        print("of none of these texts is the place known: take the rendered scene")
        return
    covers = [evaluate.coverage([where[w]], nb.photo.size[::-1], nb.trace.grid) for w, _ in rows]

    def off(maps) -> int:
        """How many shares are not those of these maps."""
        pairs = zip(maps, covers, shares, strict=True)
        return sum(abs(evaluate.mass_inside(one, c) - share) > 1e-3 for one, c, share in pairs)

    maps = explain.embedding_maps(nb.trace)
    wrong = off([maps[index] for _, index in rows])
    assert not wrong or off([maps[0] * 0 + 1] * len(rows)), "these are the shares of the image"
    c = nb.trace["pve.0.attention_map"][0, 0]
    the_mean = "these are the shares of C₀, the mean of all query tokens"
    assert not wrong or off([c] * len(rows)), the_mean
    assert not wrong, f"{wrong} of these are not the share of the assigned query token's own map"
    print("right")


def blind(nb, other) -> None:
    """Exercise 3."""
    assert "pve.0.mask" in other, "record the mask as well"
    left = float(other["pve.0.mask"].mean())
    assert left == 0, f"{left:.0%} of the tokens still count as neglected"
    same = torch.equal(other["pve.0.attention_map"], nb.trace["pve.0.attention_map"])
    assert same, "the first look differs: force the mask, and leave the image as it is"
    print("right: everything counts as seen")
