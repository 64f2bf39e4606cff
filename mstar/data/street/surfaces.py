"""The procedural world: textures of walls, grounds and goods, and pictures made of them.

A texture is a function of random numbers, height and width, and returns float32 [height, width, 3].
"""

import math

import cv2
import numpy as np

Texture = np.ndarray  # float32 [height, width, 3], about 0 to 255


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


def _shaded(colour, shade: np.ndarray) -> Texture:
    return np.asarray(colour, np.float32) * (1 + shade[..., None])


def tone_of(
    rng: np.random.Generator, *colours: tuple[int, int, int], spread: int = 18
) -> np.ndarray:
    """One of the colours, a little changed."""
    one = np.array(colours[int(rng.integers(len(colours)))], np.float32)
    return np.clip(
        one * float(rng.uniform(0.75, 1.2)) + rng.integers(-spread, spread + 1, 3), 6, 250
    )


def plaster(rng, height, width):
    tone = tone_of(rng, (214, 205, 188), (190, 190, 186), (225, 215, 170), (170, 150, 135),
                 (205, 170, 150), (150, 165, 175))  # fmt: skip
    return _shaded(
        tone, 0.12 * rough(rng, height, width, height / 3) + _grain(rng, height, width, 0.05)
    )


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
    face = _shaded(tone, each + 0.1 * rough(rng, height, width, down * 1.5))
    joints = cv2.GaussianBlur(joints, (3, 3), 0)[..., None]
    return face * (1 - joints) + np.asarray(joint_tone, np.float32) * joints


def brick(rng, height, width):
    tone = tone_of(
        rng, (150, 75, 55), (165, 95, 70), (175, 140, 105), (120, 60, 50), (190, 180, 170)
    )
    down = int(rng.integers(8, 30))
    return _masonry(rng, height, width, tone, down, int(down * 2.6), max(1, down // 7), 0.5, 0.2,
                    tone * 0.4 + (90, 88, 84))  # fmt: skip


def stone(rng, height, width):
    tone = tone_of(rng, (160, 152, 138), (130, 128, 125), (190, 175, 150))
    down = int(rng.integers(28, 90))
    return _masonry(rng, height, width, tone, down, int(down * float(rng.uniform(1.2, 2.4))),
                    2, 0.5, 0.12, tone * 0.6)  # fmt: skip


def tiles(rng, height, width):
    tone = tone_of(
        rng, (225, 225, 222), (190, 205, 210), (120, 140, 150), (205, 190, 160), (70, 90, 95)
    )
    down = int(rng.integers(14, 80))
    across = down * int(rng.integers(1, 3))
    return _masonry(rng, height, width, tone, down, across, max(1, down // 20), 0.0, 0.05,
                    tone * 0.75)  # fmt: skip


def wood(rng, height, width):
    tone = tone_of(
        rng, (150, 105, 65), (110, 70, 40), (190, 150, 105), (85, 60, 45), (165, 160, 150)
    )
    plank = int(rng.integers(30, 140))
    grain = 0.16 * noise(rng, height, width, 3, width / 2) + 0.1 * noise(
        rng, height, width, 9, width
    )
    number, joints = _courses(rng, height, width, plank, 10 * width, 2, 0)
    each = rng.uniform(-0.12, 0.12, 251).astype(np.float32)[number]
    made = _shaded(tone, grain + each - 0.4 * joints)
    return (
        np.ascontiguousarray(made.transpose(1, 0, 2))
        if height == width and rng.random() < 0.4
        else made
    )


def asphalt(rng, height, width):
    tone = tone_of(rng, (95, 95, 98), (120, 118, 114), (70, 70, 74))
    return _shaded(
        tone, 0.1 * rough(rng, height, width, height / 2) + _grain(rng, height, width, 0.22)
    )


def foliage(rng, height, width):
    leaf = float(rng.uniform(4, 16))
    light = noise(rng, height, width, leaf) + 0.7 * noise(rng, height, width, leaf * 4)
    tone = tone_of(rng, (70, 100, 45), (50, 85, 40), (100, 120, 60), (120, 100, 50))
    return np.clip(_shaded(tone, 0.75 * light), 4, 240)


def sky(rng, height, width):
    top = tone_of(rng, (90, 140, 205), (150, 180, 215), (180, 185, 190), (60, 80, 120))
    low = np.clip(top * 0.5 + 115, 0, 250)
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    cloud = noise(rng, height, width, height / 3, width / 2)
    cloud += 0.4 * noise(rng, height, width, height / 9, width / 6)
    cloud = np.clip(cloud, 0, 1)[..., None] * 70
    return top * (1 - fade) + low * fade + cloud * (1 - top / 300)


def metal(rng, height, width):
    tone = tone_of(
        rng, (160, 163, 168), (120, 125, 130), (190, 190, 188), (90, 100, 120), (175, 150, 100)
    )
    brushed = 0.06 * noise(rng, height, width, 1.5, width / 3)
    sheen = 0.25 * np.sin(np.linspace(0, float(rng.uniform(2, 7)), width, dtype=np.float32)
                          + float(rng.uniform(0, 6)))[None]  # fmt: skip
    return _shaded(tone, brushed + sheen)


def paper(rng, height, width):
    tone = tone_of(
        rng, (235, 232, 222), (240, 240, 240), (215, 195, 160), (230, 220, 150), spread=8
    )
    return _shaded(
        tone, 0.05 * noise(rng, height, width, height / 3) + _grain(rng, height, width, 0.02)
    )


def fabric(rng, height, width):
    tone = tone_of(rng, (150, 50, 50), (50, 70, 120), (190, 185, 175), (60, 100, 80), (40, 40, 44),
                 (200, 160, 70))  # fmt: skip
    folds = 0.22 * noise(rng, height, width, height / 2, width / 9)
    weave = 0.06 * np.sin(np.arange(width, dtype=np.float32) * 1.9)[None] * np.sin(
        np.arange(height, dtype=np.float32) * 1.9)[:, None]  # fmt: skip
    return _shaded(tone, folds + weave)


def shutter(rng, height, width):
    tone = tone_of(
        rng, (150, 155, 155), (60, 90, 120), (110, 60, 50), (200, 200, 195), (60, 80, 60)
    )
    step = int(rng.integers(6, 22))
    slats = (np.arange(height) % step / step).astype(np.float32)[:, None]
    return _shaded(tone, 0.3 * slats - 0.2 + 0.06 * rough(rng, height, width, height / 3))


def windows(rng, height, width):
    """A house front: panes that mirror the sky in a wall."""
    wall = WALLS[int(rng.integers(len(WALLS)))](rng, height, width)
    across, down = (int(rng.integers(40, 150)) for _ in range(2))
    frame = tone_of(rng, (230, 230, 228), (70, 60, 55), (40, 60, 50))
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
    made = _shaded(
        tone_of(rng, (110, 95, 80), (200, 198, 192), (60, 60, 62)), np.zeros((height, width))
    )
    step = int(rng.integers(34, 90))
    for top in range(-int(rng.integers(0, step)), height, step):
        x = -int(rng.integers(0, 20))
        wide, tone = 20, tone_of(rng, *_PACKAGES, spread=40)
        while x < width:
            if rng.random() < 0.4:  # a few of one kind stand side by side
                wide, tone = int(rng.integers(10, 44)), tone_of(rng, *_PACKAGES, spread=40)
            high = int(step * float(rng.uniform(0.55, 0.82)))
            y0, y1 = max(0, top + step - 5 - high), max(0, top + step - 5)
            made[y0:y1, max(0, x) : max(0, x + wide)] = tone
            made[(3 * y0 + y1) // 4 : (y0 + y1) // 2, max(0, x + 2) : max(0, x + wide - 2)] = (
                255 - tone
            )
            x += wide + int(rng.integers(1, 5))
        made[max(0, top + step - 5) : max(0, top + step - 1)] *= 0.5
    return made + _grain(rng, height, width, 12)[..., None]


_PACKAGES = ((190, 50, 45), (225, 190, 60), (50, 90, 160), (60, 130, 80), (230, 230, 225),
             (150, 90, 150), (220, 130, 60), (50, 45, 45))  # fmt: skip
WALLS = (plaster, brick, stone, tiles, wood, metal, shutter)
ALL = (*WALLS, asphalt, foliage, sky, paper, fabric, windows, goods)


def world(rng: np.random.Generator, height: int, width: int) -> Texture:
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
        picture = _laid(picture.copy(), picture, _leaning(rng, height, width))
    return picture


def _leaning(rng, height, width):
    """Corners of a plane that is seen from the side and fills the picture."""
    near, far = float(rng.uniform(1.3, 2.2)), float(rng.uniform(1.05, 1.2))
    left, right = (near, far) if rng.random() < 0.5 else (far, near)
    middle = height / 2
    return [
        (-0.1 * width, middle * (1 - left)), (1.1 * width, middle * (1 - right)),
        (1.1 * width, middle * (1 + right)), (-0.1 * width, middle * (1 + left)),
    ]  # fmt: skip


def _laid(picture, texture, quad):
    """A texture laid onto four corners of a picture, in place."""
    height, width, _ = texture.shape
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, np.array(quad, np.float32))
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
            frame = tuple(tone_of(rng, (60, 55, 50), (200, 200, 198), (90, 40, 35)).tolist())
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
    _laid(picture, end, _box(x - half, y - 0.25 * height, x + half, y + 0.06 * height))
    road = (asphalt, asphalt, stone, tiles)[int(rng.integers(4))](rng, height, width)
    _laid(
        picture, road, [(x - half, y), (x + half, y), (2.2 * width, height), (-1.2 * width, height)]
    )
    for side, edge in ((-1, 0.0), (1, float(width))):
        kind = (windows, windows, _front, brick, plaster, foliage)[int(rng.integers(6))]
        made = kind(rng, height, width)
        tall = float(rng.uniform(0.5, 1.3)) * height
        near = [(edge, y - tall), (edge, y + 0.5 * height)]
        far = [(x + side * half, y - 0.3 * tall), (x + side * half, y + 0.07 * height)]
        quad = (
            [near[0], far[0], far[1], near[1]] if side < 0 else [far[0], near[0], near[1], far[1]]
        )
        _laid(picture, made * np.float32(rng.uniform(0.6, 1.05)), quad)
    return picture


def _box(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


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
            _laid(picture, made, _box(x, y, x + wide, y + high))
            x0, x1 = np.clip((x, x + wide), 0, width).tolist()
            picture[max(0, min(height, y + high)) :, x0:x1] *= 0.7
    if floor < height:
        ground = (tiles, wood, stone, fabric)[int(rng.integers(4))](rng, height, width)
        quad = [
            (0, floor),
            (width, floor),
            (1.9 * width, 1.1 * height),
            (-0.9 * width, 1.1 * height),
        ]
        _laid(picture, ground * 0.8, quad)
    if rng.random() < 0.35:
        low = height * float(rng.uniform(0.08, 0.25))
        ceiling = _shaded(
            tone_of(rng, (200, 200, 195), (60, 60, 62)), np.zeros((64, 64), np.float32)
        )
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
        tone = tone_of(rng, (45, 45, 50), (60, 70, 100), (120, 55, 48), (150, 146, 138))
        x, foot = int(rng.integers(0, width)), int(height * float(rng.uniform(0.8, 1.15)))
        if rng.random() < 0.5:
            wide = int(rng.integers(2, 8))
            cv2.line(picture, (x, 0), (x, foot), (tone * 0.6).tolist(), wide + 2, cv2.LINE_AA)
            cv2.line(picture, (x - 1, 0), (x - 1, foot), tone.tolist(), wide, cv2.LINE_AA)
            continue
        high = int(height * float(rng.uniform(0.2, 0.6)))
        legs = tone_of(rng, (40, 45, 60), (70, 65, 60), (30, 30, 32)).tolist()
        for way in (-1, 1):
            stand = (x + way * high // 12, foot)
            cv2.line(picture, (x, foot - high // 2), stand, legs, max(2, high // 9), cv2.LINE_AA)
        body = (x, foot - round(0.66 * high))
        cv2.ellipse(
            picture, body, (high // 7, high // 5), 0, 0, 360, tone.tolist(), -1, cv2.LINE_AA
        )
        skin = tone_of(rng, (215, 175, 150), (150, 105, 80), (60, 45, 40)).tolist()
        head = (x, foot - round(0.93 * high))
        cv2.ellipse(picture, head, (high // 17, high // 13), 0, 0, 360, skin, -1, cv2.LINE_AA)
