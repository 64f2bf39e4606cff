"""Evaluation galleries: images, queries of all four styles, and the truth about every pair.

The images' words come from the query words, so that each query has several answers: a query word
occurs in about `words per image * images / query words` images. A random ranking then has a MAP
near 3.6 % at 400 images and 120 query words, and near 1.4 % at 1,000 images and 400.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from mstar.data.scenes import labels, lexicon
from mstar.data.scenes.difficulty import DIFFICULTIES, EASY, Difficulty
from mstar.data.scenes.draw import fonts
from mstar.data.scenes.draw.brief import Brief, Text
from mstar.data.scenes.lexicon import WordSource
from mstar.data.scenes.scene import (
    Scene,
    check,
    compose,
    generator,
    locate,
    phrase_topic,
    thing_topic,
)
from mstar.errors import MOST_SCENES, UserError, check_range
from mstar.texts import Query as Asked, words_of

#: Images of a gallery that judges: fewer have no room for its queries.
FEWEST = 40
_QUERIES_OF_A_STYLE = 0.1  # phrase, combined and semantic queries, each per image
_BLOCK_QUERIES = {"semantic": 4, "phrase": 2}  # of each block of planned images


@dataclass(frozen=True, eq=False)
class Query:
    """One query and what the gallery holds for it."""

    text: str
    style: str
    seen: bool  # may all its words occur in training?
    relevant: np.ndarray  # bool [images]
    small: np.ndarray  # bool [images]: relevant, and the smallest of the matching text is small
    #: int [n]: images that are nearly right; None for words and combined texts
    hard_negatives: np.ndarray | None

    @property
    def asked(self) -> Asked:
        """The query without its truth."""
        return Asked(self.text, self.style)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Scenes, queries, and one hash over all that a result can depend on."""

    scenes: tuple[Scene, ...]
    queries: tuple[Query, ...]
    seed: int
    difficulty: str
    hash: str

    @property
    def images(self) -> list[np.ndarray]:
        """The images, uint8 [size, size, 3]."""
        return [made.image for made in self.scenes]


def gallery(
    seed: int,
    difficulty: Difficulty = EASY,
    images: int = 1000,
    seen: int = 200,
    unseen: int = 200,
    size: int | None = None,
    progress: bool = False,
    backgrounds: str | Path | None = None,
) -> Gallery:
    """A gallery with `seen` + `unseen` word queries, each with a relevant image at least.

    For every ten images there are also about one phrase, one combined and (where the difficulty
    has things) one semantic query. Every semantic query has three hard negatives at least: the
    thing without the text, the text on another thing, and a look-alike on that thing; there are
    images for half the phrases with the same words in another order, and apart. Size and
    backgrounds are those of `scenes.scene`.
    Raises UserError where there are fewer images than the queries need, or too few words.
    """
    check("test", difficulty, backgrounds)
    if seen < lexicon.ENOUGH or unseen < lexicon.ENOUGH:
        raise UserError(
            f"A gallery needs at least {lexicon.ENOUGH} seen and as many unseen query words; "
            f"got {seen} and {unseen}."
        )
    choice = generator("choice", "gallery", difficulty, seed, 0)
    words = {
        "train": _query_words(choice, "train", seen),
        "unseen": _query_words(choice, "unseen", unseen),
    }
    source = WordSource(tuple(words.values()))
    plans, planned = _plans(choice, difficulty, source, images)
    singles = [Text((word,)) for part in words.values() for word in part]
    if len(plans) + len(singles) > images:
        raise UserError(
            f"{seen + unseen} query words and {len(plans)} images with planned hard negatives "
            f"need {len(plans) + len(singles)} images; got {images}."
        )
    plans += [(single,) for single in singles]
    plans += [()] * (images - len(plans))
    order = choice.permutation(images)

    def made(i: int) -> Scene:
        rng = generator("scene", "gallery", difficulty, seed, i)
        return compose(Brief(rng, difficulty, True, source, backgrounds), plans[order[i]], size)

    scenes = tuple(map(made, tqdm(range(images), desc="gallery", disable=not progress)))
    wanted = _wanted(choice, scenes, words, planned, round(images * _QUERIES_OF_A_STYLE))
    where = _by_word(scenes)
    small = difficulty.small * len(scenes[0].image) / difficulty.base  # px
    queries = tuple(_query(scenes, where, text, style, small) for text, style in wanted)
    digest = _hash(scenes, queries)
    return Gallery(scenes, queries, seed, difficulty.name, digest)


def judging_gallery(difficulty: str, seed: int, scenes: int) -> Gallery:
    """The gallery by which evaluations judge a model, with progress.

    Args:
        difficulty: `easy`, `hard`, `crowd` or `street`.
        scenes: `FEWEST` or more. A fifth as many seen words are asked for, at most 200, and as
            many unseen ones.

    Raises:
        UserError: unknown difficulty, a seed or a number of scenes out of range.
    """
    if difficulty not in DIFFICULTIES:
        names = ", ".join(DIFFICULTIES)
        raise UserError(f"unknown difficulty {difficulty!r}: expected one of {names}.")
    check_range("scenes", scenes, FEWEST, MOST_SCENES)
    words = min(200, max(lexicon.ENOUGH, scenes // 5))
    level = DIFFICULTIES[difficulty]
    return gallery(seed, level, scenes, seen=words, unseen=words, progress=True)


def _query_words(choice: np.random.Generator, part: str, count: int) -> tuple[str, ...]:
    """Words of one part, half of them in look-alike pairs as far as there are pairs."""
    among = lexicon.words(part)
    if count > len(among):
        raise UserError(f"There are {len(among)} {part} words; got {count} to choose.")
    pairs = [pair for pair in lexicon.look_alikes(among) if len(pair[0]) <= 5]
    chosen: dict[str, None] = {}
    for i in choice.permutation(len(pairs)):
        if len(chosen) < count // 2:
            chosen.update(dict.fromkeys(pairs[i]))
    for i in choice.permutation(len(among)):
        if len(chosen) < count:
            chosen[among[i]] = None
    return tuple(chosen)


Plans = list[tuple[Text, ...]]


def _plans(
    choice: np.random.Generator, difficulty: Difficulty, source: WordSource, images: int
) -> tuple[Plans, list[tuple[str, str]]]:
    """Images with hard negatives for each other, and the queries (text, style) they are for."""
    plans: Plans = []
    queries: dict[tuple[str, str], None] = {}
    wanted = images * _QUERIES_OF_A_STYLE
    if difficulty.thing_share:
        for _ in range(round(wanted / _BLOCK_QUERIES["semantic"])):
            (on,), (elsewhere,), (look_alike,), (bare,) = thing_topic(choice, source)
            last = Text(look_alike.words, elsewhere.thing)
            four = (on, elsewhere, look_alike, last)
            plans += [(text,) for text in (*four, bare, Text((), elsewhere.thing))]
            for text in four:
                queries[(labels.semantic(" ".join(text.words), text.thing), "semantic")] = None
    for _ in range(round(wanted / _BLOCK_QUERIES["phrase"] / 2)):
        line, turned, apart, _ = phrase_topic(choice, source)
        plans += [line, turned, apart]
        for (text,) in (line, turned):
            queries[(" ".join(text.words), "phrase")] = None
    return plans, list(queries)


def _wanted(
    choice: np.random.Generator,
    scenes: tuple[Scene, ...],
    words: dict[str, tuple[str, ...]],
    planned: list[tuple[str, str]],
    count: int,
) -> list[tuple[str, str]]:
    """All queries (text, style): the words, what was planned, and labels drawn from the scenes."""
    wanted = [(word, "word") for part in words.values() for word in part]
    for style in labels.STYLES[1:]:
        chosen = dict.fromkeys(query for query in planned if query[1] == style)
        labelled = (zip(made.texts, made.styles, strict=True) for made in scenes)
        found = sorted({query for one in labelled for query in one if query[1] == style})
        # Semantic queries all have to be planned: only then the hard negatives are there.
        for i in choice.permutation(len(found)) if style != "semantic" else ():
            if len(chosen) < count:
                chosen[found[i]] = None
        wanted += chosen
    return wanted


def _by_word(scenes: tuple[Scene, ...]) -> dict[str, set[int]]:
    """The images in which a word occurs: only those can answer a query with that word."""
    where: dict[str, set[int]] = {}
    for i, made in enumerate(scenes):
        for region in made.regions:
            where.setdefault(region.word, set()).add(i)
    return where


def _query(
    scenes: tuple[Scene, ...], where: dict[str, set[int]], text: str, style: str, limit: float
) -> Query:
    words = words_of(Asked(text, style))
    relevant, small = np.zeros((2, len(scenes)), dtype=bool)
    near = set()
    for i in set.intersection(*(where[word] for word in words)):
        answer = locate(scenes[i], text, style)
        if answer is None:
            near.add(i)
        else:
            relevant[i] = True
            small[i] = min(region.size for region in answer) < limit
    hard_negatives = None
    if style == "phrase":
        hard_negatives = np.array(sorted(near), dtype=np.int64)
    elif style == "semantic":
        on_it, thing = labels.parse_semantic(text)
        near = {i for i in near if _on_any_thing(scenes[i], on_it)}
        near |= {i for i, made in enumerate(scenes) if thing in made.things and not relevant[i]}
        hard_negatives = np.array(sorted(near), dtype=np.int64)
    seen = lexicon.unseen_words().isdisjoint(words)
    return Query(text, style, seen, relevant, small, hard_negatives)


def _on_any_thing(made: Scene, text: str) -> bool:
    on_things = tuple(region for region in made.regions if region.thing)
    return labels.locate(on_things, text, "phrase") is not None


def _scene_listing(made: Scene) -> dict:
    listed = ("word", "drawn", "polygon", "line", "font", "size", "thing")
    regions = [{name: getattr(region, name) for name in listed} for region in made.regions]
    for region in regions:
        region["polygon"] = region["polygon"].round(2).tolist()
    answered = list(zip(made.texts, made.styles, strict=True))
    return {"labels": answered, "things": made.things, "regions": regions}


def _query_listing(query: Query) -> dict:
    return {
        "text": query.text,
        "style": query.style,
        "seen": query.seen,
        "relevant": np.flatnonzero(query.relevant).tolist(),
        "small": np.flatnonzero(query.small).tolist(),
        "hard_negatives": None if query.hard_negatives is None else query.hard_negatives.tolist(),
    }


def _hash(scenes: tuple[Scene, ...], queries: tuple[Query, ...]) -> str:
    """SHA-256 over pixels, labels, queries and fonts."""
    digest = hashlib.sha256(fonts.fonts_hash().encode())
    for made in scenes:
        digest.update(made.image.tobytes())
        digest.update(json.dumps(_scene_listing(made)).encode())
    for query in queries:
        digest.update(json.dumps(_query_listing(query)).encode())
    return digest.hexdigest()
