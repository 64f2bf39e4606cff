"""What a number can depend on, for whatever reports one: versions, weights. Imports no torch."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

from mstar import __version__


def versions() -> dict[str, str]:
    """Name -> version of this package, Python, and what computes."""
    made = {"mstar": __version__, "python": platform.python_version()}
    return made | {name: version(name) for name in ("torch", "transformers", "numpy")}


def checkpoint_hash(folder: str | Path) -> str:
    """SHA-256 over configuration and weights, by which reports name a checkpoint."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()
