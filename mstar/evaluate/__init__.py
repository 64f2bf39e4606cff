"""How good a checkpoint is: rankings, places, masks, and what else could rank as well.

`metrics` counts, `table` is the one form of every result; the others are an evaluation each. It
knows nothing of training, of experiments or of the command line.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    metrics="Estimate Paired average_precision average_precisions estimate "
    "mean_average_precision oracle_average_precision paired precision_at precision_recall "
    "random_scores scale_average_precisions",
    cases="Case Example example",
    table="Result",
    benchmark="groups rank_benchmark",
    spotters="spotting_scores",
    sandbox="evaluate_sandbox",
    grounding="coverage distinct_share ground mask_iou mass_inside outlined_scene pointing_game",
    masks="evaluate_masks",
    localisation="PARTS SHARES curves evaluate_localisation likeness order shuffled",
)
