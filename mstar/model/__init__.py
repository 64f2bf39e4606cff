"""MSTAR itself, as section 3 of the paper has it: φ, PVE, ψ, MIM and the losses.

In reading order: `configuration`, `vision`, `multimodal`, `recycling`, `assignment`, `matching`,
`losses`, `outputs`, `modeling`. It knows tensors and hook points: no file, no image, no text.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    configuration="SEMANTICS MstarConfig",
    vision="",
    multimodal="",
    recycling="salient_region",
    assignment="assign",
    matching="",
    modeling="MstarModel",
    losses="contrastive_loss soft_cross_entropy",
)
