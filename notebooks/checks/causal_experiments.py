"""Of `09_causal_experiments`."""

import numpy as np
import torch

from mstar import evaluate, experiments, hooks


def _lost(nb, change: experiments.Change, of=None) -> float:
    """What right answers lose on average, × 100."""
    of = nb.found if of is None else of
    before = experiments.case_scores(
        nb.bench, of, experiments.Change("as it is", pve_steps=nb.pve_steps)
    )
    return float(100 * (before - experiments.case_scores(nb.bench, of, change)).mean())


def both(nb, loss_one: float, loss_all: float) -> None:
    """Exercise 1."""
    one = nb.losses[nb.chosen]["loss"].value
    assert abs(loss_one - one) < 0.05, f"{loss_one:.1f} is not what the chosen head costs alone"
    layer = int(nb.chosen.split(",")[0].removeprefix("layer "))
    count = nb.bench.config.qformer_config.num_attention_heads
    every = _lost(
        nb,
        experiments.Change("all", hooks.ablate_heads(range(count), layer), pve_steps=nb.pve_steps),
    )
    assert abs(loss_all - every) < 0.05, (
        f"{loss_all:.1f} is not what all heads of layer {layer} cost together, in all looks"
    )
    print(f"right: one head costs {loss_one:.1f}, all of its layer {loss_all:.1f}")


def control(nb, word, ground) -> None:
    """Exercise 2; bool [grid_h, grid_w] each."""
    word, ground = (np.asarray(one, dtype=bool) for one in (word, ground))
    assert word.shape == ground.shape == tuple(nb.grid), (
        f"tokens: [{nb.grid[0]}, {nb.grid[1]}] each"
    )
    size = nb.pair.first.image.shape[:2]
    own = evaluate.coverage([nb.pair.word.polygon], size, nb.grid) > 0
    text = (
        evaluate.coverage([region.polygon for region in nb.pair.first.regions], size, nb.grid) > 0
    )
    assert word[own].all(), "some of the word can still be seen"
    assert word.sum() == ground.sum(), f"the control covers {ground.sum()} tokens, not {word.sum()}"
    assert not (ground & word).any(), "the control covers some of what the change covers"
    assert not (ground & text).any(), "the control covers text"
    covers = [
        experiments.Change(n, covered=torch.from_numpy(w))
        for n, w in (("word", word), ("ground", ground))
    ]
    for row in nb.bench.sweep(nb.two[0], nb.query, covers):
        print(f"{row.change:7} covered, {word.sum()} tokens: {row.effect:+.3f}")


def style(nb, look: float, head: float) -> None:
    """Exercise 3."""
    of = [case for case in nb.found if case.query.style == "phrase"]
    layer, number = (int(part.split()[1]) for part in nb.chosen.split(", "))
    truth = {
        "one look": (look, _lost(nb, experiments.Change("one look", pve_steps=0), of)),
        "no chosen head": (
            head,
            _lost(
                nb,
                experiments.Change(
                    "head", hooks.ablate_heads([number], layer), pve_steps=nb.pve_steps
                ),
                of,
            ),
        ),
    }
    for name, (got, right) in truth.items():
        assert abs(got - right) < 0.05, f"{got:.1f} is not what phrases lose with {name}"
    print(f"right: with one look {look:.1f}, without the chosen head {head:.1f}, {len(of)} phrases")
