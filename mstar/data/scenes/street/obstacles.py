"""What stands between a camera and a word: posts, cables, leaves, somebody's shoulder."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mstar.data.scenes.labels import Region
from mstar.data.scenes.street import pose, surfaces

READABLE = 0.2
"""A word of which more ink is hidden is no label."""

HALF_HIDDEN, HIDDEN = (0.03, 0.15), (0.5, 0.9)
"""Least and most of a word's ink: between the two nobody could say whether it can be read."""

_TRIES = 5  # obstacles for a word


@dataclass(eq=False)
class Placed:
    """A board in the picture: its words, line by line, and its ink."""

    lines: list[list[Region]]
    at: tuple[int, int]
    ink: np.ndarray  # uint8, its top left corner `at`
    hidden: dict[Region, float]  # shares of each word's ink


def hide(
    rng: np.random.Generator,
    picture: np.ndarray,
    boards: Sequence[Placed],
    one: Placed,
    least: float,
    most: float,
) -> None:
    """Something before a word of one board, which covers that share of its ink, in place.

    No other word may lose more than words do that stay readable; where that cannot be had in a few
    tries, nothing happens.

    Args:
        picture: float32 [height, width, 3].
        boards: all of the picture, this one among them.
    """
    line = one.lines[int(rng.integers(len(one.lines)))]
    word = line[int(rng.integers(len(line)))]
    for _ in range(_TRIES):
        made = draw(rng, *picture.shape[:2], word.polygon, (least + most) / 2)
        shares = {
            region: share + _share(board, region.polygon, made)
            for board in boards
            for region, share in board.hidden.items()
        }
        spared = max((shares[region] for region in shares if region is not word), default=0.0)
        if least <= shares[word] <= most and spared <= HALF_HIDDEN[1]:
            picture *= 1 - made[..., 3:]
            picture += made[..., :3]
            for board in boards:
                board.hidden = {region: shares[region] for region in board.hidden}
            return


def _share(board: Placed, outline: np.ndarray, obstacle: np.ndarray) -> float:
    """Of a word's ink, how much an obstacle [height, width, 4] covers."""
    height, width = board.ink.shape
    x, y = board.at
    ink = board.ink * pose.inside(outline - np.array(board.at), width, height).astype(np.float32)
    return float((ink * obstacle[y : y + height, x : x + width, 3]).sum() / max(1.0, ink.sum()))


def draw(
    rng: np.random.Generator, height: int, width: int, outline: np.ndarray, share: float
) -> np.ndarray:
    """Something before a word, which covers about that share of it.

    Args:
        height, width: of the picture, px.
        outline: of the word, float [points, 2] px.
        share: of the word's length, from 0 to 1.

    Returns:
        float32 [height, width, 4]: RGB from 0 to 255 times opacity, and the opacity from 0 to 1.
    """
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    covered = max(1.5, share * (x1 - x0))
    mask = np.zeros((height, width), np.float32)
    if share > 0.3:
        return _body(rng, mask, (x0, y0, x1, y1), covered)
    at = float(rng.uniform(x0 + 0.1 * (x1 - x0), x1 - 0.1 * (x1 - x0)))
    kind = rng.random()
    if kind < 0.5:
        return _post(rng, mask, at, covered)
    if kind < 0.7:
        return _cable(rng, mask, (x0, y0, x1, y1))
    return _leaves(rng, mask, (x0, y0, x1, y1), covered)


def _post(rng, mask, at, thick):
    height, width = mask.shape
    lean = float(rng.uniform(-0.06, 0.06)) * height
    ends = (round(at - lean), 0), (round(at + lean), height)
    cv2.line(mask, *ends, 1.0, max(1, round(thick)), cv2.LINE_AA)
    tone = surfaces.tone_of(rng, "posts")
    x = np.arange(width, dtype=np.float32)[None]
    y = np.arange(height, dtype=np.float32)[:, None]
    aside = (x - (at - lean) - 2 * lean * y / height) / max(1.0, thick)
    return _filled(mask, tone * (1 - 0.7 * np.clip(aside, -0.5, 0.5))[..., None])


def _cable(rng, mask, box):
    """Thin and dark, across the whole picture; it hangs through."""
    height, width = mask.shape
    x0, y0, x1, y1 = box
    middle = np.array([(x0 + x1) / 2, rng.uniform(y0, y1)])
    slope, sag = float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0, 0.2))
    x = np.linspace(0, width, 24)
    y = middle[1] + slope * (x - middle[0]) + sag * ((x - middle[0]) / width) ** 2 * height
    points = np.round(np.stack([x, y], 1) * 16).astype(np.int32)
    thick = max(1, round(float(rng.uniform(0.04, 0.12)) * (y1 - y0)))
    cv2.polylines(mask, [points], False, 1.0, thick, cv2.LINE_AA, shift=4)
    return _filled(mask, np.full(3, float(rng.uniform(10, 70))))


def _leaves(rng, mask, box, covered):
    """A twig from one side of the word, or from above it."""
    height, width = mask.shape
    x0, y0, x1, y1 = box
    foot = np.array([rng.choice((x0, x1)), rng.uniform(y0 - (y1 - y0), y1)])
    leaf = max(2.0, 0.8 * covered)
    for _ in range(int(rng.integers(3, 9))):
        x, y = foot + rng.normal(0, leaf, 2)
        axes = (max(1, round(leaf * 0.9)), max(1, round(leaf * 0.35)))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(mask, (round(x), round(y)), axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    return _filled(mask, surfaces.foliage(rng, height, width))


def _body(rng, mask, box, covered):
    """A large dark shape from below or from the side: a head, a shoulder, a car."""
    height, width = mask.shape
    x0, y0, x1, y1 = box
    left = rng.random() < 0.5
    edge = x0 + covered if left else x1 - covered
    reach = max(covered, y1 - y0) * float(rng.uniform(1.0, 1.6))
    at = (round(edge - reach if left else edge + reach), round((y0 + y1) / 2))
    axes = (round(reach), round(reach * float(rng.uniform(1.0, 1.8))))
    cv2.ellipse(mask, at, axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    if rng.random() < 0.6:  # with a head
        neck, half = at[1] - axes[1], round(0.45 * reach)
        cv2.ellipse(mask, (at[0], neck), (half, round(1.3 * half)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 2.0)))
    tone = surfaces.tone_of(rng, "passers-by")
    shade = 1 + 0.25 * surfaces.rough(rng, height, width, max(8.0, reach))
    return _filled(mask, tone * shade[..., None])


def _filled(mask, colour):
    made = np.empty((*mask.shape, 4), np.float32)
    made[..., :3] = np.clip(colour, 0, 255) * mask[..., None]
    made[..., 3] = mask
    return made
