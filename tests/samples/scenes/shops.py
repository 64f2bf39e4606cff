"""Shop fronts and market stalls."""

from ..plan import Camera, Light, Line, Print, Scene, Thing

_HEAVY, _TALL, _SERIF = "Lato-Black", "FjallaOne-Regular", "SourceSerifPro-Bold"
_ROUND, _WIDE, _GROTESK = "FredokaOne-Regular", "RedHatDisplay-Black", "HankenGrotesk-Bold"
_HAND, _CREAM = "Intuitive", "#f6eedb"

#: What a shop window mirrors, and what keeps the low sky from shining in.
_OPPOSITE = (
    Thing("house", (-6, -22, 0), 180, look={"size": (13, 11)}),
    Thing("house", (6, -22, 0), 180, look={"size": (11, 9), "colour": "#a88f78"}),
)


def _a_board(at, turn: float, lines: tuple[Line, ...]) -> Thing:
    return Thing("board", at, turn, (Print("front", lines, finish="chalk"),),
                 look={"size": (0.6, 0.82), "legs": 0.12, "tilt": 0, "edge": 0.04})  # fmt: skip


def _card(at, lines, turn: float = 0.0, size=(0.3, 0.19)) -> Thing:
    return Thing("card", at, turn, (Print("front", lines),), look={"size": size, "tilt": -8})


def _price(at, first: str, second: str, turn: float = 0.0, colour: str = "#a8201c") -> Thing:
    return _card(at, (Line(first, 0.3, 0.2, "#22201d", _ROUND),
                      Line(second, 0.7, 0.26, colour, _HEAVY)), turn)  # fmt: skip


SCENES = (
    Scene(
        "shop-front-1",
        (
            Thing("ground"),
            *_OPPOSITE,
            Thing("shop", (0, 0, 0.12), 0, (
                Print("fascia", (Line("GREEN FARM BAKERY", 0.5, 0.5, "#e9d9a8", _SERIF),),
                      finish="raised"),
                Print("window", (Line("Fresh Bread", 0.2, 0.12, _CREAM, _HEAVY, x=0.25, width=0.45),
                                 Line("every morning", 0.36, 0.075, _CREAM, _HEAVY, x=0.25,
                                      width=0.45),
                                 Line("Coffee", 0.2, 0.12, _CREAM, _HEAVY, x=0.75, width=0.45),
                                 Line("apple cake", 0.36, 0.075, _CREAM, _HEAVY, x=0.75,
                                      width=0.45))),
                Print("door", (Line("OPEN", 0.3, 0.11, _CREAM, _HEAVY),)),
            ), look={"colour": "#24453c"}),
        ),
        Camera((-1.3, -6.0, 1.7), (0.15, 0, 1.95), 31),
        Light("sun", 38, 150),
    ),
    Scene(
        "shop-front-2",
        (
            Thing("ground"),
            *_OPPOSITE,
            Thing("shop", (0, 0, 0.12), 0, (
                Print("fascia", (Line("OLD HOUSE BOOKS", 0.5, 0.52, "#f1e6c8", _TALL),),
                      finish="raised"),
                Print("window", (Line("new stories", 0.15, 0.1, _CREAM, _SERIF, x=0.25, width=0.42),
                                 Line("SALE", 0.2, 0.2, "#ffd24a", _WIDE, x=0.76, width=0.4),
                                 Line("today", 0.42, 0.1, "#ffd24a", _WIDE, x=0.76, width=0.4))),
                Print("door", (Line("open", 0.25, 0.1, _CREAM, _SERIF),
                               Line("9 to 6", 0.42, 0.06, _CREAM, _SERIF))),
            ), look={"colour": "#6e2a2a", "lamps": 5, "dark": 0.35, "sells": "books",
                     "wall": "#cdbf9f",
                     "goods": ("#8a2f26", "#22364e", "#c8b285", "#3d6240", "#b7622a", "#d8d2c2")}),
            Thing("crate", (-1.6, -0.5, 0.12), 4, (Print("slat1", (
                Line("3 books 5", 0.5, 0.6, "#33241a", _TALL),), wear=0.1),),
                look={"size": (0.8, 0.45, 0.42), "slat": 0.2}),
            Thing("plant", (2.7, -0.45, 0.12), look={"size": 0.26, "count": 500}),
        ),
        Camera((1.5, -5.9, 1.65), (-0.1, 0, 1.85), 31),
        Light("sun", 34, 212),
    ),
    Scene(
        "shop-front-3",
        (
            Thing("ground"),
            *_OPPOSITE,
            Thing("shop", (0, 0, 0.12), 0, (
                Print("fascia", (Line("CORNER COFFEE HOUSE", 0.5, 0.46, "#ffdf9e", _WIDE),),
                      finish="neon"),
                Print("window", (Line("soup and bread", 0.86, 0.08, _CREAM, _HEAVY, x=0.25,
                                      width=0.42),
                                 Line("live jazz", 0.86, 0.08, _CREAM, _HEAVY, x=0.76, width=0.42)),
                      finish="glow"),
            ), look={"colour": "#1f2c3a", "sells": "jars", "lamps": 7, "neon": 2.5,
                     "strength": 2.0, "awning": ("#233447", "#2b3d52")}),
            Thing("neon", (-1.75, 0.08, 1.2), 0, (Print("front", (
                Line("OPEN", 0.5, 0.6, "#ff5a4a", _GROTESK),), finish="neon"),),
                called="sign", look={"size": (0.95, 0.36), "back": False, "neon": 3.5}),
            _a_board((1.5, -1.0, 0.29), -12, (
                Line("tonight", 0.17, 0.08, "#f0cf7a", _HAND),
                Line("Jazz Night", 0.42, 0.1, "#ece8dc", _HAND),
                Line("free entry", 0.72, 0.075, "#ece8dc", _HAND))),
            Thing("lamp post", (3.3, -2.3, 0.12), look={"strength": 120}),
            Thing("lamp post", (-4.2, -2.3, 0.12), look={"strength": 120}),
        ),
        Camera((-0.9, -6.1, 1.6), (0.1, 0, 1.85), 32),
        Light("night", strength=1.2),
        exposure=0.9,
    ),
    Scene(
        "menu-board-2",
        (
            Thing("ground", (0, 0, 0)),
            Thing("house", (0, 0.3, 0), look={"size": (18, 10), "brick": True, "low": 0.4}),
            _a_board((0, -1.3, 0.28), 8, (
                Line("Soup", 0.13, 0.1, "#f0cf7a", _HAND),
                Line("of the day", 0.28, 0.065, "#ece8dc", _HAND),
                Line("sweet corn", 0.46, 0.08, "#ece8dc", _HAND),
                Line("with fresh bread", 0.62, 0.06, "#ece8dc", _HAND),
                Line("only 5", 0.83, 0.09, "#e79a8a", _HAND))),
            Thing("plant", (-0.75, -1.0, 0.12), look={"size": 0.2, "count": 420}),
            Thing("plant", (0.95, -0.8, 0.12), look={"size": 0.24, "count": 420}),
            Thing("crate", (0.85, -1.35, 0.12), -20, look={"size": (0.42, 0.3, 0.24)}),
        ),
        Camera((0.45, -3.7, 1.15), (0.04, -1.3, 0.72), 55, 3.2, (0, -1.32, 0.7)),
        Light("sun", 40, 140),
        (540, 720),
    ),
    Scene(
        "market-1",
        (
            Thing("paving"),
            Thing("house", (-5, 9, 0), look={"size": (11, 10)}),
            Thing("house", (6, 9, 0), look={"size": (11, 9), "brick": True}),
            Thing("tree", (2.8, 5, 0)),
            Thing("stall", (0, 0, 0), 0, (
                Print("banner", (Line("GREEN HILL FARM", 0.5, 0.5, "#f4ecd6", _WIDE),), "#2f5a34"),
                Print("cloth", (Line("fresh from the farm", 0.4, 0.24, "#e9e2c8", _SERIF),)),
            ), look={"roof": ("#2f6a44", "#e9e2d2")}),
            Thing("crate", (-1.1, -0.2, 0.76), 0,
                  look={"fruit": ("#b3341f", "#c24a2a", "#a3281c"), "size": (0.62, 0.5, 0.16),
                        "slat": 0.07}),
            Thing("crate", (-0.38, -0.2, 0.76), 0,
                  look={"fruit": ("#d9791c", "#e08a2a"), "size": (0.62, 0.5, 0.16), "slat": 0.07}),
            Thing("crate", (0.34, -0.2, 0.76), 0,
                  look={"fruit": ("#9db83c", "#8aa82e"), "size": (0.62, 0.5, 0.16), "slat": 0.07}),
            Thing("crate", (1.06, -0.2, 0.76), 0,
                  look={"fruit": ("#d9c03a", "#e0cc4a"), "size": (0.62, 0.5, 0.16), "slat": 0.07,
                        "squash": 1.25}),
            _price((-1.1, -0.1, 1.07), "sweet apples", "3 a kilo"),
            _price((-0.38, -0.1, 1.06), "oranges", "4 a kilo"),
            _price((0.34, -0.1, 1.06), "green apples", "2 a kilo"),
            _price((1.06, -0.1, 1.06), "lemons", "5 for 2"),
        ),
        Camera((0.25, -3.4, 1.62), (-0.03, 0, 1.3), 35, 5.6, (0, -0.4, 1.2)),
        Light("sun", 50, 140),
    ),
    Scene(
        "crates-1",
        (
            Thing("paving"),
            Thing("house", (0, 5, 0), look={"size": (16, 8), "colour": "#8f9a92"}),
            Thing("crate", (-0.32, 0, 0), 5, (
                Print("slat1", (Line("MILL FARM", 0.5, 0.5, "#3a2417", _TALL, width=0.7),),
                      wear=0.14),
                Print("slat0", (Line("keep dry", 0.5, 0.4, "#3a2417", _TALL),), wear=0.14)),
                look={"fruit": ("#c26a1c", "#d07a28", "#b85c18"), "fruit_size": 0.05,
                      "squash": 0.85,
                      "size": (0.58, 0.38, 0.24)}),
            Thing("crate", (0.34, 0.04, 0), -7, (
                Print("slat1", (Line("SUNNY HILL", 0.5, 0.5, "#1f3a2a", _TALL, width=0.7),),
                      wear=0.14),
                Print("slat0", (Line("20 kilo", 0.5, 0.4, "#1f3a2a", _TALL),), wear=0.14)),
                look={"fruit": ("#a3281c", "#b8452a", "#c9903a"), "size": (0.58, 0.38, 0.24)}),
            _card((-0.3, 0.02, 0.4), (Line("tomatoes", 0.32, 0.2, "#22201d", _ROUND),
                                     Line("5 each", 0.7, 0.24, "#a8201c", _HEAVY)), 6),
            _card((0.36, 0.06, 0.4), (Line("sweet apples", 0.32, 0.18, "#22201d", _ROUND),
                                      Line("today 2", 0.7, 0.24, "#a8201c", _HEAVY)), -6),
        ),
        Camera((0.06, -1.75, 0.9), (0.01, 0, 0.29), 50, 4.0, (0, -0.15, 0.25)),
        Light("sun", 45, 215),
    ),
)  # fmt: skip
