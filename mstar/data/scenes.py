"""Scenes and strips: pure functions from a seed and an index to an image with its labels.

A scene is planned (which texts, which of them on a line together or on a thing), laid out
(fonts, sizes, poses, places without overlap) and painted. A strip is one word alone.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from mstar.data import fonts, labels, lexicon, render, things
from mstar.data.labels import Region

SPLITS = ("train", "test")
SMALL = 17
"""A text under this nominal size (px at 128 px) is small."""

BASE = 128  # px: the image size at which sizes are given

_VERSION = 1  # part of every seed; raise it when the drawing changes
_STREAMS = {"train": 0, "test": 1, "gallery": 2}
BLOCK = 4  # consecutive images that may share a topic
_TOPIC_SHARE = 0.2
_LINE_SHARE = 0.35  # of the scenes with two or more words left: some stand on one line
_UNSEEN_FONT_SHARE = 0.2  # of the texts of an evaluation image
_LINE_LETTERS = {2: 7, 3: 4, 4: 3}  # words on a line -> longest word: a line must fit
_THING_LETTERS = {"sign": 8, "bottle": 5, "shirt": 6, "door": 5}
_LOOKS = 60  # places tried for a line before it is drawn smaller


@dataclass(frozen=True)
class Difficulty:
    """How hard a scene is to read. Sizes are nominal px at 128 px, contrast is in grey levels."""

    name: str
    words: tuple[int, int]  # fewest and most words of an image
    sizes: tuple[int, int]
    cases: tuple[str, ...]
    font_role: str
    contrast: float
    rotation: float  # degrees either way
    keystone: float  # fraction by which perspective squeezes an end or an edge
    blur: float  # largest Gaussian, px
    noise: int  # largest amplitude, grey levels
    thing_share: float  # of the scenes: something stands there, mostly with a text on it
    splits: tuple[str, ...] = SPLITS


EASY = Difficulty(
    "easy", (1, 5), (11, 36), ("upper",), fonts.EASY,
    contrast=85, rotation=8, keystone=0.04, blur=0.5, noise=6, thing_share=0.25,
)  # fmt: skip
HARD = Difficulty(
    "hard", (1, 5), (11, 36), ("upper", "lower", "capitalised"), fonts.HARD,
    contrast=55, rotation=12, keystone=0.08, blur=0.7, noise=10, thing_share=0.25,
)  # fmt: skip
CROWD = Difficulty(
    "crowd", (6, 8), (11, 16), ("upper",), fonts.EASY,
    contrast=85, rotation=8, keystone=0.04, blur=0.5, noise=6, thing_share=0.0,
    splits=("test",),
)  # fmt: skip
DIFFICULTIES = {difficulty.name: difficulty for difficulty in (EASY, HARD, CROWD)}


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


@dataclass(frozen=True)
class Text:
    """Words that are to stand on one line, perhaps on a thing; no words: an empty thing."""

    words: tuple[str, ...]
    thing: str | None = None


@dataclass
class WordSource:
    """Where words come from: each draw picks one of the parts, then a word of it."""

    parts: tuple[tuple[str, ...], ...]
    _short: dict = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, longest: int, taken: set[str]) -> str:
        """A word of at most `longest` letters that is not in `taken`, which then has it."""
        if longest not in self._short:
            short = [[word for word in part if len(word) <= longest] for part in self.parts]
            self._short[longest] = [part for part in short if part]
        parts = self._short[longest]
        while True:
            part = parts[int(rng.integers(len(parts)))]
            word = part[int(rng.integers(len(part)))]
            if word not in taken:
                taken.add(word)
                return word


@cache
def _source(split: str) -> WordSource:
    parts = ("train",) if split == "train" else ("train", "unseen")
    return WordSource(tuple(lexicon.words(part) for part in parts))


@cache
def _unseen_words() -> frozenset[str]:
    return frozenset(lexicon.words("unseen"))


def generator(
    kind: int, stream: str, difficulty: Difficulty, seed: int, index: int
) -> np.random.Generator:
    """The random numbers of one image; no two combinations of the arguments share a stream.

    Raises ValueError where seed or index is no whole number from 0 to 2**32 - 1.
    """
    for name, value in (("seed", seed), ("index", index)):
        if not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
            raise ValueError(f"{name} must be a whole number from 0 to 2**32 - 1; got {value!r}.")
    level = list(DIFFICULTIES).index(difficulty.name)
    key = [_VERSION, kind, _STREAMS[stream], level, int(seed), int(index)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _check(split: str, difficulty: Difficulty) -> None:
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}: expected 'train' or 'test'.")
    if DIFFICULTIES.get(getattr(difficulty, "name", None)) != difficulty:
        names = ", ".join(DIFFICULTIES).upper()
        raise ValueError(f"Unknown difficulty {difficulty!r}: expected one of {names}.")
    if split not in difficulty.splits:
        raise ValueError(f"{difficulty.name.upper()} is for evaluation only, not for {split!r}.")


def scene(
    seed: int,
    index: int,
    split: str = "train",
    difficulty: Difficulty = EASY,
    size: int = BASE,
) -> Scene:
    """Image number `index` of the stream that `seed`, `split` and `difficulty` name.

    Blocks of four consecutive indices sometimes share a topic (the same words in another order,
    on another thing, a look-alike), so that a batch of neighbours holds hard negatives.
    Raises ValueError for an unknown split or difficulty, CROWD in training, a seed or index out
    of range, and a size that is no multiple of 32 from 64 to 1024.
    """
    _check(split, difficulty)
    if not isinstance(size, int) or size % 32 or not 64 <= size <= 1024:
        raise ValueError(f"size must be a multiple of 32 from 64 to 1024; got {size!r}.")
    rng = generator(0, split, difficulty, seed, index)
    block = generator(1, split, difficulty, seed, index // BLOCK)
    required: tuple[Text, ...] = ()
    if difficulty.thing_share and block.random() < _TOPIC_SHARE:
        topic = phrase_topic if block.random() < 0.5 else thing_topic
        slots = topic(block, _source(split), "train" if split == "train" else None)
        required = slots[int(block.permutation(BLOCK)[index % BLOCK])]
    return compose(rng, difficulty, split, _source(split), required, size)


Slots = tuple[tuple[Text, ...], ...]


def phrase_topic(rng: np.random.Generator, source: WordSource, part: str | None) -> Slots:
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


def thing_topic(rng: np.random.Generator, source: WordSource, part: str | None) -> Slots:
    """Four images: a word on a thing, on another thing, a look-alike on the thing, the bare thing.

    `part` of the lexicon gives the look-alikes; None: either part.
    """
    if part is None:
        part = ("train", "unseen")[int(rng.integers(2))]
    thing, other = (things.THINGS[i] for i in rng.permutation(len(things.THINGS))[:2])
    longest = min(_THING_LETTERS[thing], _THING_LETTERS[other])
    pairs = [pair for pair in lexicon.look_alikes(part) if len(pair[0]) <= longest]
    word, look_alike = pairs[int(rng.integers(len(pairs)))]
    return (
        (Text((word,), thing),),
        (Text((word,), other),),
        (Text((look_alike,), thing),),
        (Text((), thing),),
    )


def compose(
    rng: np.random.Generator,
    difficulty: Difficulty,
    split: str,
    source: WordSource,
    required: tuple[Text, ...],
    size: int,
) -> Scene:
    """A scene with the required texts and as many more as the difficulty asks for."""
    while True:
        plan = _plan(rng, difficulty, source, required)
        made = _Layout(rng, difficulty, split, size / BASE, size).place(plan, len(required))
        if made is not None:
            regions, pixels = made
            texts, styles = labels.label(rng, regions)
            stand = tuple(text.thing for text in plan if text.thing)
            return Scene(pixels, texts, styles, regions, stand)


def _plan(
    rng: np.random.Generator,
    difficulty: Difficulty,
    source: WordSource,
    required: tuple[Text, ...],
) -> list[Text]:
    """The texts of a scene: the required ones first, then perhaps a thing, a line, single words."""
    plan = list(required)
    taken = {word for text in plan for word in text.words}
    fewest, most = difficulty.words
    left = int(rng.integers(fewest, most + 1)) - len(taken)
    if not any(text.thing for text in plan) and rng.random() < difficulty.thing_share:
        thing = things.THINGS[int(rng.integers(len(things.THINGS)))]
        words: tuple[str, ...] = ()
        if left >= 1 and rng.random() < 0.8:
            count = 2 if left >= 2 and rng.random() < 0.3 else 1
            longest = _THING_LETTERS[thing] if count == 1 else _THING_LETTERS[thing] // 2 + 1
            words = tuple(source.draw(rng, longest, taken) for _ in range(count))
            left -= count
        plan.append(Text(words, thing))
    if left >= 2 and rng.random() < _LINE_SHARE:
        count = min(left, int(rng.choice((2, 3, 4), p=(0.65, 0.28, 0.07))))
        longest = _LINE_LETTERS[count]
        plan.append(Text(tuple(source.draw(rng, longest, taken) for _ in range(count))))
        left -= count
    plan += [Text((source.draw(rng, 99, taken),)) for _ in range(left)]
    return plan


@dataclass
class _Placed:
    """A line that has its place: what is needed to paint it."""

    text: Text
    drawn: tuple[str, ...]
    font: str
    size: int
    patch: render.Patch
    at: tuple[int, int]


class _Layout:
    """One try at placing a plan: takes the texts one by one, keeps what is occupied."""

    def __init__(
        self,
        rng: np.random.Generator,
        difficulty: Difficulty,
        split: str,
        scale: float,
        size: int,
    ):
        self.rng, self.difficulty, self.split = rng, difficulty, split
        self.scale, self.size = scale, size
        self.gap = round(3 * scale)
        self.occupied = np.zeros((0, 4))

    def place(
        self, plan: list[Text], required: int
    ) -> tuple[tuple[Region, ...], np.ndarray] | None:
        """Regions and pixels; None where a required text, or too much of the rest, has no room."""
        shapes: list[tuple[things.Shape, tuple[int, int]]] = []
        placed: list[_Placed] = []
        order = sorted(range(len(plan)), key=lambda i: (plan[i].thing is None, i))
        for i in order:
            text = plan[i]
            if text.thing:
                done = self._place_thing(text, shapes, placed)
            else:
                done = self._place_line(text, placed)
            if not done and (i < required or text.thing or len(text.words) > 1):
                return None
        if not sum(len(p.drawn) for p in placed) >= self.difficulty.words[0]:
            return None
        return self._paint(shapes, placed)

    def _draw(self, text: Text, font: str, size: int, drawn: tuple[str, ...]) -> render.Patch:
        rng, level = self.rng, self.difficulty
        angle = float(rng.uniform(-1, 1)) * (3 if text.thing else level.rotation)
        keystone = level.keystone * rng.uniform(-1, 1, 2)
        blur = float(rng.uniform(0, 0.03)) * size if rng.random() < 0.3 else 0.0
        line = render.draw_line(drawn, font, size, blur)
        shear = float(rng.uniform(-0.12, 0.12))
        return render.pose_line(line, render.Pose(angle, shear, *keystone.tolist()))

    def _style(self, text: Text) -> tuple[str, tuple[str, ...]]:
        """A font and the words in the case they are drawn in."""
        rng, level = self.rng, self.difficulty
        role = level.font_role
        if self.split != "train" and rng.random() < _UNSEEN_FONT_SHARE:
            role = fonts.UNSEEN
        names = fonts.font_names(role)
        font = names[int(rng.integers(len(names)))]
        case = level.cases[int(rng.integers(len(level.cases)))]
        change = {"upper": str.upper, "lower": str.lower, "capitalised": str.capitalize}[case]
        return font, tuple(change(word) for word in text.words)

    def _place_line(self, text: Text, placed: list[_Placed]) -> bool:
        rng = self.rng
        font, drawn = self._style(text)
        smallest, largest = (round(size * self.scale) for size in self.difficulty.sizes)
        fit = int((self.size - 8 * self.scale) / fonts.width(font, " ".join(drawn)))
        small = round(SMALL * self.scale)
        if rng.random() < 0.4 and smallest < small:
            largest = min(largest, small - 1)
        largest = min(largest, fit)
        if largest < smallest:
            return False
        size = int(rng.integers(smallest, largest + 1))
        while True:
            patch = self._draw(text, font, size, drawn)
            at = self._room(patch.alpha.shape[1], patch.alpha.shape[0])
            if at is not None:
                placed.append(_Placed(text, drawn, font, size, patch, at))
                return True
            if size == smallest:
                return False
            size = max(smallest, int(size * 0.75))

    def _place_thing(self, text: Text, shapes: list, placed: list[_Placed]) -> bool:
        rng = self.rng
        smallest = round(self.difficulty.sizes[0] * self.scale)
        largest = round((SMALL + 5) * self.scale)
        for _ in range(8):
            if not text.words:
                width, height = rng.uniform(22, 44) * self.scale, 10 * self.scale
                shape = things.plan(rng, text.thing, width, height, self.scale)
                at = self._room(shape.width, shape.height)
                if at is not None:
                    shapes.append((shape, at))
                    return True
                continue
            font, drawn = self._style(text)
            size = int(rng.integers(smallest, largest + 1))
            largest = max(smallest, int(largest * 0.8))
            patch = self._draw(text, font, size, drawn)
            height, width = patch.alpha.shape
            shape = things.plan(rng, text.thing, width, height, self.scale)
            at = self._room(shape.width, shape.height)
            if at is not None:
                x = at[0] + round(shape.text_at[0] - width / 2)
                y = at[1] + round(shape.text_at[1] - height / 2)
                shapes.append((shape, at))
                placed.append(_Placed(text, drawn, font, size, patch, (x, y)))
                return True
        return False

    def _room(self, width: int, height: int) -> tuple[int, int] | None:
        """A free place for a rectangle, which is then occupied, or None."""
        edge = self.gap
        if width + 2 * edge > self.size or height + 2 * edge > self.size:
            return None
        x = self.rng.integers(edge, self.size - width - edge + 1, _LOOKS)
        y = self.rng.integers(edge, self.size - height - edge + 1, _LOOKS)
        boxes = self.occupied[:, :, None]
        free = (
            (x >= boxes[:, 2] + self.gap)
            | (x + width + self.gap <= boxes[:, 0])
            | (y >= boxes[:, 3] + self.gap)
            | (y + height + self.gap <= boxes[:, 1])
        ).all(axis=0)
        where = np.flatnonzero(free)
        if not where.size:
            return None
        x, y = int(x[where[0]]), int(y[where[0]])
        self.occupied = np.vstack([self.occupied, (x, y, x + width, y + height)])
        return x, y

    def _paint(self, shapes: list, placed: list[_Placed]) -> tuple[tuple[Region, ...], np.ndarray]:
        rng, level = self.rng, self.difficulty
        image = render.background(rng, self.size, self.size)
        for shape, at in shapes:
            things.draw(rng, image, shape, at)
        pixels = np.array(image)
        regions = []
        for number, item in enumerate(placed):
            plate = item.text.thing is None and rng.random() < 0.15
            shadow = item.size >= SMALL * self.scale and rng.random() < 0.2
            contrast = render.paint(rng, pixels, item.patch, item.at, level.contrast, plate, shadow)
            for word, drawn, polygon in zip(
                item.text.words, item.drawn, item.patch.polygons, strict=True
            ):
                regions.append(
                    Region(
                        word=word,
                        drawn=drawn,
                        polygon=polygon + item.at,
                        line=number,
                        font=item.font,
                        size=float(item.size),
                        contrast=contrast,
                        seen_word=word not in _unseen_words(),
                        seen_font=item.font not in fonts.font_names(fonts.UNSEEN),
                        thing=item.text.thing,
                    )
                )
        return tuple(regions), _weather(rng, pixels, level)


def _weather(rng: np.random.Generator, pixels: np.ndarray, level: Difficulty) -> np.ndarray:
    blur = float(rng.uniform(0.2, level.blur)) if rng.random() < 0.3 else 0.0
    noise = int(rng.integers(0, level.noise + 1))
    return render.weather(rng, pixels, blur, noise)


def strip(
    seed: int,
    index: int,
    split: str = "train",
    difficulty: Difficulty = EASY,
    size: tuple[int, int] = (32, BASE),
) -> Strip:
    """Word number `index` of a stream, drawn alone on a strip of `size` (height, width) px.

    Fonts, colours, poses and weather are those of the scenes; letters are as large as in a scene
    as far as they fit. Raises ValueError as `scene` does, and for a strip under 32 x 96 px.
    """
    _check(split, difficulty)
    height, width = size
    if height < 32 or width < 96:
        raise ValueError(f"A strip is at least 32 x 96 px (height, width); got {size!r}.")
    rng = generator(2, split, difficulty, seed, index)
    layout = _Layout(rng, difficulty, split, 1.0, width)
    text = Text((_source(split).draw(rng, 99, set()),))
    font, drawn = layout._style(text)
    smallest, largest = difficulty.sizes
    fit = int((width - 12) / fonts.width(font, drawn[0]))
    letters = int(rng.integers(smallest, max(smallest, min(largest, fit, height - 4)) + 1))
    while True:
        patch = layout._draw(text, font, letters, drawn)
        high, wide = patch.alpha.shape
        if high <= height and wide <= width:
            break
        letters = max(smallest - 3, letters - 2)
    at = (int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1)))
    pixels = np.array(render.background(rng, height, width))
    shadow = letters >= SMALL and rng.random() < 0.2
    render.paint(rng, pixels, patch, at, difficulty.contrast, rng.random() < 0.15, shadow)
    return Strip(_weather(rng, pixels, difficulty), text.words[0])


def locate(scene: Scene, text: str, style: str) -> tuple[Region, ...] | None:
    """The regions of a scene that answer a query, or None; see `mstar.data.labels`."""
    return labels.locate(scene.regions, text, style)


def matches(scene: Scene, text: str, style: str) -> bool:
    """Whether a scene answers a query: the truth for any scene and any query, labelled or not."""
    return locate(scene, text, style) is not None
