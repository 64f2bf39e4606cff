"""Pairs of scenes that differ in one word alone, for experiments on what a word does."""

import copy
from dataclasses import dataclass, replace

from mstar.data.scenes.difficulty import BASE, EASY, FLAT, Difficulty
from mstar.data.scenes.draw.brief import Brief, Text
from mstar.data.scenes.draw.layout import Setting
from mstar.data.scenes.labels import Region
from mstar.data.scenes.lexicon import LONGEST
from mstar.data.scenes.scene import Scene, brief_for, lay_out, painted
from mstar.errors import UserError

_TRIES = 200  # words tried for a room


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scenes with the same places, fonts, colours and noise.

    Attributes:
        first, second: the scenes.
        word, other: what stands in the first, and what stands there in the second; of as many
            letters, and in no other place of either.
    """

    first: Scene
    second: Scene
    word: Region
    other: Region


def pair(seed: int, index: int, split: str = "test", difficulty: Difficulty = EASY) -> Pair:
    """Pair number `index` of the stream that `seed`, `split` and `difficulty` name.

    Raises UserError as `scene` does, and for STREET, which is not drawn flat.
    """
    brief = brief_for("pair", split, difficulty, seed, index)
    if difficulty.look != FLAT:
        raise UserError(
            f"There are no pairs of {difficulty.name.upper()}: they are drawn flat, "
            "so that nothing but a word differs."
        )
    while True:
        layout = lay_out(brief, (), BASE)
        single = [n for n, (one, _) in enumerate(layout.settings) if len(one.text.words) == 1]
        if not single:
            continue
        number = single[int(brief.rng.integers(len(single)))]
        setting, room = layout.settings[number]
        taken = {word for one, _ in layout.settings for word in one.text.words}
        changed = _changed(brief, setting, room[2:], taken)
        if changed is None:
            continue
        other = copy.copy(layout)
        other.rng = copy.deepcopy(layout.rng)  # the same random numbers once more
        other.settings = [*layout.settings]
        other.settings[number] = (changed, room)
        scenes = painted(layout), painted(other)
        regions = [next(r for r in one.regions if r.line == number) for one in scenes]
        return Pair(*scenes, *regions)


def _changed(
    brief: Brief, setting: Setting, room: tuple[int, int], taken: set[str]
) -> Setting | None:
    """The setting with another word that fits into its room, or None."""
    (word,), (drawn,) = setting.text.words, setting.drawn
    cased = next(case for case in (str.upper, str.lower, str.capitalize) if case(word) == drawn)
    for _ in range(_TRIES):
        other = brief.source.draw(brief.rng, LONGEST, set(taken))
        if len(other) != len(word):
            continue
        found = replace(setting, text=Text((other,), setting.text.thing), drawn=(cased(other),))
        width, height = found.room()
        if width <= room[0] and height <= room[1]:
            return found
    return None
