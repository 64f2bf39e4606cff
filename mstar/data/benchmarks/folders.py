"""CSVTR: a folder for each query, with the images that answer it."""

import math
from pathlib import Path

from mstar.data.benchmarks.base import Benchmark, assemble
from mstar.data.benchmarks.places import data_set, pictures
from mstar.data.benchmarks.texts import Texts, can_be_asked, composed
from mstar.errors import UserError


def csvtr(folder: str | Path) -> Benchmark:
    """Chinese Street View Text Retrieval: `<query>/<image>`.

    Queries are the names of the folders. An image answers the query of its own folder alone,
    whatever else it shows.

    Raises:
        FileNotFoundError: there is no such folder, none in it, or no image in one of them.
        UserError: the name of a folder has no words.
    """
    folder = data_set(folder, "CSVTR: a folder of images for each query")
    # __MACOSX is what macOS packs along
    asked = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
    )
    if not asked:
        raise FileNotFoundError(f"there is no folder in {folder}, which should have one a query.")
    texts: dict[Path, Texts] = {}
    for query in asked:
        if not can_be_asked(query):
            raise UserError(f"the folder {query!r} of {folder} should be named by a query.")
        images = pictures(folder, query, f"the images that show {query}")
        texts |= {path: {composed(query): math.nan} for path in images.values()}
    return assemble("CSVTR", folder, texts, dict.fromkeys(map(composed, asked)))
