"""SVT and ICDAR 2003: one XML file with tagged rectangles.

    <image><imageName>img/18_99.jpg</imageName><taggedRectangles>
      <taggedRectangle x="10" y="20" width="90" height="40"><tag>CAFE</tag></taggedRectangle>
    </taggedRectangles></image>

Positions are in the pixels of the file, whatever its EXIF data says.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstar.data.areas import corners, share
from mstar.data.benchmarks.base import Benchmark, assemble
from mstar.data.benchmarks.places import data_set, file, has_folder
from mstar.data.benchmarks.texts import (
    Texts,
    can_be_asked,
    largest,
    most_frequent,
    text_filter,
    words,
)
from mstar.errors import UserError
from mstar.io.decoding import UnreadableImage
from mstar.io.images import frame_of
from mstar.texts import composed


def svt(folder: str | Path) -> Benchmark:
    """Street View Text, test split: `test.xml`, and its images in `test_images/` or `img/`.

    The publishers' `img/` also has the images of the training split: the gallery is what the list
    names, in its order. Asked for is every tag, lower case without . # ! & $. Few words of each
    photograph are tagged (names of businesses nearby), so that some of what it shows counts as
    wrong.
    """
    folder = data_set(folder, "SVT: test.xml and test_images/ or img/")
    listing = file(folder, "test.xml", "SVT's list of words")
    images = next((name for name in ("test_images", "img") if has_folder(folder, name)), None)
    if images is None:
        raise FileNotFoundError(f"{folder} has neither test_images nor img, which hold the images.")
    tags, left_out = _tags(folder, listing, lambda name: f"{images}/{PurePosixPath(name).name}")
    texts = {
        path: largest((filtered, one.area) for one in found if (filtered := text_filter(one.tag)))
        for path, found in tags.items()
    }
    asked = dict.fromkeys(t for shown in texts.values() for t in shown if can_be_asked(t))
    return assemble("SVT", folder, texts, asked, left_out=left_out)


def icdar2003(folder: str | Path, most: int = 100) -> Benchmark:
    """ICDAR 2003 Robust Reading: `words.xml` beside the folders it names.

    The released code has no loader for it. Asked for are the `most` most frequent words, by the
    rule of ICDAR 2015.
    """
    folder = data_set(folder, "ICDAR 2003: words.xml and the folders that it names")
    listing = file(folder, "words.xml", "ICDAR 2003's list of words")
    tags, left_out = _tags(folder, listing, lambda name: name)
    texts: dict[Path, Texts] = {
        path: largest(pair for one in found for pair in words(one.tag, one.area))
        for path, found in tags.items()
    }
    outlines = ([(one.polygon, one.tag) for one in found] for found in tags.values())
    asked = most_frequent(texts.values(), most)
    return assemble("ICDAR 2003", folder, texts, asked, outlines=outlines, left_out=left_out)


class _Tagged(NamedTuple):
    tag: str
    area: float  # share of the image
    polygon: NDArray[np.float64]  # [4, 2] of (x, y) in px of the image as it is opened


def _tags(
    folder: Path, listing: Path, place: Callable[[str], str]
) -> tuple[dict[Path, list[_Tagged]], dict[Path, str]]:
    """Every rectangle, image by image; and why images cannot be read.

    Args:
        place: where in the folder the image of a name is.
    """
    try:
        entries = list(ElementTree.parse(listing).getroot().iter("image"))
    except (ElementTree.ParseError, LookupError, ValueError) as problem:  # or its encoding
        raise UserError(f"{listing} is not XML: {problem}.") from None
    if not entries:
        raise UserError(f"{listing} names no image.")
    tags: dict[Path, list[_Tagged]] = {}
    left_out: dict[Path, str] = {}
    for entry in entries:
        name = (entry.findtext("imageName") or "").strip()
        if not name:
            raise UserError(f"{listing} has an image without its imageName.")
        path = file(folder, place(name), f"an image of {listing.name}")
        try:
            frame = frame_of(path)
        except UnreadableImage as problem:
            left_out[path] = str(problem)
            continue
        size, found = frame.width * frame.height, tags.setdefault(path, [])
        for rectangle in entry.iter("taggedRectangle"):
            tag = composed(rectangle.findtext("tag") or "")
            try:
                x, y, w, h = (float(rectangle.get(key)) for key in ("x", "y", "width", "height"))
            except (TypeError, ValueError):
                x = y = w = h = math.nan
            if not (math.isfinite(x + y) and 0 <= w * h < math.inf):
                raise UserError(
                    f"{listing}, image {name!r}: the rectangle of {tag!r} should have x, y, width "
                    f"and height in pixels; got {rectangle.attrib}."
                )
            polygon = frame.placed(corners(x, y, x + w, y + h))
            found.append(_Tagged(tag, share(w * h, size), polygon))
    return tags, left_out
