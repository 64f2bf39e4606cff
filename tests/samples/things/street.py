"""The street: shop fronts, houses, trees, lamps, market stalls, the ground."""

from mathutils import Vector

from ..materials import brick, glow, pane, plain, tiles, wood
from ..plan import Thing
from ..stage import Face, Frame, flat
from .places import slabs


def ground(frame: Frame, thing: Thing) -> None:
    """A pavement along y = 0, its kerb, and the road before it."""
    deep = thing.look.get("pavement", 3.0)
    half = thing.look.get("half", 30)
    slabs(frame, (-half, -deep), (half, 0.3), 0.12)
    stone = plain("#8f8d88", 0.85, vary=0.3, bump=0.003)
    for x in range(-half, half):
        frame.box((x + 0.004, -deep - 0.15, -0.05), (x + 0.996, -deep, 0.125), stone, 0.012)
    tar = plain("#4b4b4c", 0.92, vary=0.22, grain=4, bump=0.004, bump_grain=160)
    frame.box((-half, -deep - 9, -0.2), (half, -deep - 0.1, 0), tar, 0)
    if thing.look.get("line", True):
        white = plain("#c9c7c0", 0.7, vary=0.2, grain=30)
        frame.box((-half, -deep - 0.5, 0), (half, -deep - 0.4, 0.003), white, 0)
    slabs(frame, (-half, -deep - 40), (half, -deep - 9), 0.1)


def house(frame: Frame, thing: Thing) -> None:
    """A front with rows of windows, for what stands across the street or above."""
    look = thing.look
    wide, high, low = look.get("size", (9, 9))[0], look.get("size", (9, 9))[1], look.get("low", 0)
    body = brick() if look.get("brick") else plain(
        look.get("colour", "#c8bca4"), 0.9, vary=0.12, grain=1.2, bump=0.004,
        bump_grain=20)  # fmt: skip
    frame.box((-wide / 2, 0, low), (wide / 2, 8, high), body, 0)
    trim = plain(look.get("trim", "#ddd6c8"), 0.7, vary=0.1)
    dark = plain("#1c2229", 0.08, vary=0.2)
    lit = glow("#ffcf8a", look.get("strength", 2.5))
    columns, step = max(1, int(wide / 2.2)), look.get("storey", 2.9)
    z = low + 1.1
    while z + 1.6 < high:
        for number in range(columns):
            x = (number + 0.5) / columns * wide - wide / 2
            shows = lit if frame.random.random() < look.get("lit", 0.0) else dark
            frame.box((x - 0.55, -0.02, z), (x + 0.55, 0.05, z + 1.55), shows, 0)
            for left, right, bottom, top in ((-0.65, 0.65, 1.55, 1.7), (-0.65, 0.65, -0.1, 0),
                                             (-0.62, -0.53, 0, 1.55), (0.53, 0.62, 0, 1.55),
                                             (-0.02, 0.02, 0, 1.55), (-0.53, 0.53, 0.78,
                                        0.82)):  # fmt: skip
                frame.box((x + left, -0.06, z + bottom), (x + right, 0.05, z + top), trim, 0.006)
        z += step
    frame.box((-wide / 2 - 0.1, -0.3, high - 0.3), (wide / 2 + 0.1, 0.1, high), trim, 0.03)


def tree(frame: Frame, thing: Thing) -> None:
    look = thing.look
    high, crown = look.get("height", 2.6), look.get("crown", 1.8)
    bark = plain("#5a4a3c", 0.95, vary=0.4, grain=14, bump=0.012, bump_grain=30)
    frame.lathe([(0.2, 0), (0.14, 0.5), (0.1, high + crown * 0.4)], bark, steps=20)
    for _ in range(7):
        lean = [frame.random.uniform(-0.7, 0.7) * crown for _ in range(2)]
        frame.tube([(0, 0, high * 0.8), (*lean, high + crown * 0.8)], 0.035, bark)
    green = [plain(c, 0.55, vary=0.3) for c in look.get("leaves", ("#4c6b2a", "#6d8a38"))]
    frame.leaves((0, 0, high + crown * 0.8), (crown, crown, crown * 0.85), look.get("count", 5000),
                 look.get("leaf", 0.09), green)  # fmt: skip


def lamp_post(frame: Frame, thing: Thing) -> None:
    iron = plain("#22262a", 0.45, 0.5)
    frame.lathe([(0.09, 0), (0.09, 0.5), (0.05, 0.6), (0.04, 3.4)], iron, steps=24)
    frame.ball((0, 0, 3.55), 0.17, glow("#ffe2ae", thing.look.get("strength", 0.6)))
    frame.disc(0.2, 3.7, iron, thick=0.05)


def shop(frame: Frame, thing: Thing) -> None:
    """A shop front at y = 0, its floor at height 0: fascia, display window and door."""
    look = thing.look
    wide = look.get("width", 6.0)
    timber = plain(look.get("colour", "#24453c"), 0.3, vary=0.07, grain=5, bump=0.0006,
                   bump_grain=30)  # fmt: skip
    half = wide / 2
    base, head, top = 0.62, 2.45, 3.15
    gate = half - 1.35  # where the door begins
    for x in (-half, half - 0.28, gate - 0.2):
        frame.box((x, -0.1, 0), (x + (0.28 if x != gate - 0.2 else 0.16), 0.1, head), timber, 0.008)
        frame.box((x - 0.02, -0.13, 0), (x + 0.3 if x != gate - 0.2 else x + 0.18, 0.1, 0.22),
                  timber, 0.008)  # fmt: skip
    frame.box((-half, -0.06, 0), (gate, 0.06, base), timber, 0.006)
    for x in (-half + 0.4, -half + 0.4 + (gate + half) / 2 - 0.2):
        frame.box((x, -0.085, 0.12), (x + (gate + half) / 2 - 0.5, 0, base - 0.1), timber, 0.012)
    frame.box((-half, -0.14, base), (gate, 0.1, base + 0.06), timber, 0.01)
    board = plain(look.get("fascia", look.get("colour", "#24453c")), 0.35, vary=0.05, grain=4)
    frame.box((-half, -0.16, head), (half, 0.1, top), board, 0.008)
    frame.box((-half - 0.08, -0.34, top), (half + 0.08, 0.1, top + 0.1), timber, 0.012)
    frame.box((-half - 0.04, -0.2, head - 0.05), (half + 0.04, 0.1, head + 0.02), timber, 0.01)
    bars = look.get("bars", 2)
    left, right = -half + 0.28, gate - 0.2
    for number in range(1, bars):
        x = left + (right - left) * number / bars
        frame.box((x - 0.03, -0.05, base), (x + 0.03, 0.05, head), timber, 0.006)
    frame.box((left, 0.0, base + 0.05), (right, 0.006, head), pane(look.get("dark", 0.1)), 0)
    # The door: a leaf with a tall pane.
    d0, d1 = gate + 0.0, half - 0.3
    for low, high in (((d0, 0.0), (d1, 0.45)), ((d0, head - 0.3), (d1, head)),
                      ((d0, 0.0), (d0 + 0.12, head)), ((d1 - 0.12, 0.0), (d1, head))):  # fmt: skip
        frame.box((low[0], -0.02, low[1]), (high[0], 0.04, high[1]), timber, 0.006)
    frame.box(
        (d0 + 0.1, 0.005, 0.4), (d1 - 0.1, 0.011, head - 0.25), pane(look.get("dark", 0.1)), 0
    )
    brass = plain("#b08d4a", 0.22, 1.0)
    frame.tube([(d0 + 0.06, -0.08, 0.95), (d0 + 0.06, -0.08, 1.35)], 0.014, brass)
    _inside(frame, look, half, left, right)
    if look.get("wall", "brick") == "brick":
        above = brick()
    else:
        above = plain(look["wall"], 0.9, vary=0.12, grain=1.5, bump=0.004, bump_grain=26)
    frame.box((-half - 6, 0.02, top), (half + 6, 3, 8), above, 0)
    for x in (-half - 6, half):
        frame.box((x, 0.02, 0), (x + 6, 0.5, top), above, 0)
    if look.get("awning"):
        _awning(frame, look["awning"], half, head)
    frame.prints(thing, {
        "fascia": flat(-half + 0.1, head + 0.05, wide - 0.2, top - head - 0.1, -0.16),
        "window": flat(left, base + 0.1, right - left, head - base - 0.1, -0.003, 0.002),
        "door": flat(d0 + 0.12, 0.6, d1 - d0 - 0.24, head - 1.0, 0.004, 0.002),
    })  # fmt: skip


def _inside(frame: Frame, look: dict, half: float, left: float, right: float) -> None:
    """The room behind the window: shelves with goods in a warm light."""
    room = plain(look.get("room", "#b79f7c"), 0.9)
    frame.box((-half, 3.0, 0), (half, 3.1, 3.1), room, 0)
    for x in (-half - 0.05, half):
        frame.box((x, 0.1, 0), (x + 0.05, 3.0, 3.1), room, 0)
    frame.box((-half, 0.1, -0.02), (half, 3.0, 0.02), wood("#7d5836", 0.5), 0)
    frame.box((-half, 0.1, 2.9), (half, 3.0, 3.1), room, 0)
    light = glow("#ffd9a0", look.get("lamps", 9.0))
    for x in (-half * 0.6, -half * 0.1, half * 0.5):
        frame.ball((x, 1.1, 2.3), 0.09, light)
        frame.tube([(x, 1.1, 2.4), (x, 1.1, 2.9)], 0.006, room)
    frame.box((-half * 0.8, 1.6, 2.86), (half * 0.8, 2.4, 2.89), light, 0)
    board = wood("#6d4a2c", 0.5)
    chance = frame.random
    tones = [plain(c, 0.5, vary=0.3, grain=20) for c in look.get(
        "goods", ("#c48a4a", "#a8672f", "#d8b27a", "#7c4a26"))]  # fmt: skip
    for z in (0.5, 0.95, 1.4, 1.85):
        frame.box((-half + 0.1, 2.6, z), (half - 0.2, 2.95, z + 0.03), board)
        x = -half + 0.15
        while x < half - 0.5:
            _good(frame, look, (x, 2.75, z + 0.03), chance.choice(tones), chance)
            x += chance.uniform(0.1, 0.3)
    frame.box((left, 0.15, 0.6), (right, 0.75, 0.66), board)
    x = left + 0.15
    while x < right - 0.2:
        _good(frame, look, (x, 0.4, 0.66), chance.choice(tones), chance)
        x += chance.uniform(0.16, 0.34)


def _good(frame: Frame, look: dict, at, material, chance) -> None:
    x, y, z = at
    what = look.get("sells", "bread")
    if what == "bread":
        size = chance.uniform(0.06, 0.11)
        frame.ball((x, y, z + size * 0.6), size, material, 0.65)
    elif what == "books":
        for number in range(3):
            high = chance.uniform(0.18, 0.3)
            frame.box((x + number * 0.04, y - 0.08, z),
                      (x + number * 0.04 + 0.035, y + 0.08, z + high),
                      material)  # fmt: skip
    else:
        radius, high = chance.uniform(0.04, 0.07), chance.uniform(0.1, 0.28)
        frame.lathe([(0, 0), (radius, 0), (radius, high), (radius * 0.4, high * 1.3),
                     (radius * 0.4, high * 1.5), (0, high * 1.5)], material, at, 24)  # fmt: skip


def _awning(frame: Frame, colours, half: float, head: float) -> None:
    """Striped cloth on a slope with a hanging edge."""
    out, drop, stripes = 1.0, 0.42, max(6, int(half * 5))
    for number in range(stripes):
        cloth = plain(colours[number % 2], 0.9, vary=0.08)
        x0 = -half + 2 * half * number / stripes
        x1 = -half + 2 * half * (number + 1) / stripes
        top, low = head + 0.0, head - drop
        frame.mesh([(x0, -0.17, top), (x1, -0.17, top), (x1, -out, low), (x0, -out, low),
                    (x1, -out, low - 0.2), (x0, -out, low - 0.2)],
                   [(0, 1, 2, 3), (3, 2, 4, 5)], cloth)  # fmt: skip


def stall(frame: Frame, thing: Thing) -> None:
    """A market stall: a sloping counter below a striped roof; `banner` takes a print."""
    look = thing.look
    wide, deep = look.get("size", (3.2, 1.2))
    post = wood("#8a6a48", 0.7, "z")
    for x in (-wide / 2, wide / 2 - 0.06):
        for y in (-deep / 2, deep / 2):
            frame.box((x, y, 0), (x + 0.06, y + 0.06, 2.35), post)
    frame.box((-wide / 2, -deep / 2, 0.7), (wide / 2, deep / 2, 0.74), wood("#8a6a48", 0.7))
    cloth = plain(look.get("cloth", "#3d5a3a"), 0.95, vary=0.1, bump=0.002, bump_grain=40)
    frame.box((-wide / 2 - 0.02, -deep / 2 - 0.02, 0.05), (wide / 2 + 0.02, -deep / 2, 0.745),
              cloth,
              0.004)  # fmt: skip
    colours = look.get("roof", ("#b23a2c", "#e9e2d2"))
    count = 16
    for number in range(count):
        strip = plain(colours[number % 2], 0.9, vary=0.08, Alpha=1.0)
        x0 = -wide / 2 - 0.2 + (wide + 0.4) * number / count
        x1 = x0 + (wide + 0.4) / count
        frame.mesh([(x0, -deep / 2 - 0.35, 2.1), (x1, -deep / 2 - 0.35, 2.1),
                    (x1, deep / 2 + 0.1, 2.6),
                    (x0, deep / 2 + 0.1, 2.6), (x0, -deep / 2 - 0.35, 1.86),
                    (x1, -deep / 2 - 0.35, 1.86)], [(0, 1, 2, 3), (4, 5, 1, 0)], strip)  # fmt: skip
    face = Face(lambda u, v, up: Vector(((u - 0.5) * wide * 0.9, -deep / 2 - 0.36 - up,
                                         1.8 + 0.34 * v)), wide * 0.9, 0.34,
                                        lift=0.004)  # fmt: skip
    frame.prints(thing, {
        "banner": face,
        "cloth": flat(-wide / 2 + 0.1, 0.12, wide - 0.2, 0.56, -deep / 2 - 0.021, 0.002),
    })  # fmt: skip


def paving(frame: Frame, thing: Thing) -> None:
    """Cobbles: the floor of a market."""
    stone = tiles(("#77726a", "#89847b", "#4c4842"), 0.16, 0.12, 0.012, 0.85, "xy", 0.5, 0.6)
    frame.box((-20, -12, -0.1), (20, 20, 0), stone, 0)


BUILDERS = {
    "ground": ground, "house": house, "tree": tree, "lamp post": lamp_post, "shop": shop,
    "stall": stall, "paving": paving,
}  # fmt: skip
