"""Of `00_tour`."""

from collections import Counter

import torch


def by_look(nb, by_look: dict[int, int]) -> None:
    """Exercise 1."""
    strangers = [look for look in by_look if look not in range(nb.pve_steps + 1)]
    assert not strangers, f"looks are numbered 0 to {nb.pve_steps}; got {strangers}"
    total = sum(by_look.values())
    assert total == len(nb.assigned), (
        f"{len(nb.assigned)} words were assigned an embedding; the counts add up to {total}"
    )
    truth = Counter(look for look, _, _ in nb.assigned)
    wrong = [look for look in range(nb.pve_steps + 1) if by_look.get(look, 0) != truth[look]]
    assert not wrong, f"the total is right, the counts of {len(wrong)} looks are not"
    print("right:", dict(sorted(by_look.items())))


def first_only(nb, scores) -> None:
    """Exercise 2."""
    scores = torch.as_tensor(scores).float()
    assert scores.shape == (len(nb.queries),), (
        f"one score a text: {len(nb.queries)}; got the shape {tuple(scores.shape)}"
    )
    truth = torch.tensor(nb.bench.scores(nb.photo, nb.queries, pve_steps=0)[:, 0])
    wrong = int((scores - truth).abs().gt(1e-4).sum())
    same = wrong and torch.allclose(scores, torch.tensor(nb.scored))
    assert not same, "these are the scores with all looks: was T = 0 passed on?"
    assert not wrong, f"{wrong} of these are not what the model gives with one look"
    print("right; compare the words")


def shape(nb, message: str) -> None:
    """Exercise 3."""
    assert "pve.0.mask" in message, "the error does not name the point: was it another one?"
    assert "shape" in message, "it speaks of something else than the shape"
    expected = str(list(nb.trace["pve.0.mask"].shape))
    assert expected in message, "it does not say the shape that the mask of this image has"
    print("right:", message)


def row(nb, query, row) -> None:
    """Exercise 4."""
    assert isinstance(query, str), "a text, as you would type it"
    assert len(row) == len(nb.gallery), f"a score an image: {len(nb.gallery)}; got {len(row)}"
    truth = nb.bench.scores(nb.photos[:5], query, pve_steps=nb.pve_steps)[0]
    wrong = sum(abs(one - two) > 1e-3 for one, two in zip(row, truth, strict=False))
    assert not wrong, f"of the first five scores {wrong} are not this text's"
    print(f"{query}: best {max(row):.3f}, median {sorted(row)[len(row) // 2]:.3f}")
