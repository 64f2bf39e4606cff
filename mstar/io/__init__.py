"""What comes from disk and goes into the model: images, texts as tensors, checkpoints.

`bench` puts a model and its processor together; everything above works with one. It knows nothing
of what is explained, searched, evaluated or trained.
"""

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
