"""What is written in a scene: boards with lines of words, numbers, prices and hours."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from mstar.data.scenes import lexicon
from mstar.data.scenes.draw import things
from mstar.data.scenes.draw.brief import CASES, Brief, Text
from mstar.data.scenes.lexicon import WordSource

_NUMBER_SHARE = 0.16  # of the lines: no words but a number, a price, hours, a telephone number
_LINES = ((1, 2, 3, 4, 5), (0.5, 0.24, 0.14, 0.08, 0.04))
_WORDS = ((1, 2, 3), (0.68, 0.24, 0.08))


@dataclass(frozen=True)
class Board:
    """Lines that stand below each other on one thing, one plate or one wall.

    Attributes:
        lines: one `Text` each; none on a bare thing.
        thing: of `things.THINGS`, or None.
        required: whether a scene without it is of no use.
    """

    lines: tuple[tuple[str, ...], ...]
    thing: str | None = None
    required: bool = False


def plan(brief: Brief, required: tuple[Text, ...], words: int) -> list[Board]:
    """Boards with `words` different words in all, the required texts first, each on its own."""
    rng, source = brief.rng, brief.source
    boards = [
        Board((text.words,) if text.words else (), text.thing, required=True) for text in required
    ]
    taken = {word for text in required for word in text.words}
    left = words - len(taken)
    if not any(text.thing for text in required) and rng.random() < brief.difficulty.thing_share:
        thing = things.THINGS[int(rng.integers(len(things.THINGS)))]
        on_it: tuple[tuple[str, ...], ...] = ()
        if left >= 1 and rng.random() < things.TEXT_SHARE:
            on_it = ((source.draw(rng, things.LETTERS[thing], taken),),)
            left -= 1
        boards.append(Board(on_it, thing))
    while left > 0:
        lines = []
        for _ in range(int(rng.choice(*_LINES[:1], p=_LINES[1]))):
            if left > 0:
                lines.append(_line(rng, source, left, taken))
                left -= len(lines[-1])
        boards.append(Board(tuple(lines)))
    return boards


def _line(
    rng: np.random.Generator, source: WordSource, most: int, taken: set[str]
) -> tuple[str, ...]:
    """One to three words that are not in `taken`, which then has them."""
    if rng.random() < _NUMBER_SHARE:
        while True:
            line = _numbers(rng, most)
            if taken.isdisjoint(line) and len(set(line)) == len(line):
                taken.update(line)
                return line
    count = min(most, int(rng.choice(_WORDS[0], p=_WORDS[1])))
    # house number and street, shop and year: a number may close a line of words
    numbered = count > 1 and rng.random() < 0.25
    words = [source.draw(rng, lexicon.LONGEST, taken) for _ in range(count - numbered)]
    while numbered:
        number = str(int(rng.integers(1, 400)))
        if number not in taken:
            taken.add(number)
            words.insert(0 if rng.random() < 0.5 else len(words), number)
            break
    return tuple(words)


def _numbers(rng: np.random.Generator, most: int) -> tuple[str, ...]:
    """A price, a house number, hours, a number, or a telephone number of at most `most` parts."""
    kind = rng.random()
    if kind < 0.35:
        sign = "£€$"[int(rng.integers(3))]
        pounds = int(rng.integers(1, 100))
        pence = (0, 49, 50, 95, 99)[int(rng.integers(5))]
        return (f"{sign}{pounds}" if rng.random() < 0.35 else f"{sign}{pounds}.{pence:02}",)
    if kind < 0.55:
        letter = "abc"[int(rng.integers(3))] if rng.random() < 0.2 else ""
        return (f"{int(rng.integers(1, 300))}{letter}",)
    if kind < 0.72:
        opens, closes = int(rng.integers(6, 12)), int(rng.integers(13, 24))
        minutes = ("00", "30")[int(rng.integers(2))]
        return (f"{opens}:{minutes}", f"{closes}:{minutes}")[: max(1, min(most, 2))]
    if kind < 0.86:
        return (str(int(rng.integers(10, 10000))),)
    code, first, last = int(rng.integers(20, 200)), *rng.integers(1000, 10000, 2).tolist()
    return (f"0{code}", f"{first}", f"{last}") if most >= 3 else (f"{code}-{first}",)


def cased(rng: np.random.Generator, lines: tuple[tuple[str, ...], ...], cases: tuple[str, ...]):
    """The lines as they are drawn: all in one case, or `mixed`: line by line, or BreadTalk."""
    # signs are mostly in capitals: the first case is as common as all the others together
    shares = np.array([max(1, len(cases) - 1), *[1] * (len(cases) - 1)])
    case = cases[int(rng.choice(len(cases), p=shares / shares.sum()))]
    if case != "mixed":
        return tuple(tuple(CASES[case](word) for word in line) for line in lines)
    drawn = []
    for line in lines:
        change = partial(_humped, rng)
        if rng.random() >= 0.4:
            change = CASES[("upper", "capitalised", "lower")[int(rng.integers(3))]]
        drawn.append(tuple(map(change, line)))
    return tuple(drawn)


def _humped(rng: np.random.Generator, word: str) -> str:
    """A word with a capital at its start and one inside: breadtalk -> BreadTalk."""
    if len(word) < 5:
        return word.capitalize()
    at = int(rng.integers(2, len(word) - 1))
    return word[:at].capitalize() + word[at:].capitalize()
