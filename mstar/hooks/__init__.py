"""Hook points: where one may look and change, the record of a run, ready-made interventions."""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    points="POINTS HookError point_names select",
    run="",
    trace="Trace",
    record="NEEDED",
    interventions="ablate_heads ablate_queries cover empty_mask force_mask freeze_masks patch "
    "random_masks skip_layer",
)
