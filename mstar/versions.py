"""The versions on which a number can depend, for whatever reports one."""

import platform

import numpy as np
import torch
import transformers

from mstar import __version__


def versions() -> dict[str, str]:
    """Name -> version of this package, Python, and what computes."""
    return {
        "mstar": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
