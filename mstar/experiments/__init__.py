"""Change one thing, run again, and see what follows: sweeps, importance, patching, ablation.

`evaluate` asks how good a model is, this room what its answers depend on. It knows nothing of the
command line, of views or of reports.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    sweep="Change Row case_scores importance scores",
    salience="box elsewhere",
    patching="Site",
    presence="calibrate",
    semantics="TRAINING compare_semantics mosaics",
    ablation="",
)
