"""Streets, signs, the bus and the station."""

from ..plan import Camera, Light, Line, Print, Scene, Thing

_HEAVY, _TALL, _SERIF = "Lato-Black", "FjallaOne-Regular", "SourceSerifPro-Bold"
_WIDE, _GROTESK = "RedHatDisplay-Black", "HankenGrotesk-Bold"

_HOUSES = (
    Thing("house", (-9, 0.3, 0), look={"size": (11, 11)}),
    Thing("house", (1, 0.3, 0), look={"size": (9, 9.5), "brick": True}),
    Thing("house", (10, 0.3, 0), look={"size": (9, 11), "colour": "#9fa8a2"}),
    Thing("house", (19.5, 0.3, 0), look={"size": (10, 9)}),
    Thing("house", (27, -5, 0), -90, look={"size": (18, 10), "colour": "#b09a80"}),
)


def _name_plate(at, turn: float, text: str, number: str, ground: str, **look) -> Thing:
    lines = (
        Line(text, 0.42, 0.36, "#f4f1e6", _GROTESK),
        Line(number, 0.83, 0.15, "#f4f1e6", _GROTESK),
    )
    return Thing("sign", at, turn, (Print("front", lines, None,
                 (("frame", 0.012, 0.05, 0.988, 0.95, "#f4f1e6"),)),),
                 look={"size": (0.86, 0.24), "colour": ground, **look})  # fmt: skip


SCENES = (
    Scene(
        "signs-1",
        (
            _name_plate((0, 0, 2.5), 22, "Green Street", "1 to 24", "#23503a", post=2.5, above=0.3),
            _name_plate((0.02, -0.02, 2.23), -20, "Market Street", "old town", "#23503a"),
            Thing("sign", (0, -0.04, 1.8), 2,
                  (Print("front", (Line("ONE WAY", 0.5, 0.46, "#f4f1e6", _HEAVY),),
                  None, (("frame", 0.01, 0.05, 0.99, 0.95, "#f4f1e6"),)),),
                  look={"size": (0.66, 0.2), "colour": "#1d2126"}),
            Thing("ground", (0, 14, 0), look={"half": 30}),
            *(Thing("house", (x, 14.3, 0), look=look) for x, look in (
                (-9, {"size": (11, 11)}), (2, {"size": (11, 9), "brick": True}),
                (13, {"size": (11, 12)}))),
            Thing("tree", (-2.4, 7, 0), look={"height": 2.6, "crown": 2.0}),
            Thing("tree", (3.4, 9, 0), look={"height": 2.6, "crown": 2.2}),
        ),
        Camera((0.12, -2.6, 1.75), (0.0, 0, 2.26), 50, 4.0),
        Light("sun", 45, 145),
        (540, 720),
    ),
    Scene(
        "signs-2",
        (
            Thing("ground", (0, 0, 0)),
            *_HOUSES[:3],
            Thing("shelter", (1.9, -1.9, 0.12), 0),
            Thing("sign", (-0.5, -2.2, 1.75), -6, (Print("front", (
                Line("BUS STOP", 0.16, 0.13, "#f7f4ea", _HEAVY),
                Line("24 Central Station", 0.43, 0.07, "#22303f", _GROTESK, x=0.08, align="l"),
                Line("7 Green Hill", 0.6, 0.07, "#22303f", _GROTESK, x=0.08, align="l"),
                Line("31 Market Square", 0.77, 0.07, "#22303f", _GROTESK, x=0.08, align="l"),
                Line("not on Sunday", 0.92, 0.04, "#a8201c", _GROTESK, x=0.08, align="l")),
                "#f1eee3",
                (("box", 0, 0, 1, 0.31, "#a8201c"),)),),
                look={"size": (0.72, 0.62), "post": 1.63, "colour": "#f1eee3", "bolts": False}),
            Thing("bin", (0.3, -2.0, 0.12)),
            Thing("tree", (4.2, -1.2, 0.12), look={"height": 2.4}),
        ),
        Camera((-0.9, -5.0, 1.65), (0.12, -2.2, 1.86), 58, 5.0, (-0.5, -2.2, 2)),
        Light("sun", 42, 130),
    ),
    Scene(
        "signs-3",
        (
            Thing("sign", (-0.02, 0, 1.75), 5, (Print("front", (
                Line("SLOW", 0.26, 0.22, "#1d1d1b", _WIDE),
                Line("school", 0.55, 0.15, "#1d1d1b", _WIDE),
                Line("farm road", 0.83, 0.1, "#1d1d1b", _HEAVY)), None,
                (("frame", 0.02, 0.03, 0.98, 0.97, "#1d1d1b"),)),),
                look={"size": (0.8, 0.62), "post": 1.75, "colour": "#e0ad1e"}),
            Thing("sign", (-0.02, 0, 1.45), 5, (Print("front", (
                Line("form one line", 0.5, 0.34, "#f4f1e6", _HEAVY),),),),
                look={"size": (0.8, 0.2), "colour": "#2a4a78"}),
            Thing("ground", (0, 13, 0), look={"half": 30}),
            Thing("tree", (-3.5, 7, 0), look={"height": 2.2, "crown": 2.4, "count": 7000}),
            Thing("tree", (-0.3, 10, 0), look={"height": 2.6, "crown": 2.6, "count": 7000}),
            Thing("tree", (3.2, 8, 0), look={"height": 2.2, "crown": 2.4, "count": 7000}),
            Thing("house", (8, 14, 0), look={"size": (11, 9), "brick": True}),
        ),
        Camera((-0.4, -2.5, 1.6), (0.0, 0, 1.78), 46, 4.5),
        Light("cloud", 45, 145),
        exposure=0.2,
    ),
    Scene(
        "bus-1",
        (
            Thing("ground"),
            *_HOUSES,
            Thing("tree", (7, -1.8, 0.1)),
            Thing("bus", (-2, -5.0, 0), 0, (
                Print("front", (Line("24", 0.5, 0.62, "#ffb030", _HEAVY, x=0.12),
                                Line("Central Station", 0.5, 0.5, "#ffb030", _HEAVY, x=0.6,
                                     width=0.72)), finish="glow"),
                Print("side", (Line("FRESH MILK", 0.34, 0.4, "#f6efdc", _WIDE, x=0.42),
                               Line("every morning", 0.78, 0.24, "#f2cf6a", _HEAVY, x=0.42))),
                Print("nose", (Line("City 138", 0.5, 0.42, "#f6efdc", _HEAVY),)),
            )),
        ),
        Camera((-6.2, -11.2, 1.7), (0.05, -5.8, 1.5), 40),
        Light("sun", 40, 160),
    ),
    Scene(
        "bus-2",
        (
            Thing("ground"),
            *_HOUSES,
            Thing("bus", (-2, -5.0, 0), 0, (
                Print("front", (Line("7", 0.5, 0.62, "#ffb030", _HEAVY, x=0.12),
                                Line("Night Market", 0.5, 0.5, "#ffb030", _HEAVY, x=0.6,
                                     width=0.72)), finish="glow"),
                Print("nose", (Line("City 24", 0.5, 0.42, "#f6efdc", _HEAVY),)),
            ), look={"colour": "#20508a", "lamps": 12}),
            Thing("lamp post", (-4.4, -2.4, 0.12), look={"strength": 120}),
            Thing("lamp post", (6, -2.4, 0.12), look={"strength": 120}),
            Thing("sign", (-3.4, -2.7, 1.9), -42, (Print("front", (
                Line("STOP BUS", 0.34, 0.3, "#f7f4ea", _HEAVY),
                Line("only", 0.76, 0.24, "#f7f4ea", _HEAVY)),),),
                look={"size": (1.0, 0.5), "colour": "#8f1f1c", "post": 1.8}),
        ),
        Camera((-7.4, -8.6, 1.7), (-2.3, -4.6, 1.75), 40),
        Light("night", strength=1.4),
        exposure=1.2,
    ),
    Scene(
        "road-1",
        (
            Thing("ground", (0, 12, 0), look={"pavement": 2.0, "half": 24, "line": False}),
            Thing("marking", (0, 2.6, 0), 0, (Print("front", (
                Line("BUS", 0.3, 0.34, "#e6e2d4", _TALL, width=0.8),
                Line("STOP", 0.76, 0.34, "#e6e2d4", _TALL, width=0.8)),
                finish="paint", wear=0.35),), called="road",
                look={"size": (3.2, 4.4), "wear_grain": 9}),
            Thing("sign", (1.75, 7.2, 1.5), -8, (Print("front", (
                Line("Market Street", 0.34, 0.24, "#f4f1e6", _GROTESK),
                Line("closed Sunday", 0.72, 0.2, "#f4f1e6", _GROTESK)),),),
                look={"size": (1.5, 0.5), "colour": "#23503a", "post": 1.5}),
            *(Thing("house", (x, 12.3, 0), look=look) for x, look in (
                (-9, {"size": (11, 11)}), (2, {"size": (11, 9), "brick": True}),
                (13, {"size": (11, 12)}))),
            Thing("tree", (-3.4, 10.8, 0.1), look={"height": 2.4}),
        ),
        Camera((0.2, -1.6, 1.75), (0.2, 5.5, 0.75), 40),
        Light("sun", 34, 130),
    ),
    Scene(
        "station-1",
        (
            Thing("platform"),
            Thing("sign", (0.1, 3.2, 2.35), 0, (Print("front", (
                Line("CENTRAL STATION", 0.36, 0.26, "#f6f3e8", _GROTESK),
                Line("platform 2", 0.78, 0.16, "#f2cf4a", _GROTESK, x=0.2),
                Line("trains to Green Hill", 0.78, 0.16, "#f2cf4a", _GROTESK, x=0.68)),),),
                look={"size": (1.9, 0.5), "colour": "#1f3f66", "hang": 0.9, "thick": 0.05,
                      "bolts": False}),
            Thing("sign", (0.76, 1.4, 1.5), -12, (Print("front", (
                Line("Way out", 0.3, 0.26, "#22303f", _HEAVY, x=0.1, align="l"),
                Line("Market Square", 0.7, 0.2, "#22303f", _HEAVY, x=0.1, align="l",
                     width=0.84)),),),
                look={"size": (0.8, 0.34), "colour": "#e9c23a", "thick": 0.02}),
        ),
        Camera((-0.5, -1.0, 1.6), (0.13, 3.2, 1.95), 34),
        Light("cloud", 40, 0, 0.8),
        exposure=1.3,
    ),
    Scene(
        "station-2",
        (
            Thing("wall", look={"wall": ("metro", "#cfc9b8"), "floor": "slabs"}),
            Thing("display", (0, -0.5, 2.1), 0, (Print("front", (
                Line("DEPARTURES", 0.12, 0.1, "#f4f0e2", _HEAVY, x=0.05, align="l"),
                *(line for row, (time, place, track) in enumerate((
                    ("0815", "North Bridge", "2"), ("0824", "Old Harbour", "4"),
                    ("0840", "Market Street", "1"),
                    ("0852", "Night Train", "7")))
                  for line in (Line(time, 0.34 + 0.17 * row, 0.085, "#ffb838", _HEAVY, x=0.05,
                                    align="l"),
                               Line(place, 0.34 + 0.17 * row, 0.085, "#ffb838", _HEAVY, x=0.27,
                                    align="l", width=0.5),
                               Line(track, 0.34 + 0.17 * row, 0.085, "#ffb838", _HEAVY, x=0.95,
                                    align="r")))), finish="glow"),),
                called="board", look={"size": (1.7, 0.9), "strength": 2.2}),
            Thing("sign", (0.0, -0.03, 1.45), 0, (Print("front", (
                Line("Exit", 0.5, 0.4, "#f6f3e8", _GROTESK, x=0.2),
                Line("Taxi", 0.5, 0.4, "#f6f3e8", _GROTESK, x=0.76)),),),
                look={"size": (1.1, 0.22), "colour": "#245a3c", "thick": 0.03}),
        ),
        Camera((-0.9, -3.3, 1.5), (0.05, -0.3, 2.24), 39),
        Light("cloud", 40, 0, 1.0),
    ),
)  # fmt: skip
