"""What happens if: one thing is changed, and the effect held against a control."""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    sweep="Change Row case_scores importance scores",
    salience="box elsewhere",
    patching="Site",
    semantics="TRAINING compare_semantics mosaics",
    ablation="",
)
