"""MSTAR for scene text retrieval: a model, and a workbench to look inside it.

>>> from mstar import load
>>> bench = load()
>>> bench.scores("shop.jpg", ["exit", "phrase:way out"])

Names load on first use: `import mstar` itself brings in neither torch nor transformers.
"""

from mstar.lazily import offered

__version__ = "0.1.0"

_ROOMS = "hooks model io data explain search evaluate experiments training"

__getattr__, __dir__, __all__ = offered(
    __name__,
    **dict.fromkeys(_ROOMS.split(), ""),
    **{
        "workbench": "load Workbench",
        "texts": "Query queries=as_queries",
        "io.images": "open_image",
        "io.embedded": "samples",
        "io.processing": "MstarProcessor",
        "hooks.trace": "Trace",
        "hooks.points": "HookError",
        "search.gallery": "Gallery",
        "search.index": "index=index_folder",
        "model.configuration": "MstarConfig",
        "model.modeling": "MstarModel",
    },
)
