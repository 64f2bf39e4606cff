"""Things on walls: shirts, posters, chalkboards, neon, doors, painted letters."""

from ..plan import Camera, Light, Line, Print, Scene, Thing

_HEAVY, _TALL, _SERIF = "Lato-Black", "FjallaOne-Regular", "SourceSerifPro-Bold"
_ROUND, _WIDE, _GROTESK = "FredokaOne-Regular", "RedHatDisplay-Black", "HankenGrotesk-Bold"
_CALADEA, _HAND = "Caladea-Bold", "Intuitive"
_PORTRAIT = (540, 720)


def _chalk(text: str, y: float, h: float, colour: str = "#ece8dc", **more) -> Line:
    return Line(text, y, h, colour, more.pop("font", _HAND), **more)


SCENES = (
    Scene(
        "shirt-1",
        (
            Thing("wall", look={"wall": ("plaster", "#b9aa94"), "floor": "boards"}),
            Thing("shirt", (0, -0.12, 1.0), 4, (Print("front", (
                Line("DREAM BIG", 0.22, 0.2, "#f0e8d6", _HEAVY),
                Line("open road", 0.56, 0.12, "#e7b04a", _HEAVY),
                Line("since 1987", 0.84, 0.075, "#f0e8d6", _HEAVY)), wear=0.12),),
                look={"colour": "#27435c", "wear_grain": 200, "folds": 0.014}),
        ),
        Camera((0.3, -1.75, 1.42), (0, 0, 1.34), 55, 4.0, (0, -0.17, 1.4)),
        Light("room", 30, -60),
        _PORTRAIT,
    ),
    Scene(
        "shirt-2",
        (
            Thing("wall", look={"wall": ("brick", ""), "floor": "boards"}),
            Thing("shirt", (-0.4, -0.12, 1.0), 8, (Print("front", (
                Line("BIG DREAM", 0.22, 0.19, "#7a1f28", _WIDE),
                Line("live music", 0.55, 0.12, "#2b2724", _SERIF),
                Line("summer 24", 0.84, 0.075, "#2b2724", _HEAVY)), wear=0.08),),
                look={"colour": "#ddd6c6", "wear_grain": 200, "folds": 0.014}),
            Thing("shirt", (0.42, -0.12, 1.0), -5, look={"colour": "#4d5f3c", "folds": 0.014}),
            Thing("shelf", (0, -0.08, 1.84), look={"size": (1.8, 0.16), "heights": (0.0,),
                                                  "posts": False, "wall": ("brick", "")}),
        ),
        Camera((-0.25, -2.1, 1.4), (0.01, 0, 1.36), 44, 4.5, (0, -0.17, 1.4)),
        Light("room", 35, 55),
    ),
    Scene(
        "posters-1",
        (
            Thing("wall", look={"wall": ("plaster", "#93a0a0"), "floor": "boards"}),
            Thing("poster", (-0.33, 0, 1.1), 0, (Print("front", (
                Line("JAZZ", 0.17, 0.15, "#f3dfae", _WIDE),
                Line("NIGHT", 0.36, 0.13, "#f3dfae", _WIDE),
                Line("live music", 0.56, 0.055, "#f3dfae", _SERIF),
                Line("Friday 8 pm", 0.8, 0.045, "#1c2433", _HEAVY),
                Line("Corner House", 0.89, 0.045, "#1c2433", _HEAVY)), "#1f2d45",
                (("oval", 0.3, 0.45, 0.7, 0.72, "#b5442e"), ("box", 0, 0.73, 1, 1, "#d9a94a"))),),
                look={"size": (0.5, 0.7)}),
            Thing("poster", (0.31, 0, 1.13), 0, (Print("front", (
                Line("Farm Market", 0.14, 0.085, "#2d4a22", _ROUND, width=0.88),
                Line("fresh bread", 0.31, 0.055, "#7a3f1c", _SERIF),
                Line("sweet apples", 0.4, 0.055, "#7a3f1c", _SERIF),
                Line("Sunday", 0.8, 0.08, "#f6efdc", _HEAVY),
                Line("Mill Street", 0.92, 0.045, "#f6efdc", _HEAVY)), "#ecdfbd",
                (("box", 0, 0.72, 1, 1, "#5f7f3a"), ("oval", 0.2, 0.48, 0.48, 0.68, "#b8402a"),
                 ("oval", 0.46, 0.5, 0.74, 0.69, "#c98f2c"))),),
                look={"size": (0.48, 0.64)}),
        ),
        Camera((0.5, -2.0, 1.5), (-0.02, 0, 1.44), 60, 5.6),
        Light("room", 30, -55),
    ),
    Scene(
        "posters-2",
        (
            Thing("wall", look={"wall": ("brick", ""), "floor": "slabs"}),
            Thing("poster", (-0.36, 0, 1.15), 0, (Print("front", (
                Line("NIGHT", 0.16, 0.14, "#fff1cf", _TALL),
                Line("MARKET", 0.35, 0.14, "#fff1cf", _TALL),
                Line("every Friday", 0.55, 0.06, "#f2c14a", _HEAVY),
                Line("Station Square", 0.86, 0.055, "#fff1cf", _HEAVY)), "#5a1f4a",
                (("dots", 0.1, 0.63, 0.92, 0.76, "#f2c14a"),), wear=0.16),),
                look={"size": (0.52, 0.74), "wear_grain": 24, "curl": 0.02}),
            Thing("poster", (0.27, 0, 1.2), 0, (Print("front", (
                Line("MUSIC LIVE", 0.18, 0.12, "#22343f", _WIDE, width=0.88),
                Line("open air", 0.36, 0.075, "#a8321f", _CALADEA),
                Line("24 June", 0.72, 0.1, "#22343f", _WIDE),
                Line("Market Square", 0.88, 0.055, "#22343f", _HEAVY)), "#d9cba6",
                (("stripes", 0.06, 0.46, 0.94, 0.58, "#a8321f"),), wear=0.14),),
                look={"size": (0.5, 0.66), "wear_grain": 24, "curl": 0.02}),
        ),
        Camera((-0.8, -2.1, 1.5), (-0.03, 0, 1.5), 50, 7),
        Light("sun", 48, 128),
    ),
    Scene(
        "menu-board-1",
        (
            Thing("wall", look={"wall": ("plaster", "#a89a86"), "floor": "boards"}),
            Thing("board", (0, -0.03, 1.0), 0, (Print("front", (
                _chalk("Menu", 0.1, 0.075, font=_CALADEA),
                _chalk("Tomato soup", 0.27, 0.05, x=0.08, align="l"),
                _chalk("5", 0.27, 0.05, "#f0cf7a", x=0.92, align="r"),
                _chalk("Fresh bread", 0.4, 0.05, x=0.08, align="l"),
                _chalk("2", 0.4, 0.05, "#f0cf7a", x=0.92, align="r"),
                _chalk("Apple cake", 0.53, 0.05, x=0.08, align="l"),
                _chalk("4", 0.53, 0.05, "#f0cf7a", x=0.92, align="r"),
                _chalk("Coffee or tea", 0.66, 0.05, x=0.08, align="l"),
                _chalk("3", 0.66, 0.05, "#f0cf7a", x=0.92, align="r"),
                _chalk("today no toffee", 0.88, 0.045, "#e79a8a")), None,
                (("box", 0.2, 0.175, 0.8, 0.18, "#ece8dc"),
                 ("box", 0.1, 0.78, 0.9, 0.784, "#ece8dc")), "chalk"),),
                look={"size": (0.72, 0.86)}),
            Thing("shelf", (0, -0.1, 0.82),
                  look={"size": (2.0, 0.2), "heights": (0.0,), "posts": False}),
            Thing("clutter", (0.62, -0.1, 0.82), look={"width": 0.3, "of": ("jar", "bowl")}),
            Thing("plant", (-0.5, -0.1, 0.82), look={"size": 0.07}),
        ),
        Camera((0.32, -1.75, 1.4), (0.02, 0, 1.36), 52, 5.6),
        Light("room", 35, -50, warmth=1),
        _PORTRAIT,
    ),
    Scene(
        "neon-1",
        (
            Thing("wall", look={"wall": ("brick", ""), "floor": "slabs"}),
            Thing("neon", (-0.05, -0.12, 1.55), 0, (Print("front", (
                Line("OPEN", 0.3, 0.34, "#ff4a5a", _HEAVY),
                Line("LATE", 0.74, 0.26, "#ff4a5a", _HEAVY)),
                finish="neon"),), called="sign",
                look={"size": (1.1, 0.72), "neon": 3.5, "ring": "#3fb6ff"}),
            Thing("neon", (1.05, -0.12, 1.95), 0, (Print("front", (
                Line("Jazz", 0.5, 0.6, "#ffb347", _GROTESK),), finish="neon"),),
                called="sign", look={"size": (0.72, 0.36), "back": False, "neon": 3.5}),
            Thing("sign", (1.05, -0.03, 1.35), 0, (Print("front", (
                Line("Corner House", 0.36, 0.26, "#f0e3c0", _SERIF),
                Line("live music", 0.74, 0.18, "#f0e3c0", _HEAVY)),),),
                look={"size": (0.62, 0.3), "colour": "#23302c", "thick": 0.02}),
            Thing("lamp post", (2.6, -3.2, 0), look={"strength": 160}),
            Thing("lamp post", (-1.2, -3.2, 0), look={"strength": 120}),
        ),
        Camera((-0.35, -3.4, 1.5), (0.42, 0, 1.7), 42),
        Light("night", strength=0.6),
        exposure=0.4,
    ),
    Scene(
        "door-1",
        (
            Thing("wall", look={"wall": ("plaster", "#c4bca8"), "floor": "boards"}),
            Thing("door", (0, -0.06, 0), 0, (
                Print("plate0", (Line("ROOM 24", 0.5, 0.5, "#23211e", _HEAVY),), None),
                Print("plate1", (Line("PRIVATE", 0.3, 0.24, "#f4ede0", _HEAVY),
                                 Line("please knock", 0.7, 0.18, "#f4ede0", _HEAVY)), None),
            ), look={"colour": "#35566b", "plates": ((-0.14, 1.62, 0.28, 0.085, "#c2a25a"),
                                                     (-0.17, 1.3, 0.34, 0.17, "#8f2a22"))}),
            Thing("sign", (0.78, -0.004, 1.42), 0, (Print("front", (
                Line("Station office", 0.24, 0.16, "#f0ede2", _GROTESK, x=0.08, align="l"),
                Line("open Monday", 0.52, 0.12, "#f0ede2", _GROTESK, x=0.08, align="l"),
                Line("to Friday", 0.76, 0.12, "#f0ede2", _GROTESK, x=0.08, align="l")),),),
                look={"size": (0.36, 0.24), "colour": "#2a3138"}),
            Thing("plant", (0.85, -0.3, 0), look={"size": 0.22, "count": 520}),
        ),
        Camera((-0.25, -2.3, 1.5), (0.22, 0, 1.4), 42, 5.6),
        Light("room", 35, -45),
        _PORTRAIT,
    ),
    Scene(
        "wall-1",
        (
            Thing("wall", look={"wall": ("brick", ""), "floor": "slabs", "size": (14, 6),
                                "relief": "brick", "wear_grain": 5,
                                "paint": (-2.4, 1.2, 4.8, 2.5)}, prints=(
                Print("paint", (
                    Line("FRESH BREAD", 0.26, 0.22, "#efe6d0", _WIDE),
                    Line("baked daily", 0.58, 0.13, "#f0d48a", _SERIF),
                    Line("Mill Farm", 0.85, 0.1, "#efe6d0", _HEAVY, x=0.28),
                    Line("since 1921", 0.85, 0.1, "#efe6d0", _HEAVY, x=0.74)), "#27485e", (),
                    "paint", 0.5),)),
            Thing("bin", (2.6, -0.5, 0), 0),
            Thing("tree", (-4.6, -2.4, 0), look={"height": 2.6, "crown": 1.6}),
            Thing("tree", (-3.6, -7.5, 0), look={"height": 3.0, "crown": 2.2}),
        ),
        Camera((1.3, -6.6, 1.6), (0.05, 0, 2.15), 38),
        Light("sun", 42, 205),
    ),
)  # fmt: skip
