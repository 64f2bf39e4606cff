"""The vision embedding that each text is assigned, or draws on most."""

from collections.abc import Sequence

import numpy as np

from mstar.explain import looks as explain
from mstar.explain.assignment import Evidence, explain_words
from mstar.hooks.trace import Trace
from mstar.model.assignment import Place

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale, Sprite
from .parts import over, place_said, said_of, tile_styles, times_even

#: Whether texts draw on weighted embeddings -> what their two numbers are called, and a caption.
_KINDS = {
    False: (
        ("Cosine", "Lead"),
        "Each word is assigned one vision embedding of its own; the map shows where that one "
        "looked, the lead how far its cosine lies above the next best embedding’s (below zero: "
        "another word took the better one, which still makes the score).",
    ),
    True: (
        ("Weight", "Lead"),
        "Texts of several words draw on all embeddings at once; shown is the one with the largest "
        "weight, its share of the attention over embeddings, where it looked, and how far its "
        "weight lies above the next.",
    ),
}


def words(trace: Trace, image: int = 0) -> Picture:
    """The queries, each with its vision embedding and where that one looked."""
    evidence = explain_words(trace, image)
    found = [row for row in evidence if row.kind != "none"]
    if not found:
        return Picture(
            markup.figure("Which embedding each text has", "No text was assigned an embedding.", "")
        )
    every = (
        explain.cross_attention(trace, image).mean((1, 3)).numpy()
    )  # [look, tile, query_token, …]
    maps = times_even(np.stack([every[row.look, row.tile, row.query_token] for row in found]))
    scale = Scale.of(maps)
    styles = tile_styles(trace, image)
    sprite = sprites.map_sprite(maps, scale)
    parts = []
    for is_weighted, (names, caption) in _KINDS.items():
        if rows := [row for row in evidence if (row.kind == "weighted") == is_weighted]:
            caption += " It belongs to one tile, the part of the photograph that is framed." * bool(
                styles
            )
            parts.append(_cards(rows, found, sprite, maps, styles, names, caption))
    body = markup.figure(
        "Which embedding each text has",
        "",
        markup.controls(markup.cover_slider())
        + "".join(parts)
        + f'<div class="mv-plate mv-legend">{markup.bar(scale)}</div>'
        + markup.DIALOG,
    )
    photo = explain.photo_of(trace, image)
    return over(photo, body, longest=None if not styles else 800, map=sprite.uri)


def _cards(
    rows: Sequence[Evidence],
    found: Sequence[Evidence],
    sprite: Sprite,
    maps: np.ndarray,
    styles: Sequence[str],
    names: tuple[str, str],
    caption: str,
) -> str:
    cards, tiles = [], max(1, len(styles))
    for row in rows:
        name = (
            f'<p class="mv-query"><bdi>{text(row.text)}</bdi> '
            f'<span class="mv-quiet">{text(row.style)}</span></p>'
        )
        if row.kind == "none":
            cards.append(
                f'<li>{name}<p class="mv-quiet">None left: the image has fewer vision embeddings '
                "than words.</p></li>"
            )
            continue
        index = found.index(row)
        place = Place(row.look, row.tile, row.query_token)
        where = f"“{row.text}” has {said_of(place, tiles)}"
        box = styles[row.tile] if styles else ""
        alt = f"{where}; highest {maps[index].max():.1f} × even."
        picture = markup.pick(
            f"{where}.",
            markup.stack(
                markup.photo_layer(grey=True), markup.map_layer(sprite, index, alt, box=box)
            ),
        )
        meter = f'<i style="width:{100 * min(max(row.value, 0), 1):.0f}%"></i>'
        shown = {
            "Embedding": place_said(*place, tiles),
            names[0]: f'{row.value:.3f} <span class="mv-meter" aria-hidden="true">{meter}</span>',
            names[1]: f"{row.lead:+.3f}".replace("-", "−"),
        }
        items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in shown.items())
        cards.append(
            f'<li><div class="mv-plate">{picture}</div>{name}<dl class="mv-rows">{items}</dl></li>'
        )
    return f'<p class="mv-caption">{text(caption)}</p><ul class="mv-cards">{"".join(cards)}</ul>'
