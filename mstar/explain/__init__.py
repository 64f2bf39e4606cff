"""What one recorded run says, and where in an image the evidence for a text is.

`looks` and `assignment` read a `Trace`, `contributions` takes a query apart, `attribution` follows
or disturbs the score, `regions` says where an answer stands, `traces` records many photographs.
It knows one image at a time: no gallery, no evaluation, no drawing.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    looks="LookSummary canvas cross_attention embedding_maps on_photograph query_token_count "
    "summarise_looks tile_count together",
    assignment="Evidence Pick assigned_words drawn_on examine_assignment explain_words "
    "weighted_maps",
    contributions="Contribution",
    readout="Readout",
    regions="Region region",
    traces="Traced trace_photographs",
    attribution="METHODS Attribution Scorer attribute",
)
