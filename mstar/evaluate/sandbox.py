"""Judge a model on a gallery of rendered scenes: rankings, shortcuts, attention and controls.

Every number stands beside what it has to beat: a random ranking, a shortcut that solves part of
the query, the attention that an even spread would give, a mask at random places.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mstar.data.scenes import sandbox
from mstar.data.scenes.labels import parse_semantic
from mstar.evaluate.grounding import ground, measures, outlined_scene
from mstar.evaluate.metrics import (
    average_precision,
    average_precisions,
    estimate,
    oracle_average_precision,
    paired,
    random_scores,
    scale_average_precisions,
)
from mstar.evaluate.table import COUNTED, Column, Result, Section
from mstar.hooks.interventions import empty_mask
from mstar.hooks.run import Hooks
from mstar.io.bench import Bench
from mstar.texts import Query, words_of

Array = NDArray[np.float64]


def evaluate_sandbox(
    bench: Bench,
    difficulty: str = "easy",
    seed: int = 0,
    scenes: int = 1000,
    pve_steps: int | None = None,
    controls: bool = False,
) -> Result:
    """Render a gallery from a seed, rank it, and measure where the model looked.

    Sections: `rankings` by seen and unseen words, by size, by style; `shortcuts`, whole queries
    against the best that a part of them reaches; `grounding`, see `grounding.measures`; and if
    asked for `controls`, T = 0 against T = 1 and its controls.

    Args:
        difficulty, seed, scenes: see `judging_gallery`.
        controls: also compare T = 0 with T = 1, with an empty mask and with a random one.

    Raises:
        UserError: unknown difficulty, a seed, a number of scenes or pve_steps out of range.
    """
    pve_steps = bench.config.pve_steps_from(pve_steps)
    gallery = sandbox.judging_gallery(difficulty, seed, scenes)
    truth = np.array([query.relevant for query in gallery.queries])
    own = [query.asked for query in gallery.queries]
    texts = list(
        dict.fromkeys([*own, *(part for query in gallery.queries for part in _parts(query))])
    )
    pictures = gallery.images
    ranked = bench.scores(pictures, texts, pve_steps)
    by_text = dict(zip(texts, ranked, strict=True))
    scores = np.array([by_text[query] for query in own])
    about = dict(
        difficulty=difficulty, seed=seed, scenes=scenes, pve_steps=pve_steps, gallery=gallery.hash
    )
    limit = sandbox.DIFFICULTIES[gallery.difficulty].small
    sections = [
        rankings(gallery.queries, truth, scores, seed, limit),
        shortcuts(gallery.scenes, gallery.queries, truth, scores, by_text),
        measures(ground(bench, [*map(outlined_scene, gallery.scenes[:200])], pve_steps, seed)),
    ]
    if controls:
        asked = [i for i, query in enumerate(gallery.queries) if query.style == "word"]
        queries = [gallery.queries[i].asked for i in asked]
        sections.append(_controls(bench, pictures, queries, truth[asked], seed))
    return Result("sandbox", about, sections)


def rankings(
    queries: Sequence[sandbox.Query],
    truth: NDArray[np.bool_],
    scores: Array,
    seed: int,
    limit: int = sandbox.SMALL,
) -> Section:
    """MAP of all word queries, of parts of them, and of every other style.

    Small and large words are judged scale-wise, see `scale_average_precisions`.

    Args:
        truth: bool [queries, images].
        scores: float [queries, images].
        seed: of the random ranking.
        limit: px, under which the difficulty calls a text small.
    """
    chance = random_scores(scores.shape, seed)
    style = np.array([query.style for query in queries])
    seen = np.array([query.seen for query in queries])
    small = np.array([query.small for query in queries])
    word = style == "word"
    groups = [  # name, which queries, which of their images count
        ("word", word, truth),
        ("word, seen", word & seen, truth),
        ("word, unseen", word & ~seen, truth),
        (f"word, small (< {limit} px)", word, small),
        (f"word, large (≥ {limit} px)", word, truth & ~small),
        *((name, style == name, truth) for name in sandbox.STYLES if name != "word"),
    ]
    rows = [
        (name, *(estimate(scale_average_precisions(truth[of], counted[of], given[of]))
                 for given in (scores, chance)))
        for name, of, counted in groups
    ]  # fmt: skip
    columns = (
        Column("group", "queries"), Column("model", "model", COUNTED),
        Column("random", "random ranking"),
    )  # fmt: skip
    return Section("rankings", "MAP in % [95 % interval]", columns, rows)


def _parts(query: sandbox.Query) -> list[Query]:
    """The queries that one may try in the place of a whole one.

    Each single word of a phrase or of combined texts; the text of a semantic query without its
    thing.
    """
    if query.style in ("phrase", "combined"):
        return [Query(word, "word") for word in words_of(query.asked)]
    if query.style == "semantic":
        text, _ = parse_semantic(query.text)
        return [Query(text, "phrase" if " " in text else "word")]
    return []


def shortcuts(
    scenes: Sequence[sandbox.Scene],
    queries: Sequence[sandbox.Query],
    truth: NDArray[np.bool_],
    scores: Array,
    by_text: dict[Query, Array],
) -> Section:
    """Whole queries against their shortcuts.

    - phrase, combined: the model's ranking by one word of the query, the best one, picked with
      the truth.
    - semantic, text without the thing: the model's ranking by the text; and, harder to beat, a
      reader without any error (the images that show the text come first, on whatever it stands).
    - semantic, thing without the text: an eye for the thing without any error.

    Args:
        by_text: scores [images] of every part.
    """
    reached: dict[tuple[str, str], list[tuple[float, float]]] = {
        ("phrase", "best single word"): [],
        ("combined", "best single word"): [],
        ("semantic", "text without the thing"): [],
        ("semantic", "text without the thing, no error"): [],
        ("semantic", "thing without the text, no error"): [],
    }
    for query, relevant, whole_scores in zip(queries, truth, scores, strict=True):
        if query.style == "word":
            continue
        whole = average_precision(relevant, whole_scores)
        best = max(average_precision(relevant, by_text[part]) for part in _parts(query))
        if query.style != "semantic":
            reached[query.style, "best single word"].append((whole, best))
            continue
        text, thing = parse_semantic(query.text)
        shows_text = [sandbox.matches(scene, text, "phrase") for scene in scenes]
        shows_thing = [thing in scene.things for scene in scenes]
        reached["semantic", "text without the thing"].append((whole, best))
        for shortcut, present in (("text without the thing", shows_text),
                                  ("thing without the text", shows_thing)):  # fmt: skip
            perfect = oracle_average_precision(relevant, present)
            reached["semantic", f"{shortcut}, no error"].append((whole, perfect))
    pairs = {names: np.array(of, dtype=float).reshape(-1, 2).T for names, of in reached.items()}
    return _compared("shortcuts", "MAP against shortcuts", ("whole query", "shortcut"), pairs)


def _compared(
    name: str, title: str, headings: tuple[str, str], pairs: dict[tuple[str, str], Sequence[Array]]
) -> Section:
    """Two MAPs in % over the same queries, and first − second, paired by query."""
    columns = (
        Column("first_name", headings[0]), Column("second_name", headings[1]),
        Column("first", headings[0]), Column("second", headings[1]), Column("difference"),
    )  # fmt: skip
    rows = [(*names, *paired(*values)[:3]) for names, values in pairs.items()]
    return Section(name, title, columns, rows, keys=2)


def _controls(
    bench: Bench,
    images: Sequence[NDArray[np.uint8]],
    queries: Sequence[Query],
    truth: NDArray[np.bool_],
    seed: int,
) -> Section:
    """What a second look is worth, and whether it is the mask that makes the difference."""
    rng = np.random.default_rng(seed)

    def shuffled(mask: Tensor, *, point: str) -> Tensor:
        places = rng.permuted(mask.flatten(-2).cpu().numpy(), axis=-1)
        return torch.from_numpy(places).view_as(mask).to(mask)

    def precisions(pve_steps: int, hooks: Hooks = ()) -> Array:
        with bench.hooks(hooks):
            return average_precisions(truth, bench.scores(images, queries, pve_steps))

    found = {
        "T = 0": precisions(0),
        "T = 1": precisions(1),
        "T = 1, empty mask": precisions(1, {"pve.0.mask": empty_mask}),
        "T = 1, random mask": precisions(1, {"pve.0.mask": shuffled}),
    }
    once, twice, unmasked, at_random = found
    asked = ((twice, once), (unmasked, once), (at_random, once), (twice, unmasked),
             (twice, at_random))  # fmt: skip
    pairs = {names: [found[name] for name in names] for names in asked}
    return _compared("controls", "MAP of a second look", ("first", "second"), pairs)
