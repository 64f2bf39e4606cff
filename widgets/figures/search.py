"""The search explorer: a ranked gallery, and what re-ranking changed."""

from collections.abc import Sequence

from PIL import Image

from mstar.search.gallery import Hit
from mstar.texts import STYLES

from .. import markup, sprites
from ..picture import Picture, text
from .parts import number, place_said

#: What may be chosen -> what it is called.
CHOICES = {"auto": "guess"} | {style: style for style in STYLES}


def search(
    thumbnails: Sequence[Image.Image],
    names: Sequence[str],
    query: str = "",
    said: str = "Type a text and press Enter.",
    hits: Sequence[Hit] = (),
    top: int = 12,
    tiles: int = 1,
) -> Picture:
    """A text field, and the best images for what was typed.

    The state: `query`, `query_style` (one of `CHOICES`), `chosen` (index of an image, −1 = none).

    Args:
        names: of the images.
        said: what was searched for, in a sentence.
        hits: best first.
        top: how many are shown.
        tiles: of an image.
    """
    shown = hits[:top]
    cells, sheet = "", None
    if shown:
        sheet = sprites.sheet([thumbnails[hit.image] for hit in shown], side=128)
        cells = "".join(
            _hit(cell, hit, names[hit.image], sheet.style(cell), tiles)
            for cell, hit in enumerate(shown)
        )
    table = f'<ol class="mv-hits">{cells}</ol>' if shown else ""
    field = (
        '<label class="mv-control">Text <input type="search" class="mv-field" '
        f'data-chooses="query" data-asks="search" value="{text(query)}" '
        'placeholder="exit" autocomplete="off"></label>'
    )
    body = markup.figure(
        "Search the gallery",
        "Images are sorted by cosine; the best few are looked at again together with the text by "
        "the matching head, which can move them (▲▼). Below each image: score, cosine, and the "
        + f"{'look, tile and query' if tiles > 1 else 'look'} whose embedding counted most.",
        '<div data-needs="kernel">'
        + markup.controls(
            field,
            markup.select("Style", "query_style", CHOICES),
            '<button type="button" class="mv-choice mv-go" data-sends="search">Search</button>',
        )
        + f'</div><p class="mv-said" role="status">{text(said)}</p>'
        + (f'<div class="mv-plate">{table}</div>' if shown else ""),
    )
    return Picture(body, {"thumb": sheet.uri} if sheet else {})


def _hit(cell: int, hit: Hit, name: str, style: str, tiles: int) -> str:
    moved = hit.cosine_rank - hit.rank
    arrow = f"▲{moved}" if moved > 0 else f"▼{-moved}" if moved < 0 else ""
    reranked = hit.probability is not None
    rows = [
        ("score", number(hit.score)),
        ("cosine", number(hit.cosine)),
        ("matched", f"{hit.probability:.0%}" if reranked else "–"),
        ("look", place_said(hit.look, hit.tile, hit.query_token, tiles).removeprefix("look ")),
    ]
    items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in rows)
    said = f"Rank {hit.rank}, {name}, score {hit.score:.3f}"
    said += f", {abs(moved)} {'up' if moved > 0 else 'down'} by re-ranking" * bool(moved)
    return (
        f'<li><button type="button" class="mv-hit" data-choose="chosen" data-value="{hit.image}" '
        f'aria-pressed="false" aria-label="{text(said)}. Open">'
        f'<span class="mv-thumb" aria-hidden="true" style="{style}"></span></button>'
        f'<p><b>{hit.rank}</b> <span class="mv-moved">{arrow}</span> '
        f'<bdi class="mv-file">{text(name)}</bdi></p><dl class="mv-rows">{items}</dl></li>'
    )
