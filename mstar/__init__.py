"""MSTAR for scene text retrieval: a model, and a workbench to look inside it.

>>> from mstar import load
>>> bench = load()
>>> bench.scores("shop.jpg", ["exit", "phrase:way out"])

Names load on first use: `import mstar` itself brings in neither torch nor transformers.
"""

from importlib import import_module

__version__ = "0.1.0"

#: What `mstar` offers -> where it is.
_PLACES = {
    "load": "workbench.load",
    "Workbench": "workbench.Workbench",
    "Query": "texts.Query",
    "queries": "texts.as_queries",
    "open_image": "io.images.open_image",
    "samples": "io.embedded.samples",
    "Trace": "hooks.trace.Trace",
    "Gallery": "search.gallery.Gallery",
    "index": "search.index.index_folder",
    "MstarConfig": "model.configuration.MstarConfig",
    "MstarModel": "model.modeling.MstarModel",
    "MstarProcessor": "io.processing.MstarProcessor",
    "HookError": "hooks.points.HookError",
}
_ROOMS = (
    "hooks", "model", "io", "data", "explain", "search", "evaluate", "experiments", "training",
)  # fmt: skip

__all__ = ["__version__", *_PLACES, *_ROOMS]


def __getattr__(name: str):
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, _, own = _PLACES[name].rpartition(".")
    value = getattr(import_module(f"{__name__}.{place}"), own)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
