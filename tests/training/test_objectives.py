"""What a step minimises: the entropy of ψ's cross-attention, and no hook left on the model."""

import math

import pytest
import torch

from mstar.training import objectives
from mstar.training.objectives import Objective


@pytest.fixture
def objective(tiny) -> Objective:
    return Objective(tiny.model, head=None, assigned_weight=1.0)


@pytest.fixture
def batch(inputs) -> dict:
    """Two images and three texts that are written on them."""
    own = torch.tensor([[True, False, True], [False, True, True]])
    return inputs | {"own": own, "positives": own, "window": None}


@pytest.mark.parametrize("matching", [False, True])
def test_the_entropy_is_that_of_every_look(objective, tiny, inputs, batch, matching):
    """The pass of L_m has cross-attention too, which does not count."""
    losses = objective(**batch, pve_steps=2, matching=matching, entropy_weight=0.5)
    _, trace = tiny.model.run_with_trace(inputs | {"pve_steps": 2}, "pve.*.cross_attention")
    heads = torch.stack([trace[name] for name in trace])  # [looks · layers, B, heads, Q, N]
    expected = torch.distributions.Categorical(heads).entropy().mean() / math.log(256)
    torch.testing.assert_close(losses["H_C"], expected)
    parts = losses["L_c"] + losses["L_a"] + 0.5 * losses["H_C"] + losses.get("L_m", 0)
    torch.testing.assert_close(losses["loss"], parts)


def test_no_hook_stays(objective, tiny, batch, monkeypatch):
    def hooks() -> int:
        return sum(len(module._forward_hooks) for module in tiny.model.modules())

    objective(**batch, entropy_weight=0.5)
    assert hooks() == 0
    with pytest.raises(ValueError, match="pve_steps"):
        objective(**batch, entropy_weight=0.5, pve_steps=-1)
    assert hooks() == 0
    # without a weight nothing is computed for it: its graph would hold all attention
    monkeypatch.setattr(objectives, "attention_entropy", lambda _: pytest.fail("computed"))
    assert "H_C" not in objective(**batch)
