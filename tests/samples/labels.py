"""What the scenes answer, from the scene table alone.

The styles are those of `mstar.data.scenes.labels`. Words, phrases and semantic texts are complete.
Of the
combined texts every scene proposes a few, and a text that one scene proposes is a label of every
scene that has it: so no image of the gallery is wrongly taken for a miss.
"""

import random
from collections.abc import Iterable

from mstar.data.scenes.labels import runs, semantic

from .plan import Scene, Thing

_SMALL_WORDS = {
    "and", "by", "each", "every", "for", "from", "no", "not", "of", "on", "only", "or", "the",
    "this", "to", "up", "with",
}  # fmt: skip

Lines = list[tuple[str, tuple[str, ...]]]  # the thing's name and the words, line by line


def called(thing: Thing) -> str:
    """How a query calls the thing."""
    return thing.called or thing.kind


def lines(scene: Scene) -> Lines:
    """The lines of a scene in the order of its table."""
    return [
        (called(thing), line.words)
        for thing in scene.things
        for spec in thing.prints
        for line in spec.lines
    ]


def _has(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))


def answers_combined(all_lines: Lines, parts: list[str]) -> bool:
    """Whether each part stands on a line of its own."""
    if not parts:
        return True
    wanted = tuple(parts[0].split())
    return any(
        _has(words, wanted) and answers_combined(all_lines[:at] + all_lines[at + 1 :], parts[1:])
        for at, (_, words) in enumerate(all_lines)
    )


def proposals(scene: Scene) -> list[str]:
    """A few combined texts of a scene: of 2, 3 and 4 lines, drawn by the scene's name."""
    chance = random.Random(scene.name)
    distinct = dict.fromkeys(words for _, words in lines(scene))
    # What somebody would ask for: at most two words, and no "of" or "the" among them.
    asked = [
        [text for text in runs(words, 1) if text.count(" ") < 2 and _telling(text)]
        for words in distinct
    ]
    asked = [texts for texts in asked if texts]
    texts = []
    for count in (2, 2, 3, 4):
        if count <= len(asked):
            parts = [chance.choice(texts) for texts in chance.sample(asked, count)]
            if len(set(parts)) == count:
                texts.append(", ".join(parts))
    return list(dict.fromkeys(texts))


def _telling(text: str) -> bool:
    """Whether each of the words says something by itself."""
    return all(len(word) > 1 and word not in _SMALL_WORDS for word in text.split())


def labels(scene: Scene, combined: Iterable[str]) -> tuple[list[str], list[str]]:
    """Texts and styles of a scene, two parallel lists; `combined` are all proposals."""
    all_lines = lines(scene)
    found = dict.fromkeys((word, "word") for _, words in all_lines for word in words)
    for _, words in all_lines:
        found.update(dict.fromkeys((text, "phrase") for text in runs(words, 2)))
    for text in combined:
        if answers_combined(all_lines, text.split(", ")):
            found[(text, "combined")] = None
    for thing, words in all_lines:
        for text in runs(words, 1):
            found[(semantic(text, thing), "semantic")] = None
    return [text for text, _ in found], [style for _, style in found]


def all_labels(scenes: Iterable[Scene]) -> dict[str, tuple[list[str], list[str]]]:
    """Texts and styles of every scene by its name."""
    scenes = list(scenes)
    combined = list(dict.fromkeys(text for scene in scenes for text in proposals(scene)))
    return {scene.name: labels(scene, combined) for scene in scenes}
