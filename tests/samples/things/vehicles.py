"""A bus, and what is painted on the road for it."""

import math

from mathutils import Vector

from ..materials import glow, pane, plain
from ..plan import Thing
from ..stage import Face, Frame, flat


def bus(frame: Frame, thing: Thing) -> None:
    """A bus along x; its front is at negative x, its doors at negative y."""
    look = thing.look
    long, wide, high = look.get("size", (10.0, 2.5, 3.0))
    floor = 0.32
    skin = plain(look.get("colour", "#a8201c"), 0.22, vary=0.05, grain=2, Coat_Weight=0.7)
    frame.box((0, -wide / 2, floor), (long, wide / 2, high), skin, 0.22)
    dark = plain("#0d1013", 0.06, vary=0.05)
    black = plain("#131313", 0.6)
    # The band of windows, cut by pillars, sits a few millimetres proud of the skin.
    for start in (1.9, 3.55, 5.2, 6.85, 8.4):
        end = min(start + 1.55, long - 0.35)
        frame.box((start, -wide / 2 - 0.006, 1.35), (end, -wide / 2 + 0.05, 2.42), dark, 0.04)
        frame.box((start, -wide / 2 - 0.012, 2.12), (end, -wide / 2 + 0.05, 2.135), black, 0.002)
    frame.box((0.55, -wide / 2 - 0.008, 0.42), (1.65, -wide / 2 + 0.05, 2.5), black, 0.03)
    for x in (0.6, 1.13):
        frame.box((x, -wide / 2 - 0.014, 0.5), (x + 0.48, -wide / 2 + 0.05, 2.42), dark, 0.03)
    frame.box((-0.012, -wide / 2 + 0.16, 1.15), (0.1, wide / 2 - 0.16, 2.38), dark, 0.06)
    frame.box((-0.014, -wide / 2 + 0.16, 2.42), (0.1, wide / 2 - 0.16, 2.83), black, 0.03)
    frame.box((-0.03, -wide / 2 + 0.06, 0.3), (0.2, wide / 2 - 0.06, 0.55), black, 0.05)
    lamp = glow("#fff3d6", look.get("lamps", 2.0))
    steel = plain("#b9bec4", 0.2, 1.0)
    for y in (-0.95, 0.95):
        frame.tube([(-0.03, y, 0.78), (0.05, y, 0.78)], 0.13, steel)
        frame.tube([(-0.036, y, 0.78), (0.05, y, 0.78)], 0.1, lamp)
    for y in (-1, 1):
        frame.tube(
            [(0.1, y * 1.2, 2.3), (-0.25, y * 1.42, 2.3), (-0.25, y * 1.42, 2.1)], 0.02, black
        )
        frame.box((-0.29, y * 1.42 - 0.1, 1.72), (-0.22, y * 1.42 + 0.1, 2.12), black, 0.03)
    for sweep in (-0.55, 0.45):
        frame.tube([(-0.03, sweep, 1.17), (-0.035, sweep + 0.45, 1.62)], 0.012, black)
    tyre, rim = plain("#17171a", 0.85, bump=0.002, bump_grain=30), plain("#83868a", 0.35, 0.9)
    for x in (2.35, long - 2.3):
        for y in (-wide / 2 - 0.004, wide / 2 - 0.28):
            frame.tube([(x, y - 0.002, 0.5), (x, y + 0.1, 0.5)], 0.56, black)
            frame.tube([(x, y - 0.012, 0.46), (x, y + 0.25, 0.46)], 0.46, tyre)
            frame.tube([(x, y - 0.022, 0.46), (x, y, 0.46)], 0.27, rim)
            frame.tube([(x, y - 0.035, 0.46), (x, y, 0.46)], 0.1, black)
    front = Face(lambda u, v, up: Vector((-0.015 - up, wide / 2 - 0.3 - u * (wide - 0.6),
                                          2.46 + 0.33 * v)), wide - 0.6, 0.33,
                                        lift=0.003)  # fmt: skip
    nose = Face(lambda u, v, up: Vector((-up, 0.55 - u * 1.1, 0.66 + 0.36 * v)), 1.1, 0.36,
                lift=0.004)  # fmt: skip
    frame.prints(thing, {
        "front": front,
        "nose": nose,
        "side": flat(3.1, 0.55, 4.3, 0.72, -wide / 2, 0.004),
    })  # fmt: skip


def stop(frame: Frame, thing: Thing) -> None:
    """A shelter: a roof on posts with panes and a bench."""
    steel = plain("#3a4046", 0.35, 0.8)
    for x in (-1.6, 1.6):
        for y in (0.0, 1.1):
            frame.box((x - 0.04, y - 0.04, 0), (x + 0.04, y + 0.04, 2.4), steel, 0.008)
    frame.box((-1.8, -0.2, 2.4), (1.8, 1.3, 2.48), steel, 0.02)
    frame.box((-1.56, 1.09, 0.3), (1.56, 1.1, 2.2), pane(), 0)
    seat = plain("#7b5836", 0.5)
    for y in (0.7, 0.82, 0.94):
        frame.box((-1.2, y, 0.46), (1.2, y + 0.09, 0.49), seat, 0.006)
    for x in (-0.9, 0.9):
        frame.box((x - 0.03, 0.72, 0), (x + 0.03, 1.0, 0.46), steel)


def marking(frame: Frame, thing: Thing) -> None:
    """Letters and lines painted on the road; up in the print is away from who faces y."""
    wide, deep = thing.look.get("size", (3.0, 4.0))

    def at(u: float, v: float, up: float) -> Vector:
        return Vector(((u - 0.5) * wide, v * deep, 0.004 + up))

    frame.prints(thing, {"front": Face(at, wide, deep)})


def wheelie(frame: Frame, thing: Thing) -> None:
    """A bin for rubbish at the kerb."""
    green = plain(thing.look.get("colour", "#2c4a38"), 0.5, vary=0.15, bump=0.001)
    frame.lathe([(0, 0), (0.22, 0), (0.26, 0.8), (0.28, 0.82), (0.28, 0.86), (0.2, 0.98), (0, 1.0)],
                green, steps=40, crease=True)  # fmt: skip
    ring = [(0.275 * math.cos(a), 0.275 * math.sin(a), 0.6)
            for a in (2 * math.pi * k / 40 for k in range(41))]  # fmt: skip
    frame.tube(ring, 0.012, plain("#b9b9b4", 0.3, 1.0))


BUILDERS = {"bus": bus, "shelter": stop, "marking": marking, "bin": wheelie}
