"""SVT and ICDAR 2003: one XML file with tagged rectangles.

    <image><imageName>img/18_99.jpg</imageName><taggedRectangles>
      <taggedRectangle x="10" y="20" width="90" height="40"><tag>CAFE</tag></taggedRectangle>
    </taggedRectangles></image>

Positions are in pixels.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mstar.data.benchmarks.areas import pixels, share
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


def svt(folder: str | Path) -> Benchmark:
    """Street View Text, test split: `test.xml`, and its images in `test_images/` or `img/`.

    The publishers' `img/` also has the images of the training split: the gallery is what the list
    names, in its order. Asked for is every tag, lower case without . # ! & $. Few words of each
    photograph are tagged (names of businesses nearby), so that some of what it shows counts as
    wrong.

    Raises:
        FileNotFoundError: `test.xml`, a folder of images or an image that is named is not there.
        ValueError: the XML is broken, or an image lies elsewhere.
    """
    folder = data_set(folder, "SVT: test.xml and test_images/ or img/")
    listing = file(folder, "test.xml", "SVT's list of words")
    images = next((name for name in ("test_images", "img") if has_folder(folder, name)), None)
    if images is None:
        raise FileNotFoundError(f"{folder} has neither test_images nor img, which hold the images.")
    tags = _tags(folder, listing, lambda name: f"{images}/{PurePosixPath(name).name}")
    texts = {
        path: largest((filtered, area) for tag, area in found if (filtered := text_filter(tag)))
        for path, found in tags.items()
    }
    asked = dict.fromkeys(t for shown in texts.values() for t in shown if can_be_asked(t))
    return assemble("SVT", folder, texts, asked)


def icdar2003(folder: str | Path, most: int = 100) -> Benchmark:
    """ICDAR 2003 Robust Reading: `words.xml` beside the folders it names.

    The released code has no loader for it. Asked for are the `most` most frequent words, by the
    rule of ICDAR 2015.

    Raises:
        FileNotFoundError: `words.xml` or an image that it names is not there.
        ValueError: the XML is broken, or names an image outside the folder.
    """
    folder = data_set(folder, "ICDAR 2003: words.xml and the folders that it names")
    listing = file(folder, "words.xml", "ICDAR 2003's list of words")
    texts: dict[Path, Texts] = {
        path: largest(pair for tag, area in found for pair in words(tag, area))
        for path, found in _tags(folder, listing, lambda name: name).items()
    }
    return assemble("ICDAR 2003", folder, texts, most_frequent(texts.values(), most))


def _tags(
    folder: Path, listing: Path, place: Callable[[str], str]
) -> dict[Path, list[tuple[str, float]]]:
    """(tag, share of the image) of every rectangle, image by image.

    Args:
        place: where in the folder the image of a name is.
    """
    try:
        entries = list(ElementTree.parse(listing).getroot().iter("image"))
    except (ElementTree.ParseError, LookupError, ValueError) as problem:  # or its encoding
        raise ValueError(f"{listing} is not XML: {problem}.") from None
    if not entries:
        raise ValueError(f"{listing} names no image.")
    tags: dict[Path, list[tuple[str, float]]] = {}
    for entry in entries:
        name = (entry.findtext("imageName") or "").strip()
        if not name:
            raise ValueError(f"{listing} has an image without its imageName.")
        path = file(folder, place(name), f"an image of {listing.name}")
        size, found = pixels(path), tags.setdefault(path, [])
        for rectangle in entry.iter("taggedRectangle"):
            tag = rectangle.findtext("tag") or ""
            try:
                area = float(rectangle.get("width")) * float(rectangle.get("height"))
            except (TypeError, ValueError):
                area = math.nan
            if not 0 <= area < math.inf:
                raise ValueError(
                    f"{listing}, image {name!r}: the rectangle of {tag!r} should have a width and "
                    f"a height in pixels; got {rectangle.attrib}."
                )
            found.append((tag, share(area, size)))
    return tags
