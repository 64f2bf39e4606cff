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


def check_database(url: str) -> None:
    """Raises UserError if there is no client of Qdrant, or that is no address of a server."""
    if not url.startswith(("http://", "https://")):
        raise UserError(f"a vector database is at http://… or https://…; got {url!r}.")
    if find_spec("qdrant_client") is None:
        raise UserError(
            "a vector database needs Qdrant's client, which is not installed: pip install "
            "'mstar-workbench[qdrant]', or search without it."
        )


def check_needs(gallery: str | Path, url: str | None = None) -> None:
    """See that a gallery can be searched by its index, or by a database where a url is given."""
    if url is None:
        check_installed()
        check_there(gallery)
    else:
        check_database(url)
