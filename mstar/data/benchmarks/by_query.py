"""IIIT-STR, PSTR, MQTR and CSVTR: for every query the images that answer it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mstar.data.benchmarks.base import Benchmark, assemble
from mstar.data.benchmarks.matlab import read_entries
from mstar.data.benchmarks.pickled import read_lists
from mstar.data.benchmarks.places import data_set, file, pictures
from mstar.data.benchmarks.texts import Texts, can_be_asked, text_filter
from mstar.errors import UserError
from mstar.files import read_json
from mstar.texts import STYLES, composed


def iiit_str(folder: str | Path) -> Benchmark:
    """IIIT Scene Text Retrieval: the images of `imgDatabase/`, and `data.mat`.

    `data.mat` has a struct array `data` with two fields: the query, and a cell array of the names
    of its images. Queries are lower case, without . # ! & $. As in the released code, of two that
    become the same the later one's images count.
    """
    folder = data_set(folder, "IIIT-STR: imgDatabase and data.mat")
    listing = file(folder, "data.mat", "IIIT-STR's queries with their images")
    listed = {text_filter(composed(query)): names for query, names in _matlab(listing)}
    images = pictures(folder, "imgDatabase", "IIIT-STR's images")
    return _listed("IIIT-STR", folder, images, listed, listing, "word")


def pstr(folder: str | Path) -> Benchmark:
    """Phrase-level Scene Text Retrieval: the images of `images/`, and `query_image_dict.npy`.

    The file is the pickle of a dict from a phrase to the names of its images; it is read without
    running anything that it asks for. Queries are as they stand there.
    """
    folder = data_set(folder, "PSTR: images and query_image_dict.npy")
    listing = file(folder, "query_image_dict.npy", "PSTR's queries with their images")
    images = pictures(folder, "images", "PSTR's images")
    return _listed(
        "PSTR", folder, images, _composed(read_lists(listing), listing), listing, "phrase"
    )


def mqtr(folder: str | Path, style: str) -> Benchmark:
    """Multi-Query Text Retrieval: one of its four subsets, each a gallery of its own.

        word/images/0007.jpg        or any other image that `mstar index` takes
        word/text_queries.json      {"bread": ["0007.jpg", "0112.png"]}

    Queries are as they stand there.

    Args:
        style: of the subset: `word`, `phrase`, `combined` or `semantic`.
    """
    if style not in STYLES:
        raise UserError(f"unknown style {style!r}: expected one of {', '.join(STYLES)}.")
    folder = data_set(folder, "MQTR: word, phrase, combined and semantic")
    listing = file(folder, f"{style}/text_queries.json", "MQTR's queries with their images")
    images = pictures(folder, f"{style}/images", "MQTR's images")
    listed = _composed(_json(listing), listing)
    return _listed(f"MQTR {style}", folder, images, listed, listing, style)


def csvtr(folder: str | Path) -> Benchmark:
    """Chinese Street View Text Retrieval: `<query>/<image>`.

    Queries are the names of the folders. An image answers the query of its own folder alone,
    whatever else it shows.
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


def _composed(listed: Mapping[str, Sequence[str]], listing: Path) -> dict[str, Sequence[str]]:
    """The lists by queries in NFC; UserError if two queries are the same then."""
    found: dict[str, Sequence[str]] = {}
    for query, names in listed.items():
        if composed(query) in found:
            raise UserError(
                f"{listing}: {query!r} stands twice, with its accents written in two ways: give "
                "all its images in one list."
            )
        found[composed(query)] = names
    return found


def _listed(
    name: str,
    folder: Path,
    images: Mapping[str, Path],
    listed: Mapping[str, Sequence[str]],
    listing: Path,
    style: str,
) -> Benchmark:
    """A gallery of all images, with the names of those that answer each query.

    A name only ever picks one of `images`, so that none can lead anywhere else.
    """
    texts: dict[Path, Texts] = {path: {} for path in images.values()}
    missing: list[str] = []
    alike = {composed(name): path for name, path in images.items()} | images
    for query, names in listed.items():
        if not can_be_asked(query):
            raise UserError(f"{listing}: the query {query!r} has no words.")
        if not names:
            raise UserError(f"{listing}: the query {query!r} lists no image.")
        for found in names:
            if path := alike.get(found) or alike.get(composed(found)):
                texts[path][query] = math.nan
            else:
                missing.append(found)
    if missing:
        wanted = {found for names in listed.values() for found in names}
        raise FileNotFoundError(
            f"{len(set(missing))} of the {len(wanted)} images that {listing} lists are not in "
            f"{next(iter(images.values())).parent}, {missing[0]!r} the first: unpack the whole "
            f"set, and if it really lacks them, drop them from {listing.name}."
        )
    return assemble(name, folder, texts, listed, style)


def _json(listing: Path) -> dict[str, list[str]]:
    """The lists of a JSON file; UserError unless it has one list of names for every query."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """JSON lets the last of equal names win, and what the others list would count as wrong."""
        found = dict(pairs)
        for query in found if len(found) < len(pairs) else ():
            if sum(query == name for name, _ in pairs) > 1:
                raise UserError(f"{query!r} stands twice: give all its images in one list")
        return found

    found = read_json(listing, object_pairs_hook=once)
    for query, names in found.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{listing}: the query {query!r} should have a list of file names.")
    return found


def _matlab(listing: Path) -> list[tuple[str, list[str]]]:
    """(query, names of its images) of a MATLAB file; UserError if it is none of that layout."""
    entries = read_entries(listing, "data")
    try:
        found = [(_strings(query), _strings(names)) for query, names, *_ in entries]
    except (TypeError, ValueError) as problem:
        raise UserError(
            f"{listing}: every entry of `data` should be a query and a cell array of file names; "
            f"{problem}."
        ) from None
    for number, (query, _) in enumerate(found, 1):
        if len(query) != 1:
            raise UserError(f"{listing}: entry {number} of `data` should have one query: {query}.")
    return [(query[0], names) for query, names in found]


def _strings(value: Any) -> list[str]:
    """The strings in nested cell arrays."""
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    if isinstance(value, str):
        return [value]
    raise TypeError("a text was expected, got numbers")
