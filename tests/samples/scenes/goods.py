"""Bottles, mugs, tins, boxes: things on tables and in shelves."""

from ..plan import Camera, Light, Line, Print, Scene, Thing

_HEAVY, _TALL, _SERIF = "Lato-Black", "FjallaOne-Regular", "SourceSerifPro-Bold"
_ROUND, _WIDE, _GROTESK = "FredokaOne-Regular", "RedHatDisplay-Black", "HankenGrotesk-Bold"
_PORTRAIT = (540, 720)


def kitchen(wall: tuple[str, str] = ("metro", "#d9d6cc"), **look) -> tuple[Thing, ...]:
    """A table, a wall behind it, and a shelf with what a kitchen has."""
    return (
        Thing("table", look={"wall": wall, "wall_at": 0.75, "other": "#7a4e2e", **look}),
        Thing("shelf", (0, 0.62, 0.42),
              look={"size": (2.4, 0.2), "heights": (0.0,), "posts": False, "wall": wall}),
        Thing("clutter", (-0.1, 0.62, 0.42), look={"width": 1.9, "of": ("jar", "bowl", "tin")}),
        Thing("plant", (0.46, 0.36, 0.0), look={"size": 0.1}),
    )  # fmt: skip


def _milk(first: str, second: str, small: str, colour: str) -> Print:
    return Print(
        "label",
        (
            Line(first, 0.19, 0.11, colour, _ROUND, width=0.7),
            Line(second, 0.49, 0.17, colour, _ROUND, width=0.76),
            Line(small, 0.86, 0.09, "#f7f3e8", _HEAVY),
        ),
        "#f3efe4",
        (("box", 0, 0.72, 1, 1, colour), ("box", 0, 0.0, 1, 0.03, colour)),
    )


def _juice(kind: str, colour: str, dark: str) -> Print:
    return Print(
        "label",
        (
            Line("Sunny Hill", 0.17, 0.085, dark, _SERIF, width=0.6),
            Line(kind, 0.46, 0.2, "#fffaf0", _WIDE, width=0.6),
            Line("juice", 0.66, 0.1, "#fffaf0", _WIDE),
            Line("cold pressed", 0.88, 0.065, dark, _HEAVY),
        ),
        "#f6efdc",
        (("oval", 0.13, 0.28, 0.87, 0.77, colour),),
    )


def _mug(lines: tuple[Line, ...], at, turn: float, colour: str, **look) -> Thing:
    look = {"colour": colour, "handle_turn": 10, **look}
    return Thing("mug", at, turn, (Print("front", lines),), look=look)


def _tin(at, turn: float, first: str, second: str, ground: str, ink: str, small: str) -> Thing:
    spec = Print(
        "label",
        (
            Line(first, 0.24, 0.15, "#fff8e8", _HEAVY, width=0.52),
            Line(second, 0.5, 0.2, ink, _ROUND, width=0.5),
            Line(small, 0.84, 0.08, "#fff8e8", _HEAVY),
        ),
        ground,
        (("box", 0, 0.38, 1, 0.66, "#f2e6c6"), ("box", 0, 0.95, 1, 1, "#f2e6c6")),
    )
    return Thing("can", at, turn, (spec,), look={"radius": 0.042, "height": 0.125})


def _cereal(at, turn, lines, ground: str, shapes) -> Thing:
    return Thing("box", at, turn, (Print("front", lines, ground, shapes),),
                 look={"size": (0.19, 0.062, 0.27), "colour": ground, "rough": 0.4})  # fmt: skip


def _jar(at, turn: float, kind: str, fill: str) -> Thing:
    spec = Print(
        "label",
        (
            Line("Home Made", 0.2, 0.1, "#6b4a2a", _SERIF, width=0.6),
            Line(kind, 0.52, 0.2, "#3a2418", _SERIF, width=0.62),
            Line("mill farm", 0.82, 0.09, "#2d5b3a", _HEAVY, width=0.6),
        ),
        "#f1e8d2",
        (("frame", 0.03, 0.04, 0.97, 0.96, "#a8804a"),),
    )
    return Thing("jar", at, turn, (spec,), look={"fill": fill, "radius": 0.045})


SCENES = (
    Scene(
        "bottles-1",
        (
            *kitchen(),
            Thing("bottle", (-0.075, 0, 0), 4,
                  (_milk("Green Farm", "Fresh Milk", "one litre", "#2d5b3a"),),
                  look={"drink": "#f4efe2", "cap": "#2d5b3a", "height": 0.25, "radius": 0.045}),
            Thing("bottle", (0.075, 0.05, 0), -3,
                  (_milk("Hill House", "Oat Drink", "no sugar", "#31507c"),),
                  look={"drink": "#e3d3b4", "cap": "#31507c", "height": 0.25, "radius": 0.045}),
            Thing("fruit", (0.2, -0.02, 0), look={"fruit": ("#b8452a", "#c9903a"),
                                                   "area": (0.1, 0.1), "size": 0.034}),
        ),
        Camera((0.03, -0.78, 0.24), (0.005, 0, 0.135), 74, 4.0, (0, -0.03, 0.13)),
        Light("room", 35, -55),
        _PORTRAIT,
    ),
    Scene(
        "bottles-2",
        (
            *kitchen(("metro", "#8fa6a0"), top="stone", colour="#d6d1c8"),
            Thing("bottle", (-0.11, 0.02, 0), 4, (_juice("Orange", "#d9791c", "#8a4410"),),
                  look={"drink": "#e08a1e", "cap": "#e8e2d2", "neck": 0.5, "body": 0.56,
                        "radius": 0.04, "height": 0.22}),
            Thing("bottle", (0.005, -0.03, 0), 0, (_juice("Apple", "#7d9a2e", "#44581a"),),
                  look={"drink": "#c9b23c", "cap": "#e8e2d2", "neck": 0.5, "body": 0.56,
                        "radius": 0.04, "height": 0.22}),
            Thing("bottle", (0.12, 0.03, 0), -4, (_juice("Cherry", "#8f1f2c", "#5a1420"),),
                  look={"drink": "#7c1622", "cap": "#e8e2d2", "neck": 0.5, "body": 0.56,
                        "radius": 0.04, "height": 0.22}),
            Thing("fruit", (-0.24, 0.02, 0), look={"fruit": ("#d9791c", "#e08a2a"),
                                                   "area": (0.14, 0.12), "size": 0.036}),
        ),
        Camera((0.0, -0.74, 0.2), (-0.01, 0, 0.11), 62, 5.0, (0, -0.06, 0.1)),
        Light("room", 40, 50),
    ),
    Scene(
        "bottles-3",
        (
            *kitchen(("plaster", "#c2a98a"), colour="#a37a52", other="#94683f"),
            Thing("bottle", (-0.14, 0.03, 0), look={"drink": "#f4efe2", "cap": "#b33a2e",
                                                    "height": 0.25, "radius": 0.045}),
            _mug((Line("fresh", 0.32, 0.2, "#2a4a78", _ROUND, width=0.62),
                  Line("milk", 0.68, 0.24, "#2a4a78", _ROUND, width=0.62)), (-0.02, -0.07, 0), 5,
                 "#efeade", drink="#f2ecdc"),
            _cereal((0.13, 0.04, 0), -10,
                    (Line("Hill House", 0.12, 0.05, "#fff4d8", _SERIF, width=0.8),
                     Line("Oat", 0.32, 0.13, "#fff4d8", _WIDE),
                     Line("Biscuits", 0.5, 0.09, "#fff4d8", _WIDE, width=0.84),
                     Line("no sugar", 0.73, 0.06, "#5a3414", _HEAVY),
                     Line("250 g", 0.93, 0.035, "#fff4d8", _HEAVY, x=0.92, align="r")), "#b5622a",
                    (("oval", 0.18, 0.62, 0.82, 0.84, "#f0d9a0"),)),
        ),
        Camera((0.0, -0.8, 0.26), (0.01, 0, 0.12), 58, 4.0, (0, -0.05, 0.1)),
        Light("room", 35, -50, warmth=1),
    ),
    Scene(
        "mugs-1",
        (
            *kitchen(("wood", "#6f7f78"), colour="#b08a60", other="#a07a50"),
            _mug((Line("GOOD", 0.28, 0.22, "#f6efe0", _TALL, width=0.6),
                  Line("MORNING", 0.64, 0.22, "#f6efe0", _TALL, width=0.72)), (-0.125, 0.0, 0), 6,
                 "#b4472f", drink="#3a2214", handle_turn=170),
            _mug((Line("coffee", 0.3, 0.2, "#2b2622", _SERIF, width=0.62),
                  Line("first", 0.64, 0.2, "#2b2622", _SERIF)), (0.0, -0.05, 0), -2, "#ece5d6",
                 drink="#3a2214", handle_turn=-10),
            _mug((Line("Monday", 0.3, 0.2, "#e8d9a8", _HEAVY, width=0.66),
                  Line("again", 0.62, 0.16, "#e8d9a8", _HEAVY)), (0.135, 0.02, 0), -6, "#33506a",
                 handle_turn=0),
        ),
        Camera((0.02, -0.62, 0.2), (0.005, 0, 0.055), 62, 4.0, (0, -0.05, 0.05)),
        Light("room", 40, -45),
    ),
    Scene(
        "tins-1",
        (
            Thing("shelf", look={"heights": (0.0, 0.26), "strip": "#e9e4d6", "size": (1.0, 0.26),
                                 "wall": ("plaster", "#8d8a80")}, prints=(
                Print("strip1", (Line("tomato soup 2", 0.5, 0.42, "#a8201c", _HEAVY, x=0.345),
                                 Line("sweet corn 3", 0.5, 0.42, "#a8201c", _HEAVY, x=0.485),
                                 Line("salted nuts 4", 0.5, 0.42, "#a8201c", _HEAVY, x=0.635))),
            )),
            _tin((-0.17, -0.05, 0.26), 5, "Tomato", "Soup", "#a3271f", "#a3271f", "400 g"),
            _tin((-0.065, -0.06, 0.26), 0, "Sweet", "Corn", "#c08a1c", "#7a4a10", "300 g"),
            _tin((0.04, -0.05, 0.26), 0, "Green", "Soup", "#3f6b35", "#2d4f26", "400 g"),
            _tin((0.15, -0.06, 0.26), -6, "Salted", "Nuts", "#35506e", "#23364c", "200 g"),
            Thing("clutter", (0.0, 0.06, 0.26), look={"width": 0.9, "of": ("tin", "jar")}),
            Thing("clutter", (0, -0.02, 0.0), look={"width": 0.9, "of": ("tin", "jar")}),
        ),
        Camera((-0.04, -0.85, 0.42), (-0.008, 0, 0.275), 58, 5.6, (0, -0.09, 0.3)),
        Light("room", 40, 30),
    ),
    Scene(
        "boxes-1",
        (
            Thing("shelf", look={"heights": (0.0, 0.42), "size": (1.2, 0.3),
                                 "wall": ("plaster", "#9b9686")}),
            _cereal((-0.22, -0.04, 0), 3,
                    (Line("Corn Rings", 0.2, 0.12, "#fff4d8", _ROUND, width=0.86),
                     Line("sweet corn", 0.42, 0.05, "#7a1e14", _HEAVY),
                     Line("500 g", 0.93, 0.04, "#fff4d8", _HEAVY, x=0.94, align="r")), "#b3322a",
                    (("oval", 0.2, 0.36, 0.8, 0.48, "#f4d37a"),
                     ("oval", 0.25, 0.58, 0.5, 0.74, "#e8b54a"),
                     ("oval", 0.31, 0.62, 0.44, 0.7, "#b3322a"),
                     ("oval", 0.5, 0.66, 0.75, 0.82, "#e8b54a"),
                     ("oval", 0.56, 0.7, 0.69, 0.78, "#b3322a"))),
            _cereal((0.0, -0.05, 0), -2,
                    (Line("Morning", 0.18, 0.1, "#2b3e5a", _SERIF, width=0.86),
                     Line("Oats", 0.36, 0.13, "#2b3e5a", _SERIF),
                     Line("with apple", 0.66, 0.05, "#fff8e8", _HEAVY),
                     Line("750 g", 0.93, 0.04, "#2b3e5a", _HEAVY, x=0.94, align="r")), "#e2d6b4",
                    (("oval", 0.2, 0.5, 0.8, 0.82, "#8fa03c"),)),
            _cereal((0.22, -0.04, 0), -5,
                    (Line("House", 0.18, 0.1, "#f4e9c8", _WIDE, width=0.86),
                     Line("Tea", 0.38, 0.15, "#f4e9c8", _WIDE),
                     Line("good night", 0.62, 0.055, "#23402f", _HEAVY, width=0.66),
                     Line("40 bags", 0.93, 0.04, "#f4e9c8", _HEAVY, x=0.94, align="r")), "#2f5a44",
                    (("box", 0.1, 0.54, 0.9, 0.7, "#d9c27c"),)),
            Thing("clutter", (0, 0.05, 0.42), look={"width": 1.1, "of": ("jar", "tin")}),
            Thing("clutter", (0, 0.1, 0), look={"width": 1.1, "of": ("tin", "jar")}),
        ),
        Camera((0.1, -1.02, 0.22), (0.0, 0, 0.145), 54, 5.6, (0, -0.08, 0.15)),
        Light("room", 40, -40),
    ),
    Scene(
        "jars-1",
        (
            *kitchen(("plaster", "#a9b09c"), colour="#6f4a2e", other="#634026"),
            _jar((-0.11, 0.02, 0), 5, "Apple Jam", "#b8842a"),
            _jar((0.0, -0.04, 0), 0, "Cherry Jam", "#5a0f18"),
            _jar((0.115, 0.02, 0), -6, "Orange Jam", "#c9611a"),
            Thing("fruit", (0.26, 0.05, 0), look={"fruit": ("#8f1f2c", "#a83a2a"),
                                                  "area": (0.16, 0.12), "size": 0.03}),
            Thing("card", (-0.215, 0.07, 0.0), 14, (Print("front", (
                Line("Farm", 0.32, 0.24, "#2b2622", _ROUND),
                Line("shop", 0.7, 0.24, "#2b2622", _ROUND)),
                ),), look={"size": (0.1, 0.07), "stick": 0}),
        ),
        Camera((0.03, -0.66, 0.19), (0.0, 0, 0.058), 58, 4.0, (0, -0.05, 0.05)),
        Light("room", 35, 55, warmth=1),
    ),
)  # fmt: skip
