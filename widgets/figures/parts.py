"""What several pictures share: units of attention, tiles, and a photograph under the maps.

With several tiles a map is either of all of them, laid back onto the photograph (`joined`), or of
one, drawn at its own resolution where that tile lies (`tile_styles`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from mstar.explain import looks as explain
from mstar.hooks.trace import Trace
from mstar.model.assignment import UNASSIGNED, Place, place_of

from .. import sprites
from ..markup import Markup, draw
from ..picture import Picture
from ..tables import Table

#: Pixels of the longer side of a photograph; with several tiles small text is to be read.
LONGEST, LONGEST_OF_TILES = 640, 1280


def times_even(maps: np.ndarray) -> np.ndarray:
    """Attention that sums to 1 per map [..., grid_h, grid_w] -> multiples of even attention."""
    return maps * (maps.shape[-1] * maps.shape[-2])


def joined(trace: Trace, maps: np.ndarray, image: int, mean: bool = False) -> np.ndarray:
    """Maps of an image's tiles [..., V, grid_h, grid_w] as one, see `explain.together`."""
    return explain.together(trace, torch.from_numpy(maps), image, mean).numpy()


def region(trace: Trace, values: torch.Tensor, image: int) -> np.ndarray:
    """A region of every tile [V, grid_h, grid_w] as one: where most tiles that are there say so."""
    return explain.together(trace, values.float(), image, mean=True).numpy() > 0.5


def tile_styles(trace: Trace, image: int) -> list[str]:
    """CSS that lays a map of each tile where the tile is in the photograph; none for one tile."""
    if explain.tile_count(trace) == 1:
        return []
    return [
        f"left:{100 * left:.6g}%;top:{100 * top:.6g}%;"
        f"width:{100 * (right - left):.6g}%;height:{100 * (bottom - top):.6g}%"
        for left, top, right, bottom in trace.boxes[image].tolist()
    ]


def tile_names(count: int) -> list[str]:
    """What the tiles are called."""
    return ["tile 0 (whole)", *(f"tile {tile}" for tile in range(1, count))]


def place_said(look: int, tile: int, query_token: int, tiles: int) -> str:
    """`look 0, tile 3, query token 5`; the tile only where there are several."""
    return f"look {look}{f', tile {tile}' * (tiles > 1)}, query token {query_token}"


def name_of(index: int, tiles: int, query_tokens: int) -> str:
    """`query token 3 of look 1`, or `query token 3 of look 1, tile 2`."""
    return "none" if index == UNASSIGNED else said_of(place_of(index, tiles, query_tokens), tiles)


def said_of(place: Place, tiles: int) -> str:
    """As `name_of`, of a place."""
    tile = f", tile {place.tile}" * (tiles > 1)
    return f"query token {place.query_token} of look {place.look}{tile}"


def number(value: float) -> str:
    """A cosine or a difference of two, with a true minus."""
    return f"{value:.3f}".replace("-", "−")


@dataclass(frozen=True)
class Area:
    """Tokens that are drawn over the photograph, or over one tile of it.

    Attributes:
        width, height: of the grid.
        said: what it is, in words.
        paths: (class, SVG path) in units of one token.
        when: the state that shows it; empty = any.
        box: CSS of the tile; empty = the whole photograph.
    """

    width: int
    height: int
    said: str
    paths: Sequence[tuple[str, str]]
    when: str = ""
    box: str = ""


def salient(
    tokens: np.ndarray, look: int, share: float, when: str, box: str = "", where: str = "the image"
) -> Area:
    """σ's region of a look, bool [grid_h, grid_w]: outlined, and around it is dark."""
    said = f"Salient region of look {look}: {share:.0%} of {where}."
    border = sprites.outline(tokens)
    paths = [("veil", sprites.filling(~tokens)), ("casing", border), ("border", border)]
    return Area(*tokens.shape[::-1], said, paths, when, box)


def mask(
    tokens: np.ndarray, look: int, share: float, when: str, box: str = "", where: str = "the image"
) -> Area:
    """What the looks up to this one attended, bool [grid_h, grid_w]: hatched."""
    said = f"Mask after look {look}: {share:.0%} of {where} is still neglected."
    paths = [("shade", sprites.filling(tokens)), ("strokes", sprites.hatching(tokens))]
    return Area(*tokens.shape[::-1], said, paths, when, box)


def areas(trace: Trace, image: int, each: bool = True) -> list[Area]:
    """σ's region and the mask of every look, shown by `overlay`, `look` and, if any, `tile`.

    Args:
        each: also those of each tile by itself, where there are several.
    """
    found, styles = [], tile_styles(trace, image) if each else []
    for summary in explain.summarise_looks(trace, image):
        t = summary.look
        at = f"look:{t}{' tile:all' * bool(styles)}"
        found += areas_of(trace, image, summary, f"overlay:salient {at}", f"overlay:mask {at}")
        for tile, box in enumerate(styles):
            one, two = (values[image, tile].numpy() for values in seen(trace, t))
            at, where = f"look:{t} tile:{tile}", f"tile {tile}"
            found += [
                salient(one, t, one.mean(), f"overlay:salient {at}", box, where),
                mask(two, t, 1 - two.mean(), f"overlay:mask {at}", box, where),
            ]
    return found


def seen(trace: Trace, look: int) -> tuple[torch.Tensor, torch.Tensor]:
    """σ's region of a look, and what all looks up to it attended, bool [B, V, grid_h, grid_w]."""
    return trace[f"pve.{look}.salient"], trace[f"pve.{look}.mask"] < 0.5


def areas_of(
    trace: Trace, image: int, summary: explain.LookSummary, *when: str
) -> tuple[Area, Area]:
    """σ's region and the mask of a look over the whole photograph.

    Args:
        when: the states that show the two.
    """
    found = [region(trace, one[image], image) for one in seen(trace, summary.look)]
    shares = [summary.salient, summary.neglected]
    if explain.tile_count(trace) > 1:  # of the photograph as it is drawn, not of all tokens
        shares = [found[0].mean(), 1 - found[1].mean()]
    return (
        salient(found[0], summary.look, shares[0], when[0]),
        mask(found[1], summary.look, shares[1], when[1]),
    )


def look_names(last: int) -> list[str]:
    """What the places of a slider over the looks are called."""
    return [f"look {t} of {last}{' (the first)' * (t == 0)}" for t in range(last + 1)]


def nothing(title: str, why: str) -> Picture:
    """Instead of a picture, why there is none."""
    return Picture(draw("nothing.html", title=title, why=why))


def over(
    photo: Image.Image,
    body: Markup,
    longest: int | None = None,
    tables: Mapping[str, Table] | None = None,
    tiles: int = 1,
    **images: str,
) -> Picture:
    """A picture whose maps lie over a photograph of at most `longest` pixels."""
    longest = longest or (LONGEST if tiles == 1 else LONGEST_OF_TILES)
    uri = sprites.photo_uri(photo, longest)
    return Picture(body, {"photo": uri, **images}, photo.width / photo.height, tables or {})
