"""Another way to find images by their text, as a yardstick: spot all words, compare spellings.

The protocol is that of the paper's spotting baselines (formats.md, last part).
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

_OTHER = re.compile(r"[^a-z0-9]+")


class RapidOcr:
    """RapidOCR's detector and recogniser, as they come (`pip install rapidocr-onnxruntime`).

    Raises:
        ImportError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as problem:
            raise ImportError(
                "RapidOCR is not installed: pip install 'mstar[peers]', or leave this peer out."
            ) from problem
        self._spot = RapidOCR()

    def spot(self, image: NDArray[np.uint8]) -> list[str]:
        """The lines of text in an RGB image, uint8 [H, W, 3]."""
        found, _ = self._spot(image[:, :, ::-1])  # it takes OpenCV's order of colours
        return [text for _, text, _ in found or ()]


def spotting_scores(
    queries: Sequence[Sequence[str]], lines: Sequence[Sequence[str]], joined: bool = False
) -> NDArray[np.float32]:
    """How well each image's spotted text spells each query, [Q, B], from 0 to 1.

    A word scores 1 − edit distance / length of the longer, at its best spotted word; a query is
    the mean of its words. Both sides keep a-z and 0-9 alone.

    Args:
        queries: the words of each of Q queries.
        lines: the spotted lines of each of B images.
        joined: a word that stands within a line without its spaces counts as found; spotters glue
            neighbours together.
    """
    wanted = sorted({_plain(word) for words in queries for word in words})
    place = {word: i for i, word in enumerate(wanted)}
    best = np.zeros((len(wanted), len(lines)), dtype=np.float32)
    for image, spotted in enumerate(lines):
        words = [plain for line in spotted for part in line.split() if (plain := _plain(part))]
        if words:
            best[:, image] = cdist(wanted, words, scorer=Levenshtein.normalized_similarity).max(1)
        if joined:
            glued = [_plain(line) for line in spotted]
            best[[any(word in line for line in glued) for word in wanted], image] = 1
    return np.stack([best[[place[_plain(word)] for word in words]].mean(0) for words in queries])


def _plain(text: str) -> str:
    return _OTHER.sub("", text.lower())
