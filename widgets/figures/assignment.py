"""The assignment inspector: words against vision embeddings, and who got which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstar.explain import looks as explain
from mstar.explain.assignment import Pick, assigned_words, examine_assignment
from mstar.hooks.trace import Trace
from mstar.model.assignment import UNASSIGNED

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from ..tables import Block, Table
from .parts import name_of, nothing, number, over, tile_styles, times_even

#: Columns of the matrix where images have several tiles; the other embeddings are left out.
_MOST = 64


@dataclass(frozen=True)
class _Named:
    """What the embeddings of an image are called.

    Attributes:
        tiles, query_tokens: V and Q.
        shown: the indices of those that have a column.
    """

    tiles: int
    query_tokens: int
    shown: Sequence[int]

    def __call__(self, index: int) -> str:
        return name_of(index, self.tiles, self.query_tokens)

    def groups(self, size: int) -> list[tuple[int, int]]:
        """(number, columns) of each run of `size` embeddings, those that have any."""
        numbers = [index // size for index in self.shown]
        return [(number, numbers.count(number)) for number in dict.fromkeys(numbers)]

    def begins(self, column: int) -> bool:
        """Whether a column is the first of a look, or of a tile."""
        before, here = self.shown[column - 1], self.shown[column]
        return column > 0 and before // self.query_tokens != here // self.query_tokens


def assignment(trace: Trace, image: int = 0) -> Picture:
    """Cosines of an image's words with all vision embeddings, and the one-to-one assignment.

    The state: `word` (row) and `embedding` (column: (look · V + tile) · Q + query_token).

    Of an image of several tiles the embeddings that are near no word have no column.

    Args:
        trace: with the points of `mstar.hooks.record.NEEDED`.
    """
    rows, assignable = assigned_words(trace, image)
    if not rows:
        return nothing(
            "Which embedding answers to which word",
            "None of the queries is a single word; only single words are assigned.",
        )
    words = [trace.queries[n].text for n in rows]
    cosine = trace["mim.similarity"][image][rows].double()
    assigned = trace["mim.assignment"][image][rows]
    picks = examine_assignment(assignable, assigned)
    tiles, total = explain.tile_count(trace), cosine.shape[1]
    shown = range(total) if tiles == 1 else _nearest(cosine.numpy(), picks)
    named = _Named(tiles, explain.query_token_count(trace), shown)
    cosine = cosine[:, list(shown)].numpy()

    attention = explain.cross_attention(trace, image).mean((1, 3))  # [look, tile, query_token, …]
    maps = times_even(attention.flatten(0, 2)[list(shown)].numpy())
    scale = Scale.of(maps)
    sprite = sprites.map_sprite(maps, scale)
    styles = tile_styles(trace, image)
    boxes = [styles[index // named.query_tokens % tiles] for index in shown] if styles else []
    tables = _tables(cosine, words, picks, named, maps, sprite, boxes)
    first = picks[0].index if picks[0].index != UNASSIGNED else shown[0]
    start = {"word": "0", "embedding": str(first)}
    caption = (
        "Each row is a word, each column a vision embedding, brighter = nearer in cosine. ● marks "
        "the embedding that the Hungarian assignment gave the word (one to one, largest sum), ○ "
        "the one the word would have taken alone; press a cell to see where that embedding looked."
        + " Only embeddings of the first look are assigned." * (assignable.shape[1] < total)
        + f" {total - len(shown)} embeddings that are near no word are left out."
        * (len(shown) < total)
    )
    heads = [("", "look ", named.groups(tiles * named.query_tokens))]
    if tiles > 1:
        of_tiles = [(tile % tiles, span) for tile, span in named.groups(named.query_tokens)]
        heads.append(("tile", "", of_tiles))
    verdict, against_greedy = _against_greedy(words, picks, named)
    body = draw(
        "assignment.html",
        caption=caption,
        heads=heads,
        columns=[index % named.query_tokens for index in shown],
        words=_cells(cosine, words, picks, named),
        low=number(cosine.min()),
        high=number(cosine.max()),
        tables=tables,
        start=start,
        scale=scale,
        verdict=verdict,
        against_greedy=against_greedy,
    )
    picture = over(explain.photo_of(trace, image), body, tables=tables, tiles=tiles, map=sprite.uri)
    return Picture(picture.body, picture.images, picture.ratio, tables, start)


def _nearest(cosine: np.ndarray, picks: Sequence[Pick]) -> list[int]:
    """The embeddings that the picks name, and those that are nearest to a word, in their order."""
    chosen = {i for pick in picks for i in (pick.index, pick.runner_up, pick.greedy) if i >= 0}
    for index in np.argsort(-cosine.max(0), kind="stable").tolist():
        if len(chosen) >= _MOST:
            break
        chosen.add(index)
    return sorted(chosen)


def _tables(
    cosine, words, picks: Sequence[Pick], name: _Named, maps, sprite, boxes
) -> dict[str, Table]:
    embeddings = {"embedding": [str(i) for i in name.shown]}
    rows = {"word": [str(i) for i in range(len(words))]}
    by_word, by_both = [Block(rows)], [Block(rows | embeddings)]
    named = [name(i) for i in name.shown]
    looked = [
        f"{where}, highest {m.max():.1f} × even" for where, m in zip(named, maps, strict=True)
    ]
    second = [
        f"{name(p.runner_up)}, {number(p.runner_up_value)}"
        if p.runner_up >= 0
        else "there is no other"
        for p in picks
    ]
    given = [
        f"{name(p.index)}, {number(p.value)}"
        if p.index != UNASSIGNED
        else "none: the image has fewer embeddings than words"
        for p in picks
    ]
    margins = [number(p.margin) if p.index != UNASSIGNED else "–" for p in picks]
    return {
        "map": Table([Block(embeddings)], looked, sprite, boxes),
        "word": Table(by_word, list(words)),
        "where": Table([Block(embeddings)], named),
        "cosine": Table(by_both, [number(v) for v in cosine.ravel()]),
        "given": Table(by_word, given),
        "second": Table(by_word, second),
        "margin": Table(by_word, margins),
    }


def _cells(
    cosine: np.ndarray, words: Sequence[str], picks: Sequence[Pick], name: _Named
) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Each word with its row of the matrix: (classes, state, brightness, words, marks) a cell."""
    bright = (cosine - cosine.min()) / (cosine.max() - cosine.min() or 1)
    rows = []
    for w, (word, pick) in enumerate(zip(words, picks, strict=True)):
        cells = []
        for column, e in enumerate(name.shown):
            said = f"{word}, {name(e)}: {number(cosine[w, column])}"
            said += ", assigned" * (pick.index == e) + ", best alone" * (pick.greedy == e)
            dark = " mv-dark" * bool(bright[w, column] > 0.45)
            css = dark + " mv-first" * name.begins(column)
            marks = "●" * (pick.index == e) + "○" * (pick.greedy == e and pick.index != e)
            cells.append((css, f"{w} {e}", f"{bright[w, column]:.2f}", said, marks))
        rows.append((word, cells))
    return rows


def _against_greedy(
    words, picks: Sequence[Pick], name: _Named
) -> tuple[str, list[tuple[str, ...]]]:
    """A verdict, and each word's own favourite beside what the assignment gave it."""
    lines = []
    for word, pick in zip(words, picks, strict=True):
        alone = f"{name(pick.greedy)}, {number(pick.greedy_value)}"
        if pick.index == UNASSIGNED:
            given, note = "none left", "more words than embeddings"
        else:
            given = f"{name(pick.index)}, {number(pick.value)}"
            note = "the same" if pick.index == pick.greedy else "gave way to another word"
        if pick.conflict:
            note += "; wanted by several words" if pick.index == pick.greedy else ""
        lines.append((word, alone, given, note))
    chosen = [pick.greedy for pick in picks]
    shared = len(chosen) - len(set(chosen))
    sums = [sum(p.greedy_value for p in picks)]
    sums.append(sum(p.value for p in picks if p.index != UNASSIGNED))
    verdict = (
        f"Alone, {shared} of {len(picks)} words would share an embedding with another; "
        if shared
        else "Alone, every word would already have an embedding of its own; "
    )
    verdict += f"the sum of cosines is {number(sums[0])} alone and {number(sums[1])} assigned."
    return verdict, lines
