"""The search explorer: a ranked gallery, and what re-ranking changed."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from mstar.search.gallery import Hit
from mstar.texts import STYLES

from .. import sprites
from ..markup import draw
from ..picture import Picture
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
    sheet = sprites.sheet([thumbnails[hit.image] for hit in shown], side=128) if shown else None
    again = any(hit.probability is not None for hit in hits)
    ranked = (
        "; as the checkpoint says, the best few are re-ranked: looked at again together with the "
        "text by the matching head, which can move them (▲▼)."
        if again
        else ". Re-ranking is off, as the checkpoint says."
    )
    caption = (
        f"Images are sorted by cosine{ranked} Below each image: its numbers, and the "
        f"{'look, tile and query' if tiles > 1 else 'look'} whose embedding counted most."
    )
    body = draw(
        "search.html", caption=caption, query=query, choices=CHOICES, said=said, sheet=sheet,
        hits=[_hit(hit, names[hit.image], tiles) for hit in shown],
    )  # fmt: skip
    return Picture(body, {"thumb": sheet.uri} if sheet else {})


def _hit(hit: Hit, name: str, tiles: int) -> dict[str, Any]:
    moved = hit.cosine_rank - hit.rank
    again = hit.probability is not None
    said = f"Rank {hit.rank}, {name}, {'re-ranked' if again else 'cosine'} {hit.score:.3f}"
    said += f", {abs(moved)} {'up' if moved > 0 else 'down'} by re-ranking" * bool(moved)
    place = place_said(hit.look, hit.tile, hit.query_token, tiles)
    return {
        "image": hit.image,
        "rank": hit.rank,
        "name": name,
        "said": said,
        "arrow": f"▲{moved}" if moved > 0 else f"▼{-moved}" if moved < 0 else "",
        "numbers": {
            "cosine": number(hit.cosine),
            **({"re-ranked": number(hit.score)} if again else {}),
            **({"match": f"{hit.probability:.0%}"} if again else {}),
            "look": place.removeprefix("look "),
        },
    }
