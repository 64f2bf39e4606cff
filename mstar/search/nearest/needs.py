"""What approximate search needs, seen before anything heavy is loaded."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mstar.errors import UserError
from mstar.files import check_regular
from mstar.search.store import GALLERY, SPACES, index_path


def check_installed() -> None:
    """Raises UserError if there is no FAISS; imports nothing."""
    if find_spec("faiss") is None:
        raise UserError(
            "approximate search needs FAISS, which is not installed: pip install "
            "'mstar-workbench[faiss]', or search without it."
        )


def check_there(gallery: str | Path, spaces: Sequence[str] | None = None) -> None:
    """Raises FileNotFoundError if a gallery has no index, or none of one of these spaces."""
    if spaces is None:
        spaces = [one for one in SPACES if os.path.lexists(index_path(gallery, one))][:1] or SPACES
    for space in spaces:
        path = index_path(gallery, space)
        if not os.path.lexists(path):
            raise FileNotFoundError(
                f"the gallery {gallery} has no index: make one with `mstar gallery build-index "
                f"{gallery}`, or search without it."
            )
        check_regular(path, GALLERY)
