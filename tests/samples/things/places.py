"""Where things stand: tables, walls, shelves, pavements, platforms."""

from ..materials import BRICK, brick, glow, plain, tiles, wood
from ..plan import Thing
from ..stage import Frame, flat


def _wall_material(kind: str, colour: str):
    if kind == "brick":
        return brick(BRICK)
    if kind == "tiles":
        return tiles((colour, colour, "#b9b4aa"), 0.15, 0.15, 0.003, 0.2)
    if kind == "metro":
        return tiles((colour, colour, "#8f8a80"), 0.2, 0.1, 0.004, 0.15, offset=0.5)
    if kind == "wood":
        return wood(colour, 0.5, "z", 0.6)
    if kind == "plaster":
        return plain(colour, 0.85, vary=0.12, grain=2.2, bump=0.004, bump_grain=26)
    raise ValueError(f"Unknown wall {kind!r}.")


def table(frame: Frame, thing: Thing) -> None:
    """A table top at height 0, and some way behind it a wall."""
    look = thing.look
    wide, deep = look.get("size", (1.8, 0.9))
    if look.get("top", "wood") == "wood":
        tone = look.get("colour", "#8a5c38")
        count = look.get("boards", 5)
        for number in range(count):  # boards differ a little: one that long grows on no tree
            y = -deep / 2 + deep * number / count
            shade = frame.random.choice([tone, tone, look.get("other", tone)])
            frame.box((-wide / 2, y + 0.0006, -0.035), (wide / 2, y + deep / count - 0.0006, 0),
                      wood(shade, 0.35), 0.0015)  # fmt: skip
    else:
        stone = plain(look.get("colour", "#cfcac2"), 0.15, vary=0.25, grain=35)
        frame.box((-wide / 2, -deep / 2, -0.035), (wide / 2, deep / 2, 0), stone, 0.004)
    away = look.get("wall_at", 1.0)
    kind, colour = look.get("wall", ("plaster", "#b8b2a4"))
    frame.box((-3, away, -1.2), (3, away + 0.1, 2.2), _wall_material(kind, colour), 0)


def wall(frame: Frame, thing: Thing) -> None:
    """A wall at y = 0 that takes paint, and the floor or pavement before it."""
    look = thing.look
    wide, high = look.get("size", (9.0, 4.5))
    kind, colour = look.get("wall", ("plaster", "#cfc8ba"))
    frame.box((-wide / 2, 0, 0), (wide / 2, 0.2, high), _wall_material(kind, colour), 0)
    floor = look.get("floor", "boards")
    if floor == "boards":
        frame.box((-wide / 2, -5, -0.05), (wide / 2, 0, 0), wood("#8c6540", 0.4), 0)
        frame.box((-wide / 2, -0.016, 0), (wide / 2, 0, 0.1), plain("#ece7dc", 0.4), 0.004)
    elif floor == "slabs":
        slabs(frame, (-wide / 2, -5), (wide / 2, 0))
    frame.prints(thing, {"paint": flat(*look.get("paint", (-2, 1, 4, 2)), 0.0, 0.002)})


def slabs(frame: Frame, low, high, z: float = 0.0) -> None:
    tones = ("#8f8b84", "#a19c94", "#5e5a54")
    paving = tiles(tones, 0.6, 0.4, 0.006, 0.8, "xy", 0.5, 0.5)
    frame.box((*low, z - 0.12), (*high, z), paving, 0.004)


def shelf(frame: Frame, thing: Thing) -> None:
    """Boards at heights, between posts, before a back."""
    look = thing.look
    wide, deep = look.get("size", (1.2, 0.28))
    board = wood(look.get("colour", "#9b7148"), 0.4)
    for height in look.get("heights", (0.0, 0.36)):
        frame.box((-wide / 2, -deep / 2, height - 0.022), (wide / 2, deep / 2, height), board)
        if look.get("strip"):
            strip = plain(look["strip"], 0.35)
            frame.box((-wide / 2, -deep / 2 - 0.004, height - 0.036), (wide / 2, -deep / 2, height),
                      strip, 0.001)  # fmt: skip
    kind, colour = look.get("wall", ("plaster", "#a59c8c"))
    frame.box((-4, deep / 2 + 0.005, -2), (4, deep / 2 + 0.1, 3), _wall_material(kind, colour), 0)
    post = wood(look.get("colour", "#9b7148"), 0.4, "z")
    for x in (-wide / 2 - 0.025, wide / 2):
        if look.get("posts", True):
            frame.box((x, -deep / 2, -1.5), (x + 0.025, deep / 2, 2.5), post)
    rows = {
        f"strip{number}": flat(-wide / 2, height - 0.035, wide, 0.034, -deep / 2 - 0.0042)
        for number, height in enumerate(look.get("heights", (0.0, 0.36)))
    }
    frame.prints(thing, rows)


def clutter(frame: Frame, thing: Thing) -> None:
    """Jars, tins and books without text in a row: what is out of focus in the back of a room."""
    look = thing.look
    chance = frame.random
    x, end = -look.get("width", 1.6) / 2, look.get("width", 1.6) / 2
    tones = look.get("tones", ("#7c3a2c", "#c9b48a", "#48604e", "#d9d4c8", "#33485a", "#b9813f"))
    while x < end:
        tone = plain(chance.choice(tones), chance.choice((0.2, 0.5)), vary=0.1)
        what = chance.choice(look.get("of", ("jar", "book", "tin", "bowl")))
        if what == "book":
            wide, high = chance.uniform(0.018, 0.045), chance.uniform(0.17, 0.25)
            frame.box((x, -0.07, 0), (x + wide, 0.07, high), tone)
            x += wide + 0.002
            continue
        radius = chance.uniform(0.03, 0.06)
        middle = x + radius
        if what == "jar":
            high = chance.uniform(0.1, 0.22)
            frame.lathe([(0, 0), (radius, 0), (radius, high), (radius * 0.7, high * 1.08),
                         (radius * 0.75, high * 1.2), (0, high * 1.2)], tone, (middle, 0, 0),
                        32, True)  # fmt: skip
        elif what == "tin":
            frame.disc(radius, 0, tone, (middle, 0, 0), chance.uniform(0.08, 0.14))
        else:
            frame.lathe([(0, 0), (radius * 0.6, 0), (radius * 1.3, 0.07), (radius * 1.25, 0.07),
                         (0, 0.01)], tone, (middle, 0, 0), 32)  # fmt: skip
        x += 2.3 * radius + chance.uniform(0.005, 0.06)


def platform(frame: Frame, thing: Thing) -> None:
    """A platform of a station below a roof: columns, rails, and the wall beyond the rails."""
    look = thing.look
    floor = tiles(("#8b8a86", "#979590", "#6a6863"), 0.6, 0.6, 0.004, 0.45, "xy", 0.0, 0.4)
    frame.box((-2.2, -6, -0.3), (2.6, 40, 0), floor, 0)
    yellow = plain("#d8b02a", 0.6, vary=0.15)
    frame.box((-2.0, -6, 0), (-1.72, 40, 0.006), yellow, 0.002)
    frame.box((-6.5, -6, -1.1), (-2.2, 40, -1.0),
              plain("#4d4842", 0.95, vary=0.4, grain=18, bump=0.03,
                                                        bump_grain=12), 0)  # fmt: skip
    rail = plain("#8a7a6c", 0.3, 0.9, vary=0.3)
    for x in (-4.9, -3.45):
        frame.box((x, -6, -1.0), (x + 0.07, 40, -0.86), rail, 0.008)
    wall_ = tiles(("#c9c6ba", "#d2cfc4", "#8c887c"), 0.3, 0.15, 0.006, 0.2, "yz", 0.5)
    frame.box((-6.8, -6, -1.1), (-6.5, 40, 4.2), wall_, 0)
    frame.box((2.6, -6, 0), (2.8, 40, 4.2), wall_, 0)
    green = plain(look.get("colour", "#2d4a3e"), 0.35, vary=0.15)
    for y in (1.5, 7.5, 13.5, 19.5, 25.5):
        frame.disc(0.11, 0, green, (1.5, y, 0), 3.6)
        frame.disc(0.2, 0, green, (1.5, y, 0), 0.25)
        frame.box((-6.5, y - 0.08, 3.5), (2.6, y + 0.08, 3.72), green, 0.01)
    frame.box((-6.5, -6, 3.72), (2.6, 40, 3.8), plain("#b9b6ac", 0.8, vary=0.15), 0)
    tube = glow("#f2f6ff", look.get("lamps", 12))
    for y in range(-2, 36, 4):
        frame.box((-0.7, y, 3.4), (-0.5, y + 1.4, 3.45), tube, 0)


BUILDERS = {
    "table": table, "wall": wall, "shelf": shelf, "clutter": clutter, "platform": platform,
}  # fmt: skip
