"""What a scene stands on: a photograph out of a folder, or a picture of a made-up world."""

import os
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mstar.data.areas import corners
from mstar.data.scenes.street import pose
from mstar.data.scenes.street.surfaces import (
    WALLS,
    asphalt,
    brick,
    fabric,
    foliage,
    goods,
    metal,
    noise,
    paper,
    plaster,
    rough,
    shaded,
    sky,
    stone,
    tiles,
    tone_of,
    windows,
    wood,
)
from mstar.errors import UserError
from mstar.io.images import SUFFIXES, open_image

_LARGEST = 512  # px: longer photographs are kept reduced
_KEPT = 128  # photographs in memory, 0.8 MB each at most


def ground(
    rng: np.random.Generator, height: int, width: int, backgrounds: str | Path | None
) -> np.ndarray:
    """What a scene stands on: float32 [height, width, 3] from a photograph, or made up.

    Raises as `crop` does.
    """
    if backgrounds is None:
        return np.ascontiguousarray(world(rng, height, width), np.float32)
    return crop(rng, backgrounds, height, width).astype(np.float32)


def crop(rng: np.random.Generator, folder: str | Path, height: int, width: int) -> np.ndarray:
    """Part of a photograph by lot, perhaps mirrored: uint8 [height, width, 3].

    Raises:
        UserError: see `photographs`.
        UnreadableImage: the photograph is no image, or a broken one; the message names it.
    """
    # listed once as long as the folder does not change
    changed = os.stat(folder).st_mtime_ns if os.path.isdir(folder) else None
    paths = photographs(str(folder), changed)
    photograph = _read(str(paths[int(rng.integers(len(paths)))]))
    high, wide, _ = photograph.shape
    part = float(rng.uniform(0.55, 1))
    # Cameras take wide pictures, and models see squares: some squeezing is part of the task.
    squeeze = float(rng.uniform(0.8, 1.3))
    across = min(wide, part * min(wide, high * width / height) * squeeze)
    down = min(high, part * min(high, wide * height / width))
    x, y = float(rng.uniform(0, wide - across)), float(rng.uniform(0, high - down))
    cut = photograph[int(y) : int(y + down) + 1, int(x) : int(x + across) + 1]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    larger = cut.shape[0] < height or cut.shape[1] < width
    how = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
    return cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=how)


@lru_cache(maxsize=8)
def photographs(folder: str, changed: int | None = None) -> tuple[Path, ...]:
    """The photographs of a folder, sorted by name.

    Args:
        changed: when; another value lists the folder again.

    Raises:
        UserError: it is no folder, or no file in it is named like an image.
    """
    if not Path(folder).is_dir():
        raise UserError(f"There is no folder of backgrounds {folder}.")
    paths = tuple(sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES))
    if not paths:
        raise UserError(f"The folder of backgrounds {folder} has no images.")
    return paths


@lru_cache(maxsize=_KEPT)
def _read(path: str) -> np.ndarray:
    image = open_image(path)
    image.thumbnail((_LARGEST, _LARGEST))
    pixels = np.asarray(image)
    pixels.setflags(write=False)
    return pixels


def world(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A background: one surface near by, a house front, a street into the distance, or a room."""
    make = (_near, _front, _street, _room)[int(rng.choice(4, p=(0.3, 0.27, 0.2, 0.23)))]
    picture = make(rng, height, width)
    if rng.random() < 0.45:
        _stand_around(rng, picture)
    # Nothing in the world is evenly lit or clean, and grey is the most frequent colour.
    picture *= (1 + 0.14 * rough(rng, height, width, height / 2))[..., None]
    grey = float(rng.uniform(0, 0.6))
    picture += (picture.mean(axis=2, keepdims=True) - picture) * np.float32(grey)
    # The background of a picture is often out of focus, and never as sharp as a drawing.
    far = float(rng.uniform(0.8, 2.5)) if rng.random() < 0.4 else 0.5
    return cv2.GaussianBlur(picture, (0, 0), far * min(height, width) / 448 + 0.1)


def _near(rng, height, width):
    near = (*WALLS, paper, fabric, asphalt)
    picture = near[int(rng.integers(len(near)))](rng, height, width)
    if rng.random() < 0.4:  # seen from the side
        near, far = float(rng.uniform(1.3, 2.2)), float(rng.uniform(1.05, 1.2))
        left, right = (near, far) if rng.random() < 0.5 else (far, near)
        middle = height / 2
        quad = [
            (-0.1 * width, middle * (1 - left)), (1.1 * width, middle * (1 - right)),
            (1.1 * width, middle * (1 + right)), (-0.1 * width, middle * (1 + left)),
        ]  # fmt: skip
        picture = _laid(picture.copy(), picture, quad)
    return picture


def _laid(picture, texture, quad):
    """A texture laid onto four corners of a picture, in place."""
    height, width, _ = texture.shape
    matrix = pose.matrix(width, height, np.array(quad))
    return cv2.warpPerspective(
        texture, matrix, picture.shape[1::-1], dst=picture, flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )  # fmt: skip


def _front(rng, height, width):
    """A house: windows above, a shop or a wall below, perhaps the sky and the pavement."""
    picture = windows(rng, height, width)
    shop = int(height * float(rng.uniform(0.3, 0.7)))
    wall = WALLS[int(rng.integers(len(WALLS)))](rng, height - shop, width)
    picture[shop:] = wall
    x = int(rng.integers(-60, 60))
    while x < width:  # shop windows and doors
        wide = int(width * float(rng.uniform(0.15, 0.5)))
        x0, x1, top = max(0, x), max(0, min(width, x + wide)), shop + int(0.12 * height)
        if x1 - x0 > 20 and height - top > 20:
            inside = goods(rng, height - top, x1 - x0) * float(rng.uniform(0.25, 0.8))
            mirrored = noise(rng, height - top, x1 - x0, height / 3, width / 5)[..., None]
            picture[top:, x0:x1] = inside * 0.8 + 35 * np.clip(mirrored, 0, 1)
            frame = tuple(tone_of(rng, "shop frames").tolist())
            cv2.rectangle(picture, (x0, top), (x1, height), frame, max(2, width // 90))
        x += wide + int(rng.integers(8, 60))
    picture[shop : shop + 3] *= 0.5  # a ledge and its shadow
    if rng.random() < 0.4:
        foot = int(height * float(rng.uniform(0.86, 0.96)))
        picture[foot:] = asphalt(rng, height - foot, width)
        picture[foot : foot + 3] *= 0.6
    return picture


def _street(rng, height, width):
    """Houses on both sides, which get smaller towards a point on the horizon."""
    picture = sky(rng, height, width)
    x, y = width * float(rng.uniform(0.2, 0.8)), height * float(rng.uniform(0.4, 0.65))
    half = width * float(rng.uniform(0.05, 0.2))
    end = windows(rng, height // 3, width)
    _laid(picture, end, corners(x - half, y - 0.25 * height, x + half, y + 0.06 * height))
    road = (asphalt, asphalt, stone, tiles)[int(rng.integers(4))](rng, height, width)
    quad = [(x - half, y), (x + half, y), (2.2 * width, height), (-1.2 * width, height)]
    _laid(picture, road, quad)
    for side, edge in ((-1, 0.0), (1, float(width))):
        kind = (windows, windows, _front, brick, plaster, foliage)[int(rng.integers(6))]
        made = kind(rng, height, width)
        tall = float(rng.uniform(0.5, 1.3)) * height
        near = [(edge, y - tall), (edge, y + 0.5 * height)]
        far = [(x + side * half, y - 0.3 * tall), (x + side * half, y + 0.07 * height)]
        left, right = (near, far) if side < 0 else (far, near)
        quad = [left[0], right[0], right[1], left[1]]
        _laid(picture, made * np.float32(rng.uniform(0.6, 1.05)), quad)
    return picture


def _room(rng, height, width):
    """A wall with what hangs or stands before it, a floor, perhaps a ceiling with lamps."""
    wall = (plaster, plaster, tiles, wood, goods, metal)[int(rng.integers(6))]
    picture = wall(rng, height, width)
    floor = height * float(rng.uniform(0.65, 1.05))
    for kind, share in ((goods, 0.4), (fabric, 0.15), (wood, 0.35), (metal, 0.15)):
        if rng.random() < share:  # furniture stands on the floor
            high, wide = (rng.uniform(0.25, 0.7, 2) * (height, width)).astype(int).tolist()
            x, y = int(rng.integers(-wide // 3, width - wide // 2)), int(floor) - high
            made = kind(rng, high, wide)
            made *= np.linspace(1.1, 0.75, high, dtype=np.float32)[:, None, None]
            _laid(picture, made, corners(x, y, x + wide, y + high))
            x0, x1 = np.clip((x, x + wide), 0, width).tolist()
            picture[max(0, min(height, y + high)) :, x0:x1] *= 0.7
    if floor < height:
        ground = (tiles, wood, stone, fabric)[int(rng.integers(4))](rng, height, width)
        near = 1.1 * height
        quad = [(0, floor), (width, floor), (1.9 * width, near), (-0.9 * width, near)]
        _laid(picture, ground * 0.8, quad)
    if rng.random() < 0.35:
        low = height * float(rng.uniform(0.08, 0.25))
        ceiling = shaded(tone_of(rng, "ceilings"), np.zeros((64, 64), np.float32))
        _laid(picture, ceiling, [(-0.9 * width, -9), (1.9 * width, -9), (width, low), (0, low)])
        for _ in range(int(rng.integers(1, 6))):
            at = (int(rng.integers(0, width)), int(rng.uniform(0, 0.9) * low))
            axes = (int(rng.integers(4, 26)), int(rng.integers(2, 7)))
            cv2.ellipse(picture, at, axes, 0, 0, 360, (255, 252, 235), -1, cv2.LINE_AA)
    return picture


def _stand_around(rng, picture):
    """Posts and people: soft dark or coloured shapes before everything."""
    height, width, _ = picture.shape
    for _ in range(int(rng.integers(1, 4))):
        tone = tone_of(rng, "figures")
        x, foot = int(rng.integers(0, width)), int(height * float(rng.uniform(0.8, 1.15)))
        if rng.random() < 0.5:
            wide = int(rng.integers(2, 8))
            cv2.line(picture, (x, 0), (x, foot), (tone * 0.6).tolist(), wide + 2, cv2.LINE_AA)
            cv2.line(picture, (x - 1, 0), (x - 1, foot), tone.tolist(), wide, cv2.LINE_AA)
            continue
        high = int(height * float(rng.uniform(0.2, 0.6)))
        legs = tone_of(rng, "trousers").tolist()
        for way in (-1, 1):
            stand = (x + way * high // 12, foot)
            cv2.line(picture, (x, foot - high // 2), stand, legs, max(2, high // 9), cv2.LINE_AA)
        body = (x, foot - round(0.66 * high))
        cv2.ellipse(
            picture, body, (high // 7, high // 5), 0, 0, 360, tone.tolist(), -1, cv2.LINE_AA
        )
        skin = tone_of(rng, "skin").tolist()
        head = (x, foot - round(0.93 * high))
        cv2.ellipse(picture, head, (high // 17, high // 13), 0, 0, 360, skin, -1, cv2.LINE_AA)
