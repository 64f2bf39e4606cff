"""Training MSTAR, from nothing on a CPU or the paper's way on several GPUs, with one loop.

The parts, in reading order: `recipes` (stages as data) and `paper` (the paper's own), `start`
(random weights, or SigLIP's and BLIP-2's), `batching` (texts and negatives), `reading` (the warm-up
of φ), `objectives` (losses), `loop` (what runs them); `cost` counts what a step takes without
taking it. Training sees images and texts, no position, and knows nothing of experiments, of the
command line or of views.
"""

from mstar.training.loop.state import TrainingStopped, training_record
from mstar.training.loop.trainer import Trainer
from mstar.training.paper import paper_multiquery, paper_word
from mstar.training.recipes import Recipe, Stage, continued, mixed, photographs, sandbox
from mstar.training.start import fresh, grown, warm_start

__all__ = [
    "Recipe",
    "Stage",
    "Trainer",
    "TrainingStopped",
    "continued",
    "fresh",
    "grown",
    "mixed",
    "paper_multiquery",
    "paper_word",
    "photographs",
    "sandbox",
    "training_record",
    "warm_start",
]
