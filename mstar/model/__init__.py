"""The network: φ, ψ, recycling and matching, with the configuration and the losses."""

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
