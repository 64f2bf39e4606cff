"""MSTAR for scene text retrieval: the model, and everything one can compute with it.

Names load on first use: `import mstar` itself brings in neither torch nor transformers.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULE_OF = {
    "MstarConfig": ".configuration",
    "MstarModel": ".modeling",
    "MstarProcessor": ".processing",
    "Trace": ".trace",
}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
