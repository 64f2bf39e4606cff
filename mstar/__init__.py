"""MSTAR for scene text retrieval: a model, and a workbench to look inside it.

>>> from mstar import load
>>> bench = load()
>>> bench.scores("shop.jpg", ["exit", "phrase:way out"])

Names load on first use: `import mstar` itself brings in neither torch nor transformers.
"""

from importlib import import_module

__version__ = "0.1.0"

#: What `mstar` offers -> the module that has it.
_PLACES = {
    "load": "workbench",
    "Workbench": "workbench",
    "Query": "queries",
    "queries": "queries",
    "open_image": "images",
    "samples": "embedded",
    "Trace": "trace",
    "Gallery": "retrieval",
    "index": "index",
    "MstarConfig": "configuration",
    "MstarModel": "modeling",
    "MstarProcessor": "processing",
    "HookError": "hooks",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
