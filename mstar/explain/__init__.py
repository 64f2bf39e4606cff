"""What a recorded run says of an image: its looks, which embedding answers, where the evidence is.

In reading order: `looks`, `assignment`, `contributions` (word by word), `attribution`.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    looks="LookSummary canvas cross_attention embedding_maps on_photograph query_count "
    "summarise_looks tile_count together",
    assignment="Evidence Pick assigned_words drawn_on examine_assignment explain_words "
    "weighted_maps",
    contributions="Contribution",
    attribution="METHODS Attribution Scorer attribute",
)
