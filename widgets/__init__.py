"""Jupyter widgets and figures that show what `mstar` computed.

`figures` draws: from a trace to a picture that needs no kernel. The widgets here are such pictures
with traits.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    comparison="Compare",
    explorer="PveExplorer",
    inspector="AssignmentInspector MultiWordView",
    lab="MaskLab",
    look_through="LookThrough",
    monitor="TrainingMonitor",
    search="Search SearchExplorer",
)
