"""What training reads: lists of annotated photographs, rendered scenes, and mixtures of both.

`stream` makes one endless row of items of them. Nothing here knows a model or how it is trained.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    annotations="Annotations",
    photographs="Annotated Crops Lists Photographs",
    stream="Mixed Rendered",
)
