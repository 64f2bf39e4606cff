"""Things to hold: bottles, jars, tins, mugs, boxes, bags, fruit."""

import math

from mathutils import Vector

from ..materials import glass, plain, wood
from ..plan import Thing
from ..stage import Face, Frame, flat, round_face


def bottle(frame: Frame, thing: Thing) -> None:
    look = thing.look
    radius, height = look.get("radius", 0.042), look.get("height", 0.26)
    body = height * look.get("body", 0.62)
    neck = radius * look.get("neck", 0.42)
    outside = [(radius * 0.9, 0), (radius, 0.006), (radius, body)]
    for step in range(1, 9):  # the shoulder: from the body's width to the neck's in a soft S
        part = step / 8
        soft = part * part * (3 - 2 * part)
        outside.append((radius + (neck - radius) * soft, body + (height * 0.2) * part))
    outside += [(neck, height * 0.94), (neck * 1.12, height * 0.945), (neck * 1.12, height)]
    clear = look.get("glass", "#f4fbf8")
    wall = 0.0022
    inside = [(max(r - wall, 0.001), max(z, 0.006)) for r, z in reversed(outside)]
    frame.lathe([(0, 0), *outside, *inside, (0, 0.006)], glass(clear))
    if look.get("drink"):
        level = look.get("level", 0.84) * height
        # It reaches into the glass: an air gap between them would mirror the room all around.
        filled = [(r - wall + 0.0006, max(z, 0.004)) for r, z in outside if z < level]
        top = filled[-1][0]
        drink = plain(look["drink"], 0.25, vary=0.03, Subsurface_Weight=0.3, Subsurface_Scale=0.02)
        frame.lathe([(0, 0.004), *filled, (top, level), (0, level)], drink)
    cap = plain(look.get("cap", "#b9bdc2"), 0.3, look.get("cap_metal", 0.0))
    ribs = [(neck * 1.2, height * 0.95), (neck * 1.2, height * 1.03), (neck * 1.1, height * 1.04)]
    frame.lathe([(0, height * 0.95), *ribs, (0, height * 1.04)], cap, crease=True)
    tall = look.get("label", 0.42) * height
    low = look.get("label_at", 0.1) * height
    frame.prints(thing, {
        "label": round_face(radius + 0.0003, low, tall, look.get("angle", 150)),
    })  # fmt: skip


def jar(frame: Frame, thing: Thing) -> None:
    look = thing.look
    radius, height = look.get("radius", 0.045), look.get("height", 0.12)
    frame.lathe([(0, 0), (radius * 0.93, 0), (radius, 0.008), (radius, height * 0.82),
                 (radius * 0.86, height * 0.88), (radius * 0.86, height * 0.9), (0, height * 0.9)],
                plain(look.get("fill", "#8c2f22"), 0.08, vary=0.25, grain=40,
                      Coat_Weight=1.0))  # fmt: skip
    lid = plain(look.get("lid", "#c9b27c"), 0.3, 0.8)
    frame.disc(radius * 0.93, height * 0.87, lid, thick=height * 0.14)
    frame.prints(thing, {"label": round_face(radius + 0.0003, height * 0.14, height * 0.56, 150)})


def can(frame: Frame, thing: Thing) -> None:
    look = thing.look
    radius, height = look.get("radius", 0.038), look.get("height", 0.11)
    tin = plain("#c6c8ca", 0.25, 1.0, vary=0.05)
    frame.lathe([(0, 0), (radius, 0), (radius * 1.02, 0.002), (radius, 0.004), (radius, height),
                 (radius * 1.02, height + 0.002), (radius * 0.97, height + 0.003),
                 (radius * 0.95, height - 0.002), (0, height - 0.002)], tin,
                 crease=True)  # fmt: skip
    paper = plain(look.get("paper", "#d8c9a2"), 0.4, vary=0.06)
    frame.lathe([(radius + 0.0004, 0.006), (radius + 0.0004, height - 0.004)], paper)
    face = round_face(radius + 0.0006, 0.006, height - 0.01, 170)
    frame.prints(thing, {"label": face})


def mug(frame: Frame, thing: Thing) -> None:
    look = thing.look
    radius, height = look.get("radius", 0.043), look.get("height", 0.1)
    glaze = plain(look.get("colour", "#e9e4d8"), 0.18, vary=0.06, grain=14, Coat_Weight=0.6)
    thick = 0.0035
    frame.lathe([(0, 0.001), (radius * 0.9, 0), (radius, 0.008), (radius, height - 0.002),
                 (radius - thick / 2, height), (radius - thick, height - 0.003),
                 (radius - thick, 0.01), (0, 0.009)], glaze)  # fmt: skip
    if look.get("drink"):
        brew = plain(look["drink"], 0.08, vary=0.3, grain=30)
        frame.disc(radius - thick, height * 0.86, brew)
    if look.get("handle", True):
        way = math.radians(look.get("handle_turn", 0))
        ring = [(radius * 0.96 + 0.028 * math.sin(a), height * 0.5 + 0.034 * math.cos(a))
                for a in (math.pi * k / 20 for k in range(21))]  # fmt: skip
        frame.tube([(r * math.cos(way), r * math.sin(way), z) for r, z in ring], 0.0058, glaze)
    frame.prints(thing, {"front": round_face(radius + 0.0002, height * 0.1, height * 0.8, 125)})


def box(frame: Frame, thing: Thing) -> None:
    """A carton, or with `flaps` a parcel with tape over its lid."""
    look = thing.look
    wide, deep, high = look.get("size", (0.19, 0.06, 0.28))
    card = plain(look.get("colour", "#b48a5c"), look.get("rough", 0.7), vary=0.08, grain=20,
                 bump=0.0006, bump_grain=60)  # fmt: skip
    frame.box((-wide / 2, -deep / 2, 0), (wide / 2, deep / 2, high), card,
              look.get("bevel", 0.0025))  # fmt: skip
    if look.get("flaps"):
        tape = plain("#c9a468", 0.2, vary=0.05)
        half = wide * 0.07
        frame.box((-half, -deep / 2 - 0.0007, high * 0.84),
                  (half, deep / 2 + 0.0007, high + 0.0007),
                  tape, 0)  # fmt: skip
        dark = plain("#5b4128", 0.9)
        frame.box((-0.001, -deep / 2, high), (0.001, deep / 2, high + 0.0011), dark, 0)
    edge = 0.003
    frame.prints(thing, {
        "front": flat(-wide / 2 + edge, edge, wide - 2 * edge, high - 2 * edge, -deep / 2),
    })  # fmt: skip


def bag(frame: Frame, thing: Thing) -> None:
    """A bag of paper or cloth: creased sides, and two handles."""
    look = thing.look
    wide, deep, high = look.get("size", (0.36, 0.1, 0.38))
    chance = frame.random
    waves = [(chance.uniform(3, 17), chance.uniform(3, 17), chance.uniform(0, 6.3), s)
             for s in (1, 1, 0.6, 0.5, 0.4)]  # fmt: skip

    def crease(x: float, z: float) -> float:
        wave = sum(s * math.sin(a * x + b * z + c) for a, b, c, s in waves)
        return look.get("crease", 0.0075) * wave - 0.3 * deep * math.cos(math.pi * x / wide) * (
            1 - 0.5 * z / high)  # fmt: skip

    def front(u: float, v: float, up: float) -> Vector:
        x, z = (u - 0.5) * wide, v * high
        return Vector((x, crease(x, z) - deep * 0.2 - up, z))

    def back(u: float, v: float, up: float) -> Vector:
        x, z = (u - 0.5) * wide, v * high
        return Vector((x, deep * 0.5 - crease(x, z) * 0.5, z))

    cloth = plain(look.get("colour", "#d9ccb0"), 0.9, vary=0.08, bump=0.0008,
                  bump_grain=look.get("weave", 900))  # fmt: skip
    for surface in (front, back):
        frame.sheet(Face(surface, wide, high, (60, 60)), cloth)
    for start in (-1, 1):
        edge = [front(0.5 + start * 0.5, k / 20, 0) for k in range(21)]
        other = [back(0.5 + start * 0.5, k / 20, 0) for k in range(21)]
        faces = [(k, k + 1, k + 22, k + 21) for k in range(20)]
        frame.mesh([*edge, *other], faces, cloth, smooth=True)
    strap = plain(look.get("strap", look.get("colour", "#d9ccb0")), 0.9)
    for y in (-deep * 0.25, deep * 0.3):
        arc = [(0.24 * wide * math.cos(math.pi * k / 24), y,
                high - 0.02 + look.get("handle", 0.5) * wide * math.sin(math.pi * k / 24))
               for k in range(25)]  # fmt: skip
        frame.tube(arc, 0.006, strap)

    def inner(u: float, v: float, up: float) -> Vector:
        return front(0.08 + 0.84 * u, 0.08 + 0.8 * v, up)

    frame.prints(thing, {"front": Face(inner, wide * 0.84, high * 0.8, (60, 60), 0.0006)})


def crate(frame: Frame, thing: Thing) -> None:
    """Slats nailed to posts, filled with fruit if `fruit` says its colours."""
    look = thing.look
    wide, deep, high = look.get("size", (0.5, 0.34, 0.26))
    boards = [wood(tone, 0.7) for tone in look.get("wood", ("#b58a58", "#c49a66", "#a87d4e"))]
    slat, gap = look.get("slat", 0.105), 0.012
    for row in range(int((high + gap) / (slat + gap))):
        z = row * (slat + gap)
        for y in (-deep / 2, deep / 2 - 0.009):
            frame.box(
                (-wide / 2, y, z), (wide / 2, y + 0.009, z + slat), frame.random.choice(boards)
            )
        for x in (-wide / 2, wide / 2 - 0.009):
            frame.box((x, -deep / 2 + 0.01, z), (x + 0.009, deep / 2 - 0.01, z + slat),
                      frame.random.choice(boards))  # fmt: skip
    for x in (-1, 1):
        for y in (-1, 1):
            px, py = x * (wide / 2 - 0.024), y * (deep / 2 - 0.024)
            frame.box((px - 0.014, py - 0.014, 0), (px + 0.014, py + 0.014, high), boards[0])
    frame.box((-wide / 2, -deep / 2, 0), (wide / 2, deep / 2, 0.01), boards[1])
    if look.get("fruit"):
        heap(frame, look["fruit"], wide - 0.06, deep - 0.06, high - look.get("low", 0.03),
             look.get("fruit_size", 0.037), look.get("squash", 0.92))  # fmt: skip
    faces = {f"slat{row}": flat(-wide / 2, row * (slat + gap), wide, slat, -deep / 2)
             for row in range(4)}  # fmt: skip
    frame.prints(thing, faces)


def heap(frame: Frame, colours, wide: float, deep: float, height: float, size: float,
         squash: float) -> None:  # fmt: skip
    """A heap of fruit: two layers in rows, every one a little out of its place."""
    skins = [plain(c, 0.32, vary=0.3, grain=22, bump=0.0007, bump_grain=260, Subsurface_Weight=0.08)
             for c in colours]  # fmt: skip
    chance = frame.random
    stem = plain("#4a3a22", 0.8)
    for layer, inset in ((0, 0.0), (1, size)):
        across = max(1, int((wide - 2 * inset) / (2.02 * size)))
        back = max(1, int((deep - 2 * inset) / (1.95 * size)))
        for i in range(across):
            for j in range(back):
                x = (i + 0.5) / across * (wide - 2 * inset) - wide / 2 + inset
                y = (j + 0.5) / back * (deep - 2 * inset) - deep / 2 + inset
                spot = (x + chance.uniform(-0.1, 0.1) * size, y + chance.uniform(-0.1, 0.1) * size,
                        height + layer * size * 1.25 + chance.uniform(-0.15,
                                        0.15) * size)  # fmt: skip
                one = size * chance.uniform(0.9, 1.06)
                frame.ball(spot, one, chance.choice(skins), squash)
                top = (spot[0], spot[1], spot[2] + one * squash * 0.94)
                lean = (top[0] + one * 0.1, top[1] + one * 0.06, top[2] + one * 0.2)
                frame.tube([top, lean], one * 0.05, stem)


def fruit(frame: Frame, thing: Thing) -> None:
    """A heap without a crate."""
    look = thing.look
    heap(frame, look["fruit"], *look.get("area", (0.3, 0.2)), look.get("size", 0.037),
         look.get("size", 0.037), look.get("squash", 0.92))  # fmt: skip


def plant(frame: Frame, thing: Thing) -> None:
    look = thing.look
    size = look.get("size", 0.09)
    pot = plain(look.get("pot", "#a8593a"), 0.8, vary=0.2, bump=0.001)
    frame.lathe([(0, 0), (size * 0.6, 0), (size * 0.8, size * 1.1), (size * 0.88, size * 1.1),
                 (size * 0.88, size * 1.3), (size * 0.76, size * 1.3), (size * 0.74, size * 1.15),
                 (0, size * 1.15)], pot, crease=True)  # fmt: skip
    green = [plain(c, 0.5, vary=0.3, Subsurface_Weight=0.1)
             for c in look.get("leaves", ("#3f6b2e", "#5f8a3c"))]  # fmt: skip
    frame.leaves((0, 0, size * 2.1), (size, size, size * 0.9), look.get("count", 260), size * 0.24,
                 green)  # fmt: skip


BUILDERS = {
    "bottle": bottle, "jar": jar, "can": can, "mug": mug, "box": box, "bag": bag, "crate": crate,
    "fruit": fruit, "plant": plant,
}  # fmt: skip
