"""Textures: walls, grounds, cloth, goods, the sky.

A texture is a function of random numbers, height and width, and returns float32 [height, width, 3].
"""

import json
import math
from pathlib import Path

import cv2
import numpy as np

Texture = np.ndarray  # float32 [height, width, 3], about 0 to 255

COLOURS = json.loads(Path(__file__).with_name("colours.json").read_text(encoding="utf-8"))
"""What is coloured -> the RGB colours it may have; of `pairs` those of a plate and of its ink."""


def noise(
    rng: np.random.Generator, height: int, width: int, down: float, across: float | None = None
) -> np.ndarray:
    """Smooth noise from -1 to 1, its hills about `down` x `across` px large: [height, width]."""
    across = down if across is None else across
    shape = (max(2, math.ceil(height / down) + 1), max(2, math.ceil(width / across) + 1))
    grid = rng.integers(0, 256, shape, dtype=np.uint8).astype(np.float32) / 127.5 - 1
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def rough(rng: np.random.Generator, height: int, width: int, coarse: float) -> np.ndarray:
    """Noise of three sizes, the coarsest `coarse` px: [height, width], about -1 to 1."""
    return (
        0.55 * noise(rng, height, width, coarse)
        + 0.3 * noise(rng, height, width, max(2.0, coarse / 4))
        + 0.15 * noise(rng, height, width, max(1.0, coarse / 14))
    )


def shaded(colour, shade: np.ndarray) -> Texture:
    return np.asarray(colour, np.float32) * (1 + shade[..., None])


def colour_of(rng: np.random.Generator, name: str) -> np.ndarray:
    """One of the `COLOURS` of that name, float32 [3]; of `pairs` [2, 3]."""
    return np.array(COLOURS[name][int(rng.integers(len(COLOURS[name])))], np.float32)


def tone_of(rng: np.random.Generator, name: str, spread: int = 18) -> np.ndarray:
    """One of the `COLOURS` of that name, a little changed."""
    one = colour_of(rng, name)
    return np.clip(
        one * float(rng.uniform(0.75, 1.2)) + rng.integers(-spread, spread + 1, 3), 6, 250
    )


def plaster(rng, height, width):
    tone = tone_of(rng, "plaster")
    stains = 0.12 * rough(rng, height, width, height / 3)
    return shaded(tone, stains + _grain(rng, height, width, 0.05))


def _grain(rng, height, width, strength):
    """Fine speckles: [height, width]."""
    bytes_ = np.frombuffer(rng.bytes(height * width), np.uint8).reshape(height, width)
    return (bytes_.astype(np.float32) - 127.5) * np.float32(strength / 127.5)


def _courses(rng, height, width, down, across, joint, stagger):
    """Bricks, stones or tiles: the number of each [height, width], and 1 in the joints."""
    y = (np.arange(height) + int(rng.integers(0, 1000)))[:, None]
    row = (y // down).astype(np.int32)
    x = (np.arange(width) + int(rng.integers(0, 1000)))[None] + row % 2 * int(across * stagger)
    column = (x // across).astype(np.int32)
    joints = (y % down < joint) | (x % across < joint)
    return (row * 31 + column * 17) % 251, joints.astype(np.float32)


def _masonry(rng, height, width, tone, down, across, joint, stagger, spread, joint_tone):
    number, joints = _courses(rng, height, width, down, across, joint, stagger)
    each = rng.uniform(-spread, spread, 251).astype(np.float32)[number]
    face = shaded(tone, each + 0.1 * rough(rng, height, width, down * 1.5))
    joints = cv2.GaussianBlur(joints, (3, 3), 0)[..., None]
    return face * (1 - joints) + np.asarray(joint_tone, np.float32) * joints


def brick(rng, height, width):
    tone = tone_of(rng, "brick")
    down = int(rng.integers(8, 30))
    return _masonry(rng, height, width, tone, down, int(down * 2.6), max(1, down // 7), 0.5, 0.2,
                    tone * 0.4 + (90, 88, 84))  # fmt: skip


def stone(rng, height, width):
    tone = tone_of(rng, "stone")
    down = int(rng.integers(28, 90))
    return _masonry(rng, height, width, tone, down, int(down * float(rng.uniform(1.2, 2.4))),
                    2, 0.5, 0.12, tone * 0.6)  # fmt: skip


def tiles(rng, height, width):
    tone = tone_of(rng, "tiles")
    down = int(rng.integers(14, 80))
    across = down * int(rng.integers(1, 3))
    return _masonry(rng, height, width, tone, down, across, max(1, down // 20), 0.0, 0.05,
                    tone * 0.75)  # fmt: skip


def wood(rng, height, width):
    tone = tone_of(rng, "wood")
    plank = int(rng.integers(30, 140))
    grain = 0.16 * noise(rng, height, width, 3, width / 2)
    grain = grain + 0.1 * noise(rng, height, width, 9, width)
    number, joints = _courses(rng, height, width, plank, 10 * width, 2, 0)
    each = rng.uniform(-0.12, 0.12, 251).astype(np.float32)[number]
    made = shaded(tone, grain + each - 0.4 * joints)
    if height == width and rng.random() < 0.4:
        return np.ascontiguousarray(made.transpose(1, 0, 2))
    return made


def asphalt(rng, height, width):
    tone = tone_of(rng, "asphalt")
    stains = 0.1 * rough(rng, height, width, height / 2)
    return shaded(tone, stains + _grain(rng, height, width, 0.22))


def foliage(rng, height, width):
    leaf = float(rng.uniform(4, 16))
    light = noise(rng, height, width, leaf) + 0.7 * noise(rng, height, width, leaf * 4)
    tone = tone_of(rng, "foliage")
    return np.clip(shaded(tone, 0.75 * light), 4, 240)


def sky(rng, height, width):
    top = tone_of(rng, "sky")
    low = np.clip(top * 0.5 + 115, 0, 250)
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    cloud = noise(rng, height, width, height / 3, width / 2)
    cloud += 0.4 * noise(rng, height, width, height / 9, width / 6)
    cloud = np.clip(cloud, 0, 1)[..., None] * 70
    return top * (1 - fade) + low * fade + cloud * (1 - top / 300)


def metal(rng, height, width):
    tone = tone_of(rng, "metal")
    brushed = 0.06 * noise(rng, height, width, 1.5, width / 3)
    sheen = 0.25 * np.sin(np.linspace(0, float(rng.uniform(2, 7)), width, dtype=np.float32)
                          + float(rng.uniform(0, 6)))[None]  # fmt: skip
    return shaded(tone, brushed + sheen)


def paper(rng, height, width):
    tone = tone_of(rng, "paper", spread=8)
    folds = 0.05 * noise(rng, height, width, height / 3)
    return shaded(tone, folds + _grain(rng, height, width, 0.02))


def fabric(rng, height, width):
    tone = tone_of(rng, "fabric")
    folds = 0.22 * noise(rng, height, width, height / 2, width / 9)
    weave = 0.06 * np.sin(np.arange(width, dtype=np.float32) * 1.9)[None] * np.sin(
        np.arange(height, dtype=np.float32) * 1.9)[:, None]  # fmt: skip
    return shaded(tone, folds + weave)


def shutter(rng, height, width):
    tone = tone_of(rng, "shutter")
    step = int(rng.integers(6, 22))
    slats = (np.arange(height) % step / step).astype(np.float32)[:, None]
    return shaded(tone, 0.3 * slats - 0.2 + 0.06 * rough(rng, height, width, height / 3))


def windows(rng, height, width):
    """A house front: panes that mirror the sky in a wall."""
    wall = WALLS[int(rng.integers(len(WALLS)))](rng, height, width)
    across, down = (int(rng.integers(40, 150)) for _ in range(2))
    frame = tone_of(rng, "window frames")
    edge = max(2, across // 18)
    for y in range(int(rng.integers(0, down)), height, int(down * 1.6)):
        for x in range(int(rng.integers(0, across)), width, int(across * 1.5)):
            pane = wall[y : y + down, x : x + across]
            if min(pane.shape[:2]) < 3 * edge:
                continue
            pane[...] = frame
            glass = pane[edge:-edge, edge:-edge]
            light = np.linspace(*rng.uniform(25, 190, 2), glass.shape[0], dtype=np.float32)
            glass[...] = light[:, None, None] * np.array([0.85, 0.95, 1.05], np.float32)
            glass[:, (across - 2 * edge) // 2 : (across - 2 * edge) // 2 + edge // 2 + 1] = frame
    return wall


def goods(rng, height, width):
    """Shelves with packages."""
    made = shaded(tone_of(rng, "shelves"), np.zeros((height, width)))
    step = int(rng.integers(34, 90))
    for top in range(-int(rng.integers(0, step)), height, step):
        x = -int(rng.integers(0, 20))
        wide, tone = 20, tone_of(rng, "packages", spread=40)
        while x < width:
            if rng.random() < 0.4:  # a few of one kind stand side by side
                wide, tone = int(rng.integers(10, 44)), tone_of(rng, "packages", spread=40)
            high = int(step * float(rng.uniform(0.55, 0.82)))
            y0, y1 = max(0, top + step - 5 - high), max(0, top + step - 5)
            made[y0:y1, max(0, x) : max(0, x + wide)] = tone
            made[(3 * y0 + y1) // 4 : (y0 + y1) // 2, max(0, x + 2) : max(0, x + wide - 2)] = (
                255 - tone
            )
            x += wide + int(rng.integers(1, 5))
        made[max(0, top + step - 5) : max(0, top + step - 1)] *= 0.5
    return made + _grain(rng, height, width, 12)[..., None]


WALLS = (plaster, brick, stone, tiles, wood, metal, shutter)
ALL = (*WALLS, asphalt, foliage, sky, paper, fabric, windows, goods)


def print_on(rng, paper, tones, size):
    """Pictures, or lines too small to read, on a part of a poster, in place.

    Args:
        paper: float32 [height, width, 3]; too small a part stays empty.
        tones: colours to choose from.
        size: nominal, of the text that can be read, px.
    """
    height, width, _ = paper.shape
    if height < 6 or width < 12:
        return
    if rng.random() < 0.5:
        tone = np.array(tones[int(rng.integers(len(tones)))], np.float32)
        paper[...] = tone
        at, other = (int(rng.integers(width)), height // 2), (255 - tone).tolist()
        cv2.circle(paper, at, max(2, height // 2), other, -1, cv2.LINE_AA)
        return
    level = 40 if paper.mean() > 128 else 210
    for y in range(2, height - 2, max(3, round(0.18 * size))):
        row = np.repeat(rng.random(width // 2) < 0.7, 2)[: width - 2 * (width // 8)]
        paper[y, width // 8 : width // 8 + len(row)][row] = level
