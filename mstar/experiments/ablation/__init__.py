"""Does attention recycling work? An experiment on frozen features, with its controls.

The parts, in reading order: `features` (φ's tokens, computed once), `arms` (what is compared),
`experiment` (parents, runs, a table that resumes), `findings` (differences with intervals).
"""

from mstar.experiments.ablation.arms import ARMS, CONTROL, DOUBLED, Arm
from mstar.experiments.ablation.experiment import Experiment, Settings
from mstar.experiments.ablation.findings import Difference, Findings

__all__ = ["ARMS", "CONTROL", "DOUBLED", "Arm", "Difference", "Experiment", "Findings", "Settings"]
