"""Training MSTAR, from nothing on a CPU or the paper's way on several GPUs, with one loop.

The parts, in reading order: `recipes` (stages as data) `paper` (the paper's own) and
`tuning` (a checkpoint in minutes on one's own photographs), `start`
(random weights, or SigLIP's and BLIP-2's), `batching` (texts and negatives), `reading` (the warm-up
of φ), `objectives` (losses), `loop` (what runs them); `cost` counts what a step takes without
taking it. Training sees images and texts, no position, and knows nothing of experiments, of the
command line or of views.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    recipes="Recipe Stage continued learning_rate mixed photographs sandbox within",
    paper="paper_multiquery paper_word",
    tuning="tuned",
    start="check_texts fresh grown warm_start",
    batching="make_batch normalise similar",
    cost="",
    loop="",
    **{
        "loop.state": "CURVE TrainingStopped training_record",
        "loop.trainer": "Trainer",
    },
)
