"""Paper and cloth: books, posters, tickets, newspapers, price cards, shirts."""

import math

from mathutils import Vector

from ..materials import plain, wood
from ..plan import Thing
from ..stage import Face, Frame, flat


def book(frame: Frame, thing: Thing) -> None:
    """A bound book that stands; its spine is at its left."""
    look = thing.look
    wide, thick, high = look.get("size", (0.14, 0.03, 0.21))
    cover = plain(look.get("colour", "#6b2f2a"), look.get("rough", 0.55), vary=0.1, grain=30,
                  bump=0.0003, bump_grain=700)  # fmt: skip
    board, inset = 0.0025, 0.004
    y0, y1 = -thick / 2, thick / 2
    frame.box((0, y0, 0), (wide, y0 + board, high), cover, 0.0008)
    frame.box((0, y1 - board, 0), (wide, y1, high), cover, 0.0008)
    frame.box((0, y0, 0), (board, y1, high), cover, 0.0012)
    leaves = plain("#e4dac2", 0.9, vary=0.12, grain=14)
    frame.box((board, y0 + board, inset), (wide - inset, y1 - board, high - inset), leaves, 0)
    sheet = plain("#b9ad92", 0.9)
    for _ in range(22):  # some leaves stand out by a hair, so that the block is not one solid
        y = frame.random.uniform(y0 + board, y1 - board)
        out = frame.random.uniform(0.0001, 0.0007)
        frame.box((board, y, inset - out), (wide - inset + out, y + 0.00025, high - inset + out),
                  sheet, 0)  # fmt: skip
    # The title on a spine runs downwards: its u is the height from the top.
    spine = Face(lambda u, v, up: Vector((-up, y1 - v * thick, high * (1 - u))), high, thick)
    frame.prints(thing, {
        "front": flat(0, 0, wide, high, y0),
        "spine": spine,
    })  # fmt: skip


def poster(frame: Frame, thing: Thing) -> None:
    """A sheet on a wall, its corners a little off it, held by tape."""
    look = thing.look
    wide, high = look.get("size", (0.5, 0.7))
    curl = look.get("curl", 0.012)
    phase = frame.random.uniform(0, 6)

    def at(u: float, v: float, up: float) -> Vector:
        off = curl * (abs(2 * u - 1) ** 4 * abs(2 * v - 1) ** 3)
        off += curl * 0.12 * (1 + math.sin(9 * u + 4 * v + phase))
        return Vector(((u - 0.5) * wide, -0.004 - off - up, v * high))

    face = Face(at, wide, high, (30, 30), 0.0006)
    frame.sheet(face, plain(look.get("paper", "#efe9dc"), 0.7, vary=0.05))
    frame.prints(thing, {"front": face})
    if look.get("tape", True):
        tape = plain("#d8cfae", 0.25, vary=0.1, Alpha=0.75)
        for u in (0.02, 0.98):
            middle = at(u, 0.985, 0.0012)
            x, y, z = middle
            frame.box((x - 0.022, y - 0.0004, z - 0.012), (x + 0.022, y, z + 0.016), tape, 0)


def ticket(frame: Frame, thing: Thing) -> None:
    """A slip of thin card, bent a little; `notch` perforates its left end."""
    look = thing.look
    wide, high = look.get("size", (0.15, 0.065))
    bend = look.get("bend", 0.004)

    def at(u: float, v: float, up: float) -> Vector:
        rise = bend * (2 * u - 1) ** 2 * (0.6 + 0.4 * v)
        return Vector(((u - 0.5) * wide, -0.0005 - rise - up, v * high))

    face = Face(at, wide, high, (24, 6), 0.0002)
    frame.sheet(face, plain(look.get("paper", "#e9dfc8"), 0.8, vary=0.06, grain=60, bump=0.0001,
                            bump_grain=900))  # fmt: skip
    frame.prints(thing, {"front": face})


def newspaper(frame: Frame, thing: Thing) -> None:
    """A folded newspaper: two layers, and columns of grey for the text nobody reads."""
    look = thing.look
    wide, high = look.get("size", (0.3, 0.2))

    def at(u: float, v: float, up: float) -> Vector:
        wave = 0.003 * math.sin(5 * u + 2) + 0.002 * math.sin(8 * v)
        return Vector(((u - 0.5) * wide, -0.012 - wave - up, v * high))

    paper = plain("#d9d4c6", 0.95, vary=0.08, grain=50)
    face = Face(at, wide, high, (30, 20), 0.0003)
    frame.sheet(face, paper)
    frame.box((-wide / 2 + 0.003, -0.0045, 0.002), (wide / 2 + 0.004, 0, high), paper, 0.001)
    frame.prints(thing, {"front": face})


def card(frame: Frame, thing: Thing) -> None:
    """A price card on a stick."""
    look = thing.look
    wide, high = look.get("size", (0.16, 0.1))
    stick = look.get("stick", 0.12)
    if stick:
        frame.box((-0.006, 0.001, -stick), (0.006, 0.006, high * 0.6), wood("#c7a878", 0.7, "z"))
    frame.box((-wide / 2, -0.001, 0), (wide / 2, 0.001, high),
              plain(look.get("colour", "#f0ead8"), 0.6, vary=0.04), 0.0006)  # fmt: skip
    frame.prints(thing, {"front": flat(-wide / 2, 0, wide, high, -0.001)})


def shirt(frame: Frame, thing: Thing) -> None:
    """A T-shirt on a hanger: a front and a back with folds that fall from the shoulders."""
    look = thing.look
    half, long, arm = 0.25, 0.68, 0.17
    chance = frame.random
    folds = [(chance.uniform(9, 30), chance.uniform(0, 6.3), chance.uniform(-4, 4),
              chance.uniform(0.4, 1)) for _ in range(6)]  # fmt: skip

    def fold(x: float, z: float) -> float:
        depth = 0.35 + 0.65 * min(1.0, max(0.0, (long - z) / long))
        wave = sum(s * math.sin(a * x + b + c * z) for a, b, c, s in folds)
        return look.get("folds", 0.006) * depth * wave

    def bulge(x: float) -> float:
        return 0.055 * math.sqrt(max(0.0, 1 - (x / (half + 0.02)) ** 2))

    def top(x: float, scoop: float) -> float:
        slope = long - 0.055 * (abs(x) / half) ** 1.3
        neck = 0.085
        dip = scoop * math.sqrt(max(0.0, 1 - (x / neck) ** 2)) if abs(x) < neck else 0.0
        return slope - dip

    def body(sign: int, scoop: float) -> Face:
        def at(u: float, v: float, up: float) -> Vector:
            x = (2 * u - 1) * (half - 0.012 * math.sin(3 * v))
            z = v * top(x, scoop)
            return Vector((x, sign * (bulge(x) + fold(x, z)) + sign * up, z))

        return Face(at, 2 * half, long, (140, 80))

    def sleeve(sign: int, layer: int) -> Face:
        def at(u: float, v: float, up: float) -> Vector:
            start, drop = long - 0.055, 0.21
            x = sign * (half - 0.015 + arm * 0.8 * u)
            upper = start - arm * 0.75 * u
            z = upper - (1 - v) * (drop - 0.03 * u)
            round_ = 0.04 * math.sin(math.pi * (0.06 + 0.9 * v))
            return Vector((x, layer * (round_ + 0.5 * fold(3 * u * arm, z)), z))

        return Face(at, arm, 0.2, (30, 24))

    cloth = plain(look.get("colour", "#2f4f6f"), 0.95, vary=0.06, grain=40, bump=0.0005,
                  bump_grain=1500, Sheen_Weight=0.25)  # fmt: skip
    frame.sheet(body(1, 0.02), cloth)
    front = body(-1, 0.085)
    frame.sheet(front, cloth)
    for sign in (-1, 1):
        for layer in (-1, 1):
            frame.sheet(sleeve(sign, layer), cloth)
    for scoop, layer in ((0.085, -1), (0.02, 1)):
        rim = [
            (x, layer * bulge(x), top(x, scoop)) for x in (0.088 * k / 20 for k in range(-20, 21))
        ]
        frame.tube(rim, 0.0075, cloth)
    bar = wood("#8a5a34", 0.35)
    shoulder = [(x, 0, long + 0.012 - 0.05 * (abs(x) / half) ** 1.3) for x in
                (half * 0.9 * k / 16 for k in range(-16, 17))]  # fmt: skip
    frame.tube(shoulder, 0.011, bar)
    hook = [(0, 0, long), (0, 0, long + 0.07)]
    hook += [(0.022 - 0.022 * math.cos(a), 0, long + 0.07 + 0.022 * math.sin(a))
             for a in (math.pi * k / 12 for k in range(1, 13))]  # fmt: skip
    frame.tube(hook, 0.0022, plain("#c9c9c9", 0.2, 1.0))

    def chest(u: float, v: float, up: float) -> Vector:
        x, z = (u - 0.5) * 0.4, 0.24 + 0.3 * v
        return Vector((x, -bulge(x) - fold(x, z) - up, z))

    frame.prints(thing, {"front": Face(chest, 0.4, 0.3, (100, 70), 0.0022)})


BUILDERS = {
    "book": book, "poster": poster, "ticket": ticket, "newspaper": newspaper, "card": card,
    "shirt": shirt,
}  # fmt: skip
