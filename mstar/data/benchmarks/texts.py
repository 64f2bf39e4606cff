"""What a photograph shows, and which of it may be asked for."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from mstar.texts import clean_caption

_DROPPED = re.compile(r"[.#!&$]")

Texts = dict[str, float]
"""The texts of one photograph, each with the share of it that the text covers, 0 to 1; NaN if the
set has no positions."""


def text_filter(text: str) -> str:
    """Lower case, without . # ! & $ and without a pair of ' around it, as the released code."""
    if text.startswith("'") and text.endswith("'"):
        text = text[1:-1]
    return _DROPPED.sub("", text.lower())


def can_be_asked(text: str) -> bool:
    """Whether anything is left of it as a query; of `###` or `(…)` nothing but signs would be."""
    return bool(clean_caption(text))


def words(text: str, share: float) -> Iterator[tuple[str, float]]:
    """The words of a transcription that may be asked for, each with its share of the image.

    They are longer than two characters. Where several words have one outline, each gets as much of
    its area as of its characters: an estimate, for letters differ in width and lines in spaces.
    """
    found = text_filter(text).split()
    letters = sum(map(len, found))
    for word in found:
        if len(word) > 2 and can_be_asked(word):
            yield word, share * len(word) / letters


def largest(found: Iterable[tuple[str, float]]) -> Texts:
    """Each text once, with the share of its largest instance."""
    shown: Texts = {}
    for text, share in found:
        shown[text] = max(share, shown.get(text, 0.0))
    return shown


def most_frequent(texts: Iterable[Texts], most: int) -> list[str]:
    """The texts that most photographs show; where they are as many, in alphabetical order."""
    counts = Counter(text for shown in texts for text in shown)
    return sorted(counts, key=lambda text: (-counts[text], text))[:most]
