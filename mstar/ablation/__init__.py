"""Does attention recycling work? An experiment on frozen features, with its controls.

The parts, in reading order: `features` (φ's tokens, computed once), `arms` (what is compared),
`experiment` (parents, runs, a table that resumes), `findings` (differences with intervals).
"""

from .arms import ARMS, CONTROL, DOUBLED, Arm
from .experiment import Experiment, Settings
from .findings import Difference, Findings

__all__ = ["ARMS", "CONTROL", "DOUBLED", "Arm", "Difference", "Experiment", "Findings", "Settings"]
