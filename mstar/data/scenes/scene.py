"""Scenes and strips: pure functions from a seed and an index to an image with its labels.

A scene is planned (which texts, which of them on a line together or on a thing), laid out and
painted (`layout`), and labelled (`labels`). A strip is one word alone.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mstar.data.scenes import labels, lexicon, street
from mstar.data.scenes.difficulty import BASE, DIFFICULTIES, EASY, FLAT, SPLITS, Difficulty
from mstar.data.scenes.draw import things
from mstar.data.scenes.draw.brief import Brief, Text
from mstar.data.scenes.draw.layout import Layout
from mstar.data.scenes.labels import Region
from mstar.data.scenes.lexicon import WordSource
from mstar.errors import UserError

BLOCK = 4
"""Consecutive images that may share a topic."""

TOPIC_SHARE = 0.2
"""Of the blocks, those that do, unless it is said otherwise."""

STRIP = (32, BASE)
"""Height and width in px of the smallest strip."""

_VERSION = 1  # part of every seed; raise it when the drawing changes
_STREAMS = {"train": 0, "test": 1, "gallery": 2}
_LINE_SHARE = 0.35  # of the scenes with two or more words left
_LINE_LETTERS = {2: 7, 3: 4, 4: 3}  # words on a line -> longest word: a line must fit


@dataclass(frozen=True, eq=False)
class Scene:
    """An image, its labels, and (for evaluation only) where everything is."""

    image: np.ndarray  # uint8 [size, size, 3]
    texts: tuple[str, ...]
    styles: tuple[str, ...]  # of each text
    regions: tuple[Region, ...]
    things: tuple[str, ...]  # all things, with and without a text


@dataclass(frozen=True, eq=False)
class Strip:
    """One word drawn alone, never cut from a scene."""

    image: np.ndarray  # uint8 [height, width, 3]
    word: str  # the transcription, lower case


def locate(scene: Scene, text: str, style: str) -> tuple[Region, ...] | None:
    """The regions of a scene that answer a query, or None; see `mstar.data.scenes.labels`."""
    return labels.locate(scene.regions, text, style)


def matches(scene: Scene, text: str, style: str) -> bool:
    """Whether a scene answers a query: the truth for any scene and any query, labelled or not."""
    return locate(scene, text, style) is not None


def generator(
    kind: str, stream: str, difficulty: Difficulty, seed: int, index: int
) -> np.random.Generator:
    """The random numbers of one image; no two combinations of the arguments share a stream.

    Raises UserError where seed or index is no whole number from 0 to 2**32 - 1.
    """
    for name, value in (("seed", seed), ("index", index)):
        if not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
            raise UserError(f"{name} must be a whole number from 0 to 2**32 - 1; got {value!r}.")
    key = [
        _VERSION,
        ("scene", "block", "strip", "choice", "pair").index(kind),
        _STREAMS[stream],
        list(DIFFICULTIES).index(difficulty.name),
        int(seed),
        int(index),
    ]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def check(split: str, difficulty: Difficulty, backgrounds: str | Path | None = None) -> None:
    """Raise UserError for an unknown split or difficulty, or arguments that do not fit it."""
    if split not in SPLITS:
        raise UserError(f"Unknown split {split!r}: expected 'train' or 'test'.")
    if difficulty not in DIFFICULTIES.values():
        names = ", ".join(DIFFICULTIES).upper()
        raise UserError(f"Unknown difficulty {difficulty!r}: expected one of {names}.")
    if split not in difficulty.splits:
        raise UserError(f"{difficulty.name.upper()} is for evaluation only, not for {split!r}.")
    if backgrounds is not None and difficulty.look == FLAT:
        raise UserError(f"{difficulty.name.upper()} is drawn flat and has no use for backgrounds.")


@cache
def _word_source(split: str) -> WordSource:
    parts = ("train",) if split == "train" else ("train", "unseen")
    return WordSource(tuple(lexicon.words(part) for part in parts))


def brief_for(
    kind: str,
    split: str,
    difficulty: Difficulty,
    seed: int,
    index: int,
    backgrounds: str | Path | None = None,
) -> Brief:
    """What one image of a split is drawn from; raises as `check` and `generator` do."""
    check(split, difficulty, backgrounds)
    rng = generator(kind, split, difficulty, seed, index)
    return Brief(rng, difficulty, split != "train", _word_source(split), backgrounds)


def scene(
    seed: int,
    index: int,
    split: str = "train",
    difficulty: Difficulty = EASY,
    size: int | None = None,
    topic_share: float = TOPIC_SHARE,
    backgrounds: str | Path | None = None,
) -> Scene:
    """Image number `index` of the stream that `seed`, `split` and `difficulty` name.

    Of the blocks of four consecutive indices `topic_share` share a topic (the same words in another
    order, on another thing, a look-alike), so that a batch of neighbours holds hard negatives.

    Args:
        size: height and width in px, a multiple of 32 from 64 to 1024; None = 128, and 448 for
            STREET.
        backgrounds: a folder of photographs without text for STREET to stand on; None = made up
            ones. Which photograph an image gets depends on the list of their names.

    Raises:
        UserError: an unknown split or difficulty, CROWD in training, a seed or index out of range,
            another size, backgrounds for what is drawn flat, without images or with a broken one.
    """
    brief = brief_for("scene", split, difficulty, seed, index, backgrounds)
    block = generator("block", split, difficulty, seed, index // BLOCK)
    required: tuple[Text, ...] = ()
    if difficulty.thing_share and block.random() < topic_share:
        topic = phrase_topic if block.random() < 0.5 else thing_topic
        slots = topic(block, brief.source)
        required = slots[int(block.permutation(BLOCK)[index % BLOCK])]
    return compose(brief, required, size)


Slots = tuple[tuple[Text, ...], ...]


def phrase_topic(rng: np.random.Generator, source: WordSource) -> Slots:
    """Four images: words on a line, on a line in another order, apart, and none of them."""
    count = 2 if rng.random() < 0.7 else 3
    taken: set[str] = set()
    words = tuple(source.draw(rng, _LINE_LETTERS[count], taken) for _ in range(count))
    return (
        (Text(words),),
        (Text(words[1:] + words[:1]),),
        tuple(Text((word,)) for word in words),
        (),
    )


def thing_topic(rng: np.random.Generator, source: WordSource) -> Slots:
    """Four images: a word on a thing, on another thing, a look-alike on the thing, the bare thing.

    Both words are of one part of the source, so training sees no unseen look-alike.
    """
    thing, other = (things.THINGS[i] for i in rng.permutation(len(things.THINGS))[:2])
    longest = min(things.LETTERS[thing], things.LETTERS[other])
    word, look_alike = source.draw_look_alikes(rng, longest)
    return (
        (Text((word,), thing),),
        (Text((word,), other),),
        (Text((look_alike,), thing),),
        (Text((), thing),),
    )


def compose(brief: Brief, required: tuple[Text, ...], size: int | None = None) -> Scene:
    """A scene with the required texts and as many more words as the difficulty asks for.

    Raises UserError as `scene` does for size and backgrounds.
    """
    size = brief.difficulty.base if size is None else size
    if not isinstance(size, int) or size % 32 or not 64 <= size <= 1024:
        raise UserError(f"size must be a multiple of 32 from 64 to 1024; got {size!r}.")
    if brief.difficulty.look == FLAT:
        return painted(lay_out(brief, required, size))
    regions, pixels, found = street.compose(brief, required, size)
    return Scene(pixels, *labels.label(brief.rng, regions), regions, found)


def lay_out(brief: Brief, required: tuple[Text, ...], size: int) -> Layout:
    """Everything of a scene in its place, and nothing drawn yet."""
    level = brief.difficulty
    # Drawn once: if crowded tries could fall back on fewer words, full images would get rare.
    count = int(brief.rng.choice(level.words, p=level.shares))
    while True:
        plan = _plan(brief, required, count)
        layout = Layout(brief, size, size, size / level.base)
        # Things first: they need the largest rooms.
        if all(layout.place(text) for text in sorted(plan, key=lambda text: text.thing is None)):
            return layout


def painted(layout: Layout) -> Scene:
    """A scene from its layout."""
    regions, pixels = layout.paint()
    texts, styles = labels.label(layout.rng, regions)
    return Scene(pixels, texts, styles, regions, tuple(shape.kind for shape, _ in layout.shapes))


def _plan(brief: Brief, required: tuple[Text, ...], words: int) -> list[Text]:
    """Texts with `words` words in all: the required ones, perhaps a thing, a line, single words."""
    rng, source = brief.rng, brief.source
    plan = list(required)
    taken = {word for text in plan for word in text.words}
    left = words - len(taken)
    if not any(text.thing for text in plan) and rng.random() < brief.difficulty.thing_share:
        thing = things.THINGS[int(rng.integers(len(things.THINGS)))]
        on_it: tuple[str, ...] = ()
        if left >= 1 and rng.random() < things.TEXT_SHARE:
            count = 2 if left >= 2 and rng.random() < 0.3 else 1
            longest = things.LETTERS[thing] if count == 1 else things.LETTERS[thing] // 2 + 1
            on_it = tuple(source.draw(rng, longest, taken) for _ in range(count))
            left -= count
        plan.append(Text(on_it, thing))
    if left >= 2 and rng.random() < _LINE_SHARE:
        count = min(left, int(rng.choice((2, 3, 4), p=(0.65, 0.28, 0.07))))
        longest = _LINE_LETTERS[count]
        plan.append(Text(tuple(source.draw(rng, longest, taken) for _ in range(count))))
        left -= count
    plan += [Text((source.draw(rng, lexicon.LONGEST, taken),)) for _ in range(left)]
    return plan


def strip(
    seed: int,
    index: int,
    split: str = "train",
    difficulty: Difficulty = EASY,
    size: tuple[int, int] = STRIP,
    backgrounds: str | Path | None = None,
) -> Strip:
    """Word number `index` of a stream, drawn alone on a strip of `size` (height, width) px.

    Fonts, colours, poses and weather are those of the scenes; letters are as large as in a scene
    of 128 px as far as they fit, those of STREET as large as the strip. STREET has numbers among
    the words, of digits alone: every strip is written in a-z and 0-9. Raises UserError as `scene`
    does, and for a strip under 32 x 128 px.
    """
    brief = brief_for("strip", split, difficulty, seed, index, backgrounds)
    height, width = size
    if height < STRIP[0] or width < STRIP[1]:
        raise UserError(f"A strip is at least 32 x 128 px (height, width); got {size!r}.")
    if difficulty.look != FLAT:
        return Strip(*street.lone_word(brief, height, width))
    while True:
        word = brief.source.draw(brief.rng, lexicon.LONGEST, set())
        layout = Layout(brief, width, height, 1.0)
        if layout.place(Text((word,))):
            return Strip(layout.paint()[1], word)
