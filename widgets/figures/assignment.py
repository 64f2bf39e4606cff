"""The assignment inspector: words against vision embeddings, and who got which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstar.explain import looks as explain
from mstar.explain.assignment import Pick, assigned_words, examine_assignment
from mstar.hooks.trace import Trace
from mstar.model.assignment import UNASSIGNED

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale
from ..tables import Block, Table
from .parts import name_of, number, over, tile_styles, times_even

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
        return Picture(
            markup.figure(
                "Which embedding answers to which word",
                "None of the queries is a single word; only single words are assigned.",
                "",
            )
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
    body = markup.figure(
        "Which embedding answers to which word",
        "Each row is a word, each column a vision embedding, brighter = nearer in cosine. ● marks "
        "the embedding that the Hungarian assignment gave the word (one to one, largest sum), ○ "
        "the one the word would have taken alone; press a cell to see where that embedding looked."
        + " Only embeddings of the first look are assigned." * (assignable.shape[1] < total)
        + f" {total - len(shown)} embeddings that are near no word are left out."
        * (len(shown) < total),
        markup.controls(markup.cover_slider())
        + '<div class="mv-plate">'
        + _grid(cosine, words, picks, named)
        + '<div class="mv-panels mv-wide"><div class="mv-panel">'
        + markup.stack(
            markup.photo_layer("The image as the model was given it.", grey=True),
            markup.chosen_map("map", tables["map"], start, "Attention; "),
        )
        + f'</div><div class="mv-panel mv-side">{_details(tables, start)}</div></div>'
        + f"{markup.bar(scale)}</div>"
        + _against_greedy(words, picks, named),
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


def _details(tables: dict[str, Table], start: dict[str, str]) -> str:
    named = {
        "word": "Word",
        "where": "Chosen embedding",
        "cosine": "Its cosine",
        "given": "Assigned",
        "second": "Best other",
        "margin": "Margin of the assignment",
    }
    items = "".join(
        f"<div><dt>{name}</dt><dd>{markup.filled(key, tables[key].says[tables[key].at(start)])}"
        "</dd></div>"
        for key, name in named.items()
    )
    return (
        f'<dl class="mv-read">{items}</dl><p class="mv-name mv-above"><small>The margin is what '
        "the summed cosine of all words would lose if this word might not have its embedding and "
        "everything were assigned anew; near 0 it is a toss-up.</small></p>"
    )


def _grid(cosine: np.ndarray, words, picks: Sequence[Pick], name: _Named) -> str:
    low, high = float(cosine.min()), float(cosine.max())

    def heads(groups: Sequence[tuple[int, int]], said: str) -> str:
        return "".join(
            f'<span role="columnheader" aria-colspan="{span}" class="mv-head" '
            f'style="grid-column:span {span}">'
            f"{said}{number}</span>"
            for number, span in groups
        )

    looks = heads(name.groups(name.tiles * name.query_tokens), "look ")
    of_tiles = [(tile % name.tiles, span) for tile, span in name.groups(name.query_tokens)]
    columns = "".join(
        f'<span role="columnheader" class="mv-head">{i % name.query_tokens}</span>'
        for i in name.shown
    )
    lines = [f'<div role="row"><span role="columnheader"></span>{looks}</div>']
    if name.tiles > 1:
        lines.append(
            '<div role="row"><span role="columnheader" class="mv-head">tile</span>'
            f"{heads(of_tiles, '')}</div>"
        )
    lines.append(
        '<div role="row"><span role="columnheader" class="mv-head">query token</span>'
        f"{columns}</div>"
    )
    for w, (word, pick) in enumerate(zip(words, picks, strict=True)):
        cells = "".join(
            _cell(w, word, e, value, (value - low) / (high - low or 1), pick, name)
            for e, value in enumerate(cosine[w])
        )
        lines.append(
            f'<div role="row"><span role="rowheader" class="mv-row"><bdi>{text(word)}</bdi></span>'
            f"{cells}</div>"
        )
    count = cosine.shape[1]
    columns = f"grid-template-columns:max-content repeat({count},minmax(26px,44px))"
    return (
        f'<div class="mv-scroll"><div class="mv-grid" role="grid" style="{columns}" '
        f'aria-label="Cosine of each word with each vision embedding">{"".join(lines)}</div></div>'
        f'<p class="mv-name"><small>cosine from {number(low)} (dark) to {number(high)} (bright)'
        "</small></p>"
    )


def _cell(
    w: int, word: str, column: int, value: float, bright: float, pick: Pick, name: _Named
) -> str:
    e = name.shown[column]
    marks = "●" * (pick.index == e) + "○" * (pick.greedy == e and pick.index != e)
    said = f"{word}, {name(e)}: {number(value)}"
    said += ", assigned" * (pick.index == e) + ", best alone" * (pick.greedy == e)
    dark = " mv-dark" * bool(bright > 0.45)
    edge = " mv-first" * name.begins(column)
    return (
        f'<button type="button" role="gridcell" class="mv-cell{dark}{edge}" '
        f'data-choose="word embedding" data-value="{w} {e}" style="--bright:{bright:.2f}" '
        f'aria-label="{text(said)}" tabindex="-1">{marks}</button>'
    )


def _against_greedy(words, picks: Sequence[Pick], name: _Named) -> str:
    """Each word's own favourite beside what the assignment gave it."""
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
        lines.append(
            f'<tr role="row"><td role="cell" class="mv-query"><bdi>{text(word)}</bdi></td>'
            f'<td role="cell" data-label="Alone">{text(alone)}</td>'
            f'<td role="cell" data-label="Assigned">{text(given)}</td>'
            f'<td role="cell" class="mv-quiet">{text(note)}</td></tr>'
        )
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
    head = "".join(
        f'<th role="columnheader">{n}</th>'
        for n in ("Word", "Best alone (greedy)", "Assigned (Hungarian)", "")
    )
    return (
        '<h4 class="mv-title">Greedy against Hungarian</h4>'
        f'<p class="mv-caption">{text(verdict)}</p><table class="mv-table" role="table"><thead>'
        f'<tr role="row">{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )
