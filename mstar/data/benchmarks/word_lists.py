"""COCO-Text Retrieval (CTR): for every image a list of words, and a list of queries."""

import math
import re
from itertools import islice
from pathlib import Path

from mstar.data.benchmarks.base import Benchmark, assemble
from mstar.data.benchmarks.places import data_set, file, lines, pairs

_MOST_IMAGES = 10_000


def ctr(folder: str | Path) -> Benchmark:
    """COCO-Text Retrieval: a word or a query a line, no positions.

        images/COCO_train2014_000000000099.jpg
        gts/COCO_train2014_000000000099.txt         stop
        queries.txt                                 stop

    Words and queries are lower case, with letters, digits, spaces and apostrophes alone. As in the
    released code a query that no image shows is not asked, and the gallery ends after 10,000
    images in alphabetical order.

    Raises:
        FileNotFoundError: a folder or `queries.txt` is not there, an image has no words, or words
            have no image.
        UserError: a file is not UTF-8, or no image shows any of the queries.
    """
    folder = data_set(folder, "CTR: images, gts and queries.txt")
    listing = file(folder, "queries.txt", "CTR's list of queries")
    files = islice(pairs(folder, "images", "gts", "*.txt").items(), _MOST_IMAGES)
    texts = {image: dict.fromkeys(_texts(words), math.nan) for image, words in files}
    shown = {text for found in texts.values() for text in found}
    asked = [query for query in dict.fromkeys(_texts(listing)) if query in shown]
    return assemble("CTR", folder, texts, asked)


def _texts(path: Path) -> list[str]:
    """The lines of a file as they are compared, without those of which nothing is left."""
    kept = (re.sub(r"[^a-z0-9 ']", "", line.lower()) for _, line in lines(path))
    return [text for words in kept if (text := re.sub(" +", " ", words).strip())]
