"""The assignment inspector: words against vision embeddings, and who got which."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mstar import explain
from mstar.explain import Pick
from mstar.matching import UNASSIGNED
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale
from ..tables import Block, Table
from .parts import number, over, times_even


def assignment(
    trace: Trace,
    photo: Image.Image,
    texts: Sequence[str],
    styles: Sequence[str],
    image: int = 0,
) -> Picture:
    """Cosines of an image's words with all vision embeddings, and the one-to-one assignment.

    The state: `word` (row) and `embedding` (column, step · Q + query).

    Args:
        trace: with the points of `mstar.explain.NEEDED`.
        texts, styles: the queries of the run; see `mstar.explain.assigned_words`.
    """
    rows, assignable = explain.assigned_words(trace, styles, image)
    if not rows:
        return Picture(
            markup.figure(
                "Which embedding answers to which word",
                "None of the queries is a single word; only single words are assigned.",
                "",
            )
        )
    words = [texts[n] for n in rows]
    cosine = trace["mim.similarity"][image][rows].double()
    assigned = trace["mim.assignment"][image][rows]
    picks = explain.examine_assignment(assignable, assigned)
    per_step = explain.query_count(trace)

    maps = times_even(explain.embedding_maps(trace, image).numpy())
    scale = Scale.of(maps)
    sprite = sprites.map_sprite(maps, scale)
    tables = _tables(cosine.numpy(), words, picks, per_step, maps, sprite)
    start = {"word": "0", "embedding": str(max(picks[0].index, 0))}
    body = markup.figure(
        "Which embedding answers to which word",
        "Each row is a word, each column a vision embedding, brighter = nearer in cosine. ● marks "
        "the embedding that the Hungarian assignment gave the word (one to one, largest sum), ○ "
        "the one the word would have taken alone; press a cell to see where that embedding looked."
        + " Only embeddings of the first look are assigned."
        * (assignable.shape < cosine.shape),
        markup.controls(markup.cover_slider())
        + '<div class="mv-plate">'
        + _grid(cosine.numpy(), words, picks, per_step)
        + '<div class="mv-panels mv-wide"><div class="mv-panel">'
        + markup.stack(
            markup.photo_layer("The image as the model was given it.", grey=True),
            markup.chosen_map("map", tables["map"], start, "Attention; "),
        )
        + f'</div><div class="mv-panel mv-side">{_details(tables, start)}</div></div>'
        + f"{markup.bar(scale)}</div>"
        + _against_greedy(words, picks, per_step),
    )
    picture = over(photo, body, tables=tables, map=sprite.uri)
    return Picture(picture.body, picture.images, picture.ratio, tables, start)


def name_of(index: int, per_step: int) -> str:
    """`query 3 of look 1`."""
    if index == UNASSIGNED:
        return "none"
    step, query = divmod(index, per_step)
    return f"query {query} of look {step}"


def _tables(cosine, words, picks: Sequence[Pick], per_step: int, maps, sprite) -> dict[str, Table]:
    count = cosine.shape[1]
    embeddings = {"embedding": [str(i) for i in range(count)]}
    rows = {"word": [str(i) for i in range(len(words))]}
    by_word, by_both = [Block(rows)], [Block(rows | embeddings)]
    named = [name_of(i, per_step) for i in range(count)]
    looked = [
        f"{where}, highest {m.max():.1f} × even" for where, m in zip(named, maps, strict=True)
    ]
    second = [
        f"{name_of(p.runner_up, per_step)}, {number(p.runner_up_value)}"
        if p.runner_up >= 0
        else "there is no other"
        for p in picks
    ]
    given = [
        f"{name_of(p.index, per_step)}, {number(p.value)}"
        if p.index != UNASSIGNED
        else "none: the image has fewer embeddings than words"
        for p in picks
    ]
    margins = [number(p.margin) if p.index != UNASSIGNED else "–" for p in picks]
    return {
        "map": Table([Block(embeddings)], looked, sprite),
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


def _grid(cosine: np.ndarray, words, picks: Sequence[Pick], per_step: int) -> str:
    low, high = float(cosine.min()), float(cosine.max())
    steps = cosine.shape[1] // per_step
    head = "".join(
        f'<span role="columnheader" aria-colspan="{per_step}" class="mv-head" '
        f'style="grid-column:span {per_step}">'
        f"look {t}</span>"
        for t in range(steps)
    )
    queries = "".join(
        f'<span role="columnheader" class="mv-head">{q}</span>' for q in range(per_step)
    )
    lines = [
        f'<div role="row"><span role="columnheader"></span>{head}</div>',
        '<div role="row"><span role="columnheader" class="mv-head">query</span>'
        f"{queries * steps}</div>",
    ]
    for w, (word, pick) in enumerate(zip(words, picks, strict=True)):
        cells = "".join(
            _cell(
                w, word, e, cosine[w, e], (cosine[w, e] - low) / (high - low or 1), pick, per_step
            )
            for e in range(cosine.shape[1])
        )
        lines.append(
            f'<div role="row"><span role="rowheader" class="mv-row"><bdi>{text(word)}</bdi></span>'
            f"{cells}</div>"
        )
    columns = f"grid-template-columns:max-content repeat({steps * per_step},minmax(26px,44px))"
    return (
        f'<div class="mv-scroll"><div class="mv-grid" role="grid" style="{columns}" '
        f'aria-label="Cosine of each word with each vision embedding">{"".join(lines)}</div></div>'
        f'<p class="mv-name"><small>cosine from {number(low)} (dark) to {number(high)} (bright)'
        "</small></p>"
    )


def _cell(w: int, word: str, e: int, value: float, bright: float, pick: Pick, per: int) -> str:
    marks = "●" * (pick.index == e) + "○" * (pick.greedy == e and pick.index != e)
    said = f"{word}, {name_of(e, per)}: {number(value)}"
    said += ", assigned" * (pick.index == e) + ", best alone" * (pick.greedy == e)
    dark = " mv-dark" * bool(bright > 0.45)
    edge = " mv-first" * (e % per == 0 and e > 0)
    return (
        f'<button type="button" role="gridcell" class="mv-cell{dark}{edge}" '
        f'data-choose="word embedding" data-value="{w} {e}" style="--bright:{bright:.2f}" '
        f'aria-label="{text(said)}" tabindex="-1">{marks}</button>'
    )


def _against_greedy(words, picks: Sequence[Pick], per_step: int) -> str:
    """Each word's own favourite beside what the assignment gave it."""
    lines = []
    for word, pick in zip(words, picks, strict=True):
        alone = f"{name_of(pick.greedy, per_step)}, {number(pick.greedy_value)}"
        if pick.index == UNASSIGNED:
            given, note = "none left", "more words than embeddings"
        else:
            given = f"{name_of(pick.index, per_step)}, {number(pick.value)}"
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
