"""Jupyter widgets and figures that show what `mstar` computed.

`figures` draws: from a trace to a picture that needs no kernel. The widgets here are such pictures
with traits.
"""

from .comparison import Compare
from .explorer import PveExplorer
from .inspector import AssignmentInspector, MultiWordView
from .lab import MaskLab
from .monitor import TrainingMonitor
from .search import Search, SearchExplorer

__all__ = [
    "AssignmentInspector",
    "Compare",
    "MaskLab",
    "MultiWordView",
    "PveExplorer",
    "Search",
    "SearchExplorer",
    "TrainingMonitor",
]
