"""Of `08_localisation`."""

import numpy as np
import torch

from mstar import Query, evaluate, explain


def absent(nb, query: Query, map_absent) -> None:
    """Exercise 1."""
    assert isinstance(query, Query), 'a query: Query("…", "word")'
    assert query not in nb.shown.queries, "this one is asked of the image already"
    (answer,) = nb.bench.attribute(nb.photo, [query], ["grad_cam"])
    one = answer["grad_cam"]
    assert np.asarray(map_absent).shape == nb.shape, f"one map of {list(nb.shape)}"
    assert np.allclose(map_absent, one.values, atol=1e-5), "not the Grad-CAM of this query here"
    scored = nb.found[0]["attention"].score
    assert one.score < scored, "is this word really not in the image? Its score is not lower."
    print(
        f"right: it scores {one.score:.2f} where {nb.queries[0].text} has {scored:.2f}, and a map\n"
        "is drawn all the same; nothing in it says that the word is absent"
    )


def completeness(nb, total: float, change: float) -> None:
    """Exercise 2."""
    (one,) = nb.bench.attribute(nb.photo, nb.queries[:1], ["integrated_gradients"], pve_steps=0)
    one, plain = one["integrated_gradients"], explain.Scorer(nb.bench, nb.queries[:1], 0)
    even = nb.pixels.mean((2, 3), keepdim=True).expand_as(nb.pixels)
    with torch.no_grad(), nb.bench.evaluating():
        truth = float(plain(nb.pixels)[0, 0] - plain(even)[0, 0])
    assert abs(change + truth) > 1e-4 or abs(truth) < 1e-4, "the one less the other: which way?"
    assert abs(change - truth) < 1e-3, f"{change:.3f} is not the change of the score"
    assert abs(total - float(one.values.sum())) < 1e-3, (
        f"{total:.3f} is not the sum over all tokens"
    )
    print(f"right: {total:.3f} for a change of {change:.3f}; `gap` says {one.gap:+.3f}")


def nearer(nb, same_query: float, same_method: float) -> None:
    """Exercise 3."""
    two = [nb.queries[0], Query("zebra", "word")]
    mine, other = nb.bench.attribute(nb.photo, two, ["attention_gradient", "occlusion"])
    own = mine["attention_gradient"].values
    truth = evaluate.likeness(own, mine["occlusion"].values)
    assert abs(same_query - truth) < 0.02, f"{same_query:.2f} is not that of the same query"
    truth = evaluate.likeness(own, other["attention_gradient"].values)
    assert abs(same_method - truth) < 0.02, f"{same_method:.2f} is not that of the same method"
    nearer = "its query" if same_query > same_method else "its method"
    print(f"right: {same_query:.2f} and {same_method:.2f}: this map has more from {nearer}")
