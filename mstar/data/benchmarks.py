"""Photographs with word queries, in the layouts of their publishers (formats.md).

Which words are asked follows the released code: lower case, without . # ! & $, longer than two
characters, those in most images first. It takes equally frequent words in the order of the
directory; here they are taken in alphabetical order, so that a list of queries is one list.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstar.queries import Query

_DROPPED = re.compile(r"[.#!&$]")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Images, queries, and which image answers which query: bool [queries, images]."""

    name: str
    images: tuple[Path, ...]
    queries: tuple[Query, ...]
    relevant: NDArray[np.bool_]


def icdar2003(folder: str | Path, most: int = 100) -> Benchmark:
    """ICDAR 2003 Robust Reading: `words.xml` beside the folders it names.

    Raises:
        FileNotFoundError: no `words.xml`, or an image that it names is not there.
        ValueError: the XML is broken, or names an image outside the folder.
    """
    folder = Path(folder).resolve()
    listing = _there(folder / "words.xml", "ICDAR 2003's list of words")
    try:
        entries = ElementTree.parse(listing).getroot().iter("image")
    except ElementTree.ParseError as problem:
        raise ValueError(f"{listing} is not XML: {problem}.") from None
    words = {}
    for entry in entries:
        path = (folder / (entry.findtext("imageName") or "")).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{listing} names an image outside its folder: {path}.")
        tags = (tag.text or "" for tag in entry.iter("tag"))
        words[_there(path, f"an image of {listing.name}")] = {w for t in tags for w in _words(t)}
    return _most_frequent("ICDAR 2003", words, most)


def icdar2015(folder: str | Path, most: int = 100) -> Benchmark:
    """ICDAR 2015 Incidental Scene Text: the test split, or the training split where that is all.

    Raises:
        FileNotFoundError: neither split is there, or an image has no list of words.
        ValueError: a line is not eight numbers and a text.
    """
    folder = Path(folder)
    places = (
        ("test", "ch4_test_images", "Challenge4_Test_Task1_GT"),
        ("training", "ch4_training_images", "ch4_training_localization_transcription_gt"),
    )
    found = [place for place in places if (folder / place[1]).is_dir()]
    if not found:
        raise FileNotFoundError(
            f"{folder} has neither {' nor '.join(images for _, images, _ in places)}, one of which "
            "should hold ICDAR 2015's images."
        )
    (split, images, truths), words = found[0], {}
    for path in sorted((folder / images).glob("*.jpg")):
        truth = _there(folder / truths / f"gt_{path.stem}.txt", f"the words of {path.name}")
        lines = truth.read_text(encoding="utf-8-sig").splitlines()
        words[path] = {
            word
            for number, line in enumerate(lines, 1)
            if line.strip()
            for word in _words(_transcription(line, truth, number))
        }
    return _most_frequent(f"ICDAR 2015 {split}", words, most)


def _transcription(line: str, file: Path, number: int) -> str:
    """What a line of ICDAR 2015 says is written; it may have commas of its own."""
    found = re.fullmatch(r"\s*(?:-?\d+\s*,\s*){8}(.*)", line)
    if found is None:
        raise ValueError(
            f"{file}, line {number}: eight numbers and a text were expected, with commas between; "
            f"got {line!r}."
        )
    return found[1]


def _words(text: str) -> list[str]:
    """The words of a transcription that may be asked for; `###` is none."""
    return [word for word in _DROPPED.sub("", text.lower()).split() if len(word) > 2]


def _most_frequent(name: str, words: Mapping[Path, set[str]], most: int) -> Benchmark:
    images = tuple(words)
    counts = Counter(word for found in words.values() for word in found)
    asked = sorted(counts, key=lambda word: (-counts[word], word))[:most]
    relevant = np.array([[word in words[path] for path in images] for word in asked], dtype=bool)
    return Benchmark(name, images, tuple(Query(word, "word") for word in asked), relevant)


def _there(path: Path, what: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}, which should be {what}.")
    return path
