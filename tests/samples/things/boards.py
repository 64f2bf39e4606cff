"""Boards: street signs, chalkboards, displays, neon, doors and their plates."""

from ..materials import glow, plain, wood
from ..plan import Thing
from ..stage import Frame, flat


def sign(frame: Frame, thing: Thing) -> None:
    """A metal plate: on a post if `post` says how high, on arms from above if `hang` does."""
    look = thing.look
    wide, high = look.get("size", (0.9, 0.22))
    steel = plain("#8d9296", 0.35, 0.9, vary=0.2, grain=20)
    back = plain(look.get("colour", "#e8e8e4"), 0.4, vary=0.05, grain=6)
    thick = look.get("thick", 0.006)
    frame.box((-wide / 2, -thick, 0), (wide / 2, 0, high), back, min(0.003, thick * 0.4))
    if look.get("rim"):
        rim, edge = plain(look["rim"], 0.35), look.get("edge", 0.012)
        for low, top in (((-wide / 2, 0), (wide / 2, edge)),
                         ((-wide / 2, high - edge), (wide / 2, high)),
                         ((-wide / 2, 0), (-wide / 2 + edge, high)),
                         ((wide / 2 - edge, 0), (wide / 2, high))):  # fmt: skip
            frame.box((low[0], -thick - 0.004, low[1]), (top[0], 0.002, top[1]), rim)
    if look.get("post"):
        radius = look.get("radius", 0.032)
        below, above = look["post"], look.get("above", 0.04)
        frame.disc(radius, -below, steel, (0, radius + 0.004, 0), below + high + above)
        for z in (0.25 * high, 0.75 * high):
            frame.disc(radius * 1.12, z - 0.012, steel, (0, radius + 0.004, 0), 0.024)
    if look.get("bolts", True):
        inset = min(0.03, high * 0.12)
        for x in (-wide / 2 + inset, wide / 2 - inset):
            for z in (inset, high - inset):
                frame.tube([(x, -thick - 0.003, z), (x, 0, z)], 0.006, steel)
    if look.get("hang"):
        for x in (-wide * 0.35, wide * 0.35):
            frame.tube([(x, 0, high), (x, 0, high + look["hang"])], 0.016, steel)
    frame.prints(thing, {"front": flat(-wide / 2, 0, wide, high, -thick, 0.0008)})


def board(frame: Frame, thing: Thing) -> None:
    """A chalkboard in a wooden frame; `legs` makes it one that stands on a pavement."""
    look = thing.look
    wide, high = look.get("size", (0.7, 0.9))
    timber = wood(look.get("wood", "#7a4c2a"), 0.5)
    upright = wood(look.get("wood", "#7a4c2a"), 0.5, "z")
    edge = look.get("edge", 0.045)
    slate = plain(look.get("slate", "#262927"), 0.85, vary=0.35, grain=5)
    frame.box((-wide / 2, -0.012, 0), (wide / 2, 0.0, high), slate, 0)
    for z in (-edge, high):
        frame.box((-wide / 2 - edge, -0.03, z), (wide / 2 + edge, 0.008, z + edge), timber)
    for x in (-wide / 2 - edge, wide / 2):
        low = -edge - look.get("legs", 0.0)
        frame.box((x, -0.031, low), (x + edge, 0.008, high + edge), upright)
    frame.prints(thing, {"front": flat(-wide / 2, 0, wide, high, -0.012)})
    if look.get("legs"):
        back = Frame(frame.stage, thing.at, thing.turn, 17)
        for x in (-wide / 2 - edge, wide / 2):
            back.box((x, 0.26, -edge - look["legs"]), (x + edge, 0.29, high), upright)


def display(frame: Frame, thing: Thing) -> None:
    """A board of lights in a dark case, behind a pane."""
    look = thing.look
    wide, high = look.get("size", (1.6, 0.9))
    case = plain("#1b1d20", 0.35, 0.3, vary=0.1)
    frame.box((-wide / 2 - 0.05, 0, -0.05), (wide / 2 + 0.05, 0.16, high + 0.05), case, 0.012)
    frame.box((-wide / 2, -0.002, 0), (wide / 2, 0.002, high), plain("#08090b", 0.5), 0)
    rim = plain("#2b2e33", 0.3, 0.6)
    for z in (-0.05, high + 0.02):
        frame.box((-wide / 2 - 0.05, -0.03, z), (wide / 2 + 0.05, 0, z + 0.03), rim)
    for x in (-wide * 0.32, wide * 0.32):
        frame.tube([(x, 0.08, high), (x, 0.08, high + look.get("hang", 0.8))], 0.022, rim)
    frame.prints(thing, {"front": flat(-wide / 2, 0, wide, high, -0.004)})


def neon(frame: Frame, thing: Thing) -> None:
    """Glass tubes on a dark carrier, with the wire that feeds them."""
    look = thing.look
    wide, high = look.get("size", (1.2, 0.6))
    if look.get("back", True):
        frame.box((-wide / 2, 0.012, 0), (wide / 2, 0.03, high), plain("#14161a", 0.4, vary=0.1))
    steel = plain("#5a5d62", 0.4, 0.9)
    for x in (-wide * 0.4, wide * 0.4):
        frame.tube([(x, 0.03, high * 0.5), (x, 0.12, high * 0.5)], 0.008, steel)
    if look.get("ring"):
        tube = glow(look["ring"], look.get("neon", 3))
        x, low, top = wide / 2 - 0.03, 0.03, high - 0.03
        frame.tube([(-x, -0.02, low), (x, -0.02, low), (x, -0.02, top), (-x, -0.02, top),
                    (-x, -0.02, low)], 0.009, tube)  # fmt: skip
    frame.prints(thing, {"front": flat(-wide / 2, 0, wide, high, 0.0)})


def door(frame: Frame, thing: Thing) -> None:
    """A panelled door in its frame, with a handle; `pane` gives it a window."""
    look = thing.look
    wide, high = look.get("size", (0.92, 2.08))
    paint = plain(look.get("colour", "#34506b"), 0.32, vary=0.03, grain=5, bump=0.0004,
                  bump_grain=40)  # fmt: skip
    jamb = plain(look.get("jamb", "#e6e1d6"), 0.4, vary=0.06)
    frame.box((-wide / 2, -0.01, 0.01), (wide / 2, 0.03, high), paint)
    for x in (-wide / 2 - 0.09, wide / 2 + 0.003):
        frame.box((x, -0.035, 0), (x + 0.087, 0.05, high + 0.09), jamb, 0.006)
    frame.box((-wide / 2 - 0.09, -0.037, high + 0.004), (wide / 2 + 0.09, 0.05, high + 0.09), jamb,
              0.006)  # fmt: skip
    rail = 0.12
    middle = high * 0.48
    for z0, z1 in ((rail, middle - rail), (middle + 0.02, high - rail)):
        for x0, x1 in ((-wide / 2 + rail, -0.05), (0.05, wide / 2 - rail)):
            if look.get("panels", True):
                frame.box((x0, -0.016, z0), (x1, 0, z1), paint, 0.005)
                frame.box((x0 + 0.035, -0.024, z0 + 0.035), (x1 - 0.035, 0, z1 - 0.035), paint,
                          0.007)  # fmt: skip
    brass = plain(look.get("metal", "#b08d4a"), 0.22, 1.0, vary=0.15)
    x = wide / 2 - 0.07
    frame.box((x - 0.022, -0.018, 0.95), (x + 0.022, -0.008, 1.15), brass, 0.004)
    frame.tube([(x, -0.02, 1.08), (x, -0.065, 1.08), (x - 0.11, -0.068, 1.08)], 0.009, brass)
    plates = {}
    for number, (left, bottom, w, h, tone) in enumerate(look.get("plates", ())):
        plate = plain(tone, 0.3, look.get("plate_metal", 0.0), vary=0.06)
        frame.box((left, -0.034, bottom), (left + w, -0.02, bottom + h), plate, 0.002)
        plates[f"plate{number}"] = flat(left, bottom, w, h, -0.034)
    frame.prints(thing, plates)


BUILDERS = {"sign": sign, "board": board, "display": display, "neon": neon, "door": door}
