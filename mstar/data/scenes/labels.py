"""What a scene answers: its labels in the four query styles, and the truth for any query.

=========  ====================  =============================================================
style      a query               is answered by
=========  ====================  =============================================================
word       ``limit``             an image with that word
phrase     ``speed limit``       an image with these words one after the other on one line
combined   ``stop, speed limit`` an image with all parts (2 to 4), each on a line of its own
semantic   ``'stop' on a sign``  an image with a sign that has these words one after the other
=========  ====================  =============================================================
"""

import re
from dataclasses import dataclass

import numpy as np

from mstar.data.scenes.draw.things import THINGS
from mstar.errors import UserError
from mstar.texts import STYLES


@dataclass(frozen=True, eq=False)
class Region:
    """One drawn word: for evaluation only, never part of a training batch."""

    word: str  # lower case
    drawn: str  # as drawn: upper, lower, capitalised or mixed
    # float [points, 2] (x, y) px: the word's ink, clockwise from its top left; four corners, and
    # more where a line is bent
    polygon: np.ndarray
    line: int  # words with one number stand on one line, in reading order
    font: str
    size: float  # nominal font size in px: a capital is 0.7 of it
    contrast: float  # grey levels between the ink and the mean of its ground
    thing: str | None  # the thing the word is written on


def semantic(text: str, thing: str) -> str:
    """The semantic query for `text` on a thing: ``'dream big' on a shirt``."""
    return f"'{text}' on a {thing}"


def parse_semantic(query: str) -> tuple[str, str]:
    """The text and the thing of a semantic query; raises UserError on any other form."""
    found = re.fullmatch(r"'([a-z ]+)' on a (\w+)", query)
    if not found or found[2] not in THINGS:
        raise UserError(
            f"A semantic query reads \"'TEXT' on a THING\" with a thing of {', '.join(THINGS)}; "
            f"got {query!r}."
        )
    return found[1], found[2]


def lines(regions: tuple[Region, ...]) -> list[tuple[Region, ...]]:
    """The regions line by line, each line in reading order."""
    numbers = dict.fromkeys(region.line for region in regions)
    return [tuple(r for r in regions if r.line == number) for number in numbers]


def _run(line: tuple[Region, ...], text: str) -> tuple[Region, ...] | None:
    """The consecutive regions of a line that spell `text`, or None."""
    wanted = text.split()
    have = [region.word for region in line]
    for start in range(len(have) - len(wanted) + 1):
        if have[start : start + len(wanted)] == wanted:
            return line[start : start + len(wanted)]
    return None


def _separate(all_lines: list, parts: list[str]) -> tuple[Region, ...] | None:
    """Regions of all parts, each part on a line of its own, or None."""
    if not parts:
        return ()
    for i, line in enumerate(all_lines):
        found = _run(line, parts[0])
        if found:
            rest = _separate(all_lines[:i] + all_lines[i + 1 :], parts[1:])
            if rest is not None:
                return found + rest
    return None


def locate(regions: tuple[Region, ...], text: str, style: str) -> tuple[Region, ...] | None:
    """The regions that answer the query `text` of `style`, or None where nothing does."""
    if style == "word":
        return next(((region,) for region in regions if region.word == text), None)
    if style == "combined":
        return _separate(lines(regions), text.split(", "))
    if style == "semantic":
        text, thing = parse_semantic(text)
        regions = tuple(region for region in regions if region.thing == thing)
    elif style != "phrase":
        raise UserError(f"Unknown style {style!r}: expected one of {', '.join(STYLES)}.")
    return next((run for line in lines(regions) if (run := _run(line, text))), None)


def runs(words: tuple[str, ...], shortest: int) -> list[str]:
    """All texts of at least `shortest` consecutive words."""
    count = len(words)
    return [
        " ".join(words[start : start + length])
        for length in range(shortest, count + 1)
        for start in range(count - length + 1)
    ]


def label(
    rng: np.random.Generator, regions: tuple[Region, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Texts and their styles, two parallel tuples, in the order of `STYLES`.

    Words, phrases and semantic texts are complete; of the many combined texts of an image with
    two or more lines, one or two are drawn by lot.
    """
    labels = dict.fromkeys((region.word, "word") for region in regions)
    all_lines = [tuple(region.word for region in line) for line in lines(regions)]
    for words in all_lines:
        labels.update(dict.fromkeys((text, "phrase") for text in runs(words, 2)))
    if len(all_lines) >= 2:
        for _ in range(int(rng.integers(1, 3))):
            count = int(rng.integers(2, min(4, len(all_lines)) + 1))
            chosen = rng.permutation(len(all_lines))[:count]
            parts = [runs(all_lines[i], 1) for i in chosen]
            text = ", ".join(part[int(rng.integers(len(part)))] for part in parts)
            labels[(text, "combined")] = None
    for line in lines(regions):
        if line[0].thing:
            for text in runs(tuple(region.word for region in line), 1):
                labels[(semantic(text, line[0].thing), "semantic")] = None
    return tuple(text for text, _ in labels), tuple(style for _, style in labels)
