"""What goes in and out: images, the processor, checkpoints, and a model with both (`bench`)."""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    images="open_image",
    processing="MstarProcessor",
    checkpoints="load_checkpoint",
    embedded="",
    released="",
    bench="Bench computed_as evaluating",
)
