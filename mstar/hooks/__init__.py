"""Hook points: named places of the forward pass that can be heard, recorded and changed.

`points` is the table, `run` who listens, `record` and `trace` what is kept, `interventions` what
can be changed. The room knows no model: whatever has points can be heard.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    points="POINTS HookError point_names select",
    run="",
    trace="Trace",
    record="NEEDED",
    interventions="ablate_heads ablate_query_tokens cover empty_mask force_mask freeze_masks patch "
    "random_masks skip_layer",
)
