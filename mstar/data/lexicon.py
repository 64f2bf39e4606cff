"""The words of the sandbox: 5,750 English words, of which 560 never occur in training.

They come from the pinned wheel wonderwords (MIT licence): its nouns, adjectives and verbs of 3 to
8 letters, without the words of its own list of profanities and a few more that a classroom can
do without.
"""

import hashlib
import importlib.util
import re
from functools import cache
from pathlib import Path

WORDS = 5750
UNSEEN_WORDS = 560
SHA256 = "05f74a7a3aaa5f76e869457904bf3456600c108ef71deaeec4607bdf23530d5e"
"""Of the 5,750 words, one a line in alphabetical order: another list would be another task."""

_LEFT_OUT = {
    "bosom", "breast", "drunk", "erection", "genocide", "killer", "lesbian", "lewd", "lust",
    "racism", "racist", "slave", "slavery", "terror", "thong", "virginal",
}  # fmt: skip


def _rank(word: str) -> str:
    """A fixed shuffling key: the split must not depend on the alphabet nor on Python's hash()."""
    return hashlib.sha256(f"mstar sandbox {word}".encode()).hexdigest()


@cache
def _ranked() -> tuple[str, ...]:
    spec = importlib.util.find_spec("wonderwords")
    if spec is None:
        raise ValueError("The sandbox needs the wheel wonderwords, which is not installed.")
    assets = Path(spec.origin).parent / "assets"
    # Taken apart into words, the profanities also cost some harmless ones. There are enough left.
    profane = set((assets / "profanitylist.txt").read_text(encoding="utf-8").lower().split())
    found = {
        word
        for kind in ("noun", "adjective", "verb")
        for word in (assets / f"{kind}list.txt").read_text(encoding="utf-8").splitlines()
        if re.fullmatch("[a-z]{3,8}", word)
    }
    ranked = tuple(sorted(found - profane - _LEFT_OUT, key=_rank)[:WORDS])
    listing = hashlib.sha256("\n".join(sorted(ranked)).encode()).hexdigest()
    if listing != SHA256:
        raise ValueError(
            f"The word list has SHA-256 {listing}, expected {SHA256}: "
            "install the pinned version of wonderwords."
        )
    return ranked


@cache
def words(part: str) -> tuple[str, ...]:
    """The words of `part`, lower case and sorted: "train" (5,190) or "unseen" (560)."""
    if part not in ("train", "unseen"):
        raise ValueError(f"Unknown part of the lexicon {part!r}: expected 'train' or 'unseen'.")
    ranked = _ranked()
    return tuple(sorted(ranked[:UNSEEN_WORDS] if part == "unseen" else ranked[UNSEEN_WORDS:]))


@cache
def look_alikes(part: str) -> tuple[tuple[str, str], ...]:
    """Pairs of words of one part that differ in a single letter, each pair once, sorted.

    Both words are of the same part, so that no unseen word slips into training as a look-alike.
    """
    by_pattern: dict[str, list[str]] = {}
    for word in words(part):
        for i in range(len(word)):
            by_pattern.setdefault(f"{word[:i]}?{word[i + 1 :]}", []).append(word)
    return tuple(
        sorted(
            (first, second)
            for group in by_pattern.values()
            for i, first in enumerate(group)
            for second in group[i + 1 :]
        )
    )
