"""The words of the sandbox: 5,750 English words, of which 560 never occur in training.

They come from the pinned wheel wonderwords (MIT licence): its nouns, adjectives and verbs of 3 to
8 letters, without the words of its own list of profanities and a few more that a classroom can
do without.
"""

import hashlib
import importlib.util
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np

from mstar.errors import UserError

WORDS = 5750
UNSEEN_WORDS = 560
LONGEST = 8  # letters
ENOUGH = 12  # words of a kind to draw from: more than an image can hold
SHA256 = "7af8bbc52c02c4c1feb8790e358b0448895bcfca48708c180a24003139d3cf95"
"""Of the 5,750 words, one a line in alphabetical order: another list would be another task."""

_LEFT_OUT = {
    "bosom", "breast", "drunk", "erection", "genocide", "killer", "lesbian", "lewd", "lust",
    "racism", "racist", "slave", "slavery", "terror", "thong", "thongs", "virginal",
}  # fmt: skip


def _rank(word: str) -> str:
    """A fixed shuffling key: the split must not depend on the alphabet nor on Python's hash()."""
    return hashlib.sha256(f"mstar sandbox {word}".encode()).hexdigest()


@cache
def _ranked() -> tuple[str, ...]:
    spec = importlib.util.find_spec("wonderwords")
    if spec is None:
        raise UserError("The sandbox needs the wheel wonderwords, which is not installed.")
    assets = Path(spec.origin).parent / "assets"
    # Taken apart into words, the profanities also cost some harmless ones. There are enough left.
    profane = set((assets / "profanitylist.txt").read_text(encoding="utf-8").lower().split())
    found = {
        word
        for kind in ("noun", "adjective", "verb")
        for word in (assets / f"{kind}list.txt").read_text(encoding="utf-8").splitlines()
        if re.fullmatch(f"[a-z]{{3,{LONGEST}}}", word)
    }
    ranked = tuple(sorted(found - profane - _LEFT_OUT, key=_rank)[:WORDS])
    listing = hashlib.sha256("\n".join(sorted(ranked)).encode()).hexdigest()
    if listing != SHA256:
        raise UserError(
            f"The word list has SHA-256 {listing}, expected {SHA256}: "
            "install the pinned version of wonderwords."
        )
    return ranked


@cache
def words(part: str) -> tuple[str, ...]:
    """The words of `part`, lower case and sorted: "train" (5,190) or "unseen" (560)."""
    if part not in ("train", "unseen"):
        raise UserError(f"Unknown part of the lexicon {part!r}: expected 'train' or 'unseen'.")
    ranked = _ranked()
    return tuple(sorted(ranked[:UNSEEN_WORDS] if part == "unseen" else ranked[UNSEEN_WORDS:]))


@cache
def unseen_words() -> frozenset[str]:
    """The unseen words as a set, to ask whether a word is one."""
    return frozenset(words("unseen"))


def look_alikes(among: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """All pairs of words that differ in a single letter (band, bend), each pair once, sorted."""
    by_pattern: dict[str, list[str]] = {}
    for word in among:
        for i in range(len(word)):
            by_pattern.setdefault(f"{word[:i]}?{word[i + 1 :]}", []).append(word)
    return tuple(sorted(pair for group in by_pattern.values() for pair in combinations(group, 2)))


@dataclass
class WordSource:
    """Where an image's words come from: each draw picks one of the parts, then a word of it.

    At least one part must have `ENOUGH` words.
    """

    parts: tuple[tuple[str, ...], ...]
    _short: dict[int, list[list[str]]] = field(default_factory=dict)
    _pairs: dict[int, list[list[tuple[str, str]]]] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, longest: int, taken: set[str]) -> str:
        """A word of at most `longest` letters that is not in `taken`, which then has it."""
        if longest not in self._short:
            self._short[longest] = self._up_to(longest)
        parts = self._short[longest]
        while True:
            part = parts[int(rng.integers(len(parts)))]
            word = part[int(rng.integers(len(part)))]
            if word not in taken:
                taken.add(word)
                return word

    def _up_to(self, longest: int) -> list[list[str]]:
        """The short words of each part; longer ones too where none of the parts has enough."""
        short = [[word for word in part if len(word) <= longest] for part in self.parts]
        enough = [part for part in short if len(part) >= ENOUGH]
        return enough or self._up_to(longest + 1)

    def draw_look_alikes(self, rng: np.random.Generator, longest: int) -> tuple[str, str]:
        """Two words of one part, of at most `longest` letters, that differ in a single letter."""
        if longest not in self._pairs:
            pairs = [
                [pair for pair in look_alikes(part) if len(pair[0]) <= longest]
                for part in self.parts
            ]
            self._pairs[longest] = [part for part in pairs if part]
        parts = self._pairs[longest]
        part = parts[int(rng.integers(len(parts)))]
        return part[int(rng.integers(len(part)))]
