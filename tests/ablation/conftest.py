"""A tiny experiment, run once."""

import pytest

from mstar.experiments.ablation import DOUBLED, Arm, Experiment, Settings

ARMS = (
    Arm(0),
    DOUBLED,
    Arm(1, "empty"),
    Arm(1, "random"),
    Arm(2, "watershed"),
    Arm(0, semantics="released", side=2),
    Arm(1, "released", "released", side=2),
)
TINY = Settings(images=24, parent_steps=2, steps=2, gallery=48)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Experiment:
    made = Experiment(tmp_path_factory.mktemp("ablation"), TINY, seeds=(1, 2), arms=ARMS)
    made.run()
    return made
