"""Of `06_search_and_rerank`."""

import numpy as np
import torch

from mstar import Query, evaluate, search, texts


def means(nb, means: dict, enough: float) -> None:
    """Exercise 1; share that is looked at again → MAP, and the share that is enough."""
    shares = sorted(means)
    assert len(shares) >= 3 and shares[-1] == 1, "several shares, from a small one to all: 1"
    assert shares[0] > 0, f"a share is above 0; got {shares[0]}"
    never_wrong = torch.from_numpy(nb.relevant.astype(np.float32))
    most = {}
    for share in shares:
        scores = search.rerank(torch.from_numpy(nb.cosine), never_wrong, share).numpy()
        most[share] = evaluate.average_precisions(nb.relevant, scores).mean()
    wrong = [share for share in shares if abs(means[share] - most[share]) > 0.01]
    if wrong:
        said = [means[share] for share in wrong]
        plain, model_s = nb.reranked["cosine"].mean(), nb.reranked["re-ranked"].mean()
        assert max(said) > 1, "MAP in %, please"
        assert not np.allclose(said, plain), "nothing was gained: were the answers lifted?"
        assert min(abs(np.subtract(said, model_s))) > 0.01, "this is our head, which errs"
        raise AssertionError(f"a head that is never in error reaches another MAP at {wrong}")
    assert enough in most, f"one of your shares, please: {shares}"
    left = most[1] - most[enough]
    assert left < 0.01, f"with {enough} there is still something to gain: {left:.2f}"
    smaller = [share for share in shares if share < enough and most[1] - most[share] < 0.01]
    assert not smaller, "it is enough, but a smaller one of your shares is, too"
    print(f"right: nothing is left to gain from {enough} on, of the shares that you tried")


def order(nb, difference) -> None:
    """Exercise 2."""
    rows = np.flatnonzero(nb.styles == "phrase")
    got = difference.count
    assert got == len(rows), f"one pair per phrase: {len(rows)}; got {got}"
    asked = [Query(" ".join(texts.words_of(nb.queries[row])[::-1]), "phrase") for row in rows]
    turned = evaluate.average_precisions(nb.relevant[rows], nb.gallery.scores(asked).numpy())
    true = evaluate.paired(nb.precisions[rows], turned).difference
    close = np.isclose(difference.value, true.value, atol=0.05)
    reversed_ = np.isclose(difference.value, -true.value, atol=0.05)
    assert close or not reversed_, "the sign: what is lost is in order less turned round"
    assert close, "the difference of something else: turn the query round, and leave the truth"
    ends = np.isclose([difference.low, difference.high], [true.low, true.high], atol=1).all()
    assert ends, "the mean is right, the interval is not that of the pairs"
    print(f"right: turned round, a phrase loses {difference} AP")


def folder(nb, now) -> None:
    """Exercise 3."""
    total = now.embedded + now.kept
    assert total == now.images == 3, f"three images should be in the gallery; there are {total}"
    assert now.dropped, "nothing was dropped: was the first image deleted?"
    assert now.kept, "nothing was kept: index into the same gallery folder"
    assert now.dropped == 1, f"one image was to go; {now.dropped} went"
    print(f"right: {now.embedded} embedded, {now.kept} kept, {now.dropped} dropped")
