"""Books, tickets, newspapers, parcels and bags."""

from ..plan import Camera, Light, Line, Print, Scene, Thing
from .goods import kitchen

_HEAVY, _TALL, _SERIF = "Lato-Black", "FjallaOne-Regular", "SourceSerifPro-Bold"
_ROUND, _WIDE, _GROTESK = "FredokaOne-Regular", "RedHatDisplay-Black", "HankenGrotesk-Bold"
_CALADEA = "Caladea-Bold"


def _lying(at, turn: float, title: str, who: str, colour: str, ink: str, size) -> Thing:
    """A book of a stack, its spine towards the camera."""
    spine = Print(
        "spine",
        (
            Line(title, 0.5, 0.42, ink, _CALADEA, x=0.05, align="l", width=0.52),
            Line(who, 0.5, 0.26, ink, _HEAVY, x=0.95, align="r", width=0.3),
        ),
    )
    return Thing("book", at, turn, (spine,), look={"tilt": -90, "colour": colour, "size": size})


def _row(titles) -> tuple[Thing, ...]:
    """Books that stand in a shelf, spines to the front."""
    things, x = [], -0.235
    for title, who, colour, ink, thick, high in titles:
        spine = Print(
            "spine",
            (
                Line(title, 0.5, 0.4, ink, _CALADEA, x=0.07, align="l", width=0.6),
                Line(who, 0.5, 0.25, ink, _HEAVY, x=0.95, align="r", width=0.27),
            ),
        )
        # A book's spine faces negative x: a quarter turn brings it to the front.
        things.append(
            Thing(
                "book",
                (x + thick / 2, -0.1, 0),
                90,
                (spine,),
                look={"colour": colour, "size": (0.15, thick, high)},
            )
        )
        x += thick + 0.0015
    return tuple(things)


def _ticket(at, turn, lines, paper: str, shapes=()) -> Thing:
    return Thing(
        "ticket",
        at,
        turn,
        (Print("front", lines, None, shapes),),
        look={"tilt": -90, "paper": paper, "size": (0.15, 0.068)},
    )


SCENES = (
    Scene(
        "books-1",
        (
            *kitchen(("plaster", "#7d8a80"), colour="#7a5030", other="#6b4428"),
            _lying((0.13, -0.06, 0.022), 92, "The Old House", "Mara Harrow", "#5f2a24", "#e8cf94",
                   (0.16, 0.044, 0.24)),
            _lying((0.14, -0.05, 0.062), 87, "Night Music", "Ada Finch", "#27384f", "#e6e0d0",
                   (0.15, 0.036, 0.23)),
            _lying((0.125, -0.055, 0.1), 94, "Bread and Salt", "Leo Moor", "#c9b78c", "#3a2a1c",
                   (0.15, 0.04, 0.22)),
            Thing("mug", (0.22, 0.02, 0), 0, (Print("front", (
                Line("good night", 0.5, 0.15, "#f2ead8", _ROUND, width=0.68),)),),
                look={"colour": "#3f6b63", "handle_turn": 10, "drink": "#4a2c18"}),
            Thing("book", (-0.275, 0.1, 0), 8, (Print("front", (
                Line("FARM", 0.16, 0.1, "#f6ecd0", _WIDE),
                Line("KITCHEN", 0.3, 0.075, "#f6ecd0", _WIDE),
                Line("fresh and simple", 0.42, 0.036, "#f6ecd0", _HEAVY, width=0.8),
                Line("Ada Finch", 0.9, 0.045, "#f6ecd0", _HEAVY)), None,
                (("oval", 0.25, 0.5, 0.75, 0.8, "#d9a23c"),
                 ("oval", 0.42, 0.47, 0.5, 0.54, "#2d4a22"))),),
                look={"colour": "#4d6b3a", "size": (0.19, 0.025, 0.26)}),
        ),
        Camera((0.0, -0.8, 0.26), (-0.01, 0, 0.105), 52, 5.0, (0, -0.06, 0.08)),
        Light("room", 35, -55),
    ),
    Scene(
        "books-2",
        (
            Thing("shelf", look={"heights": (0.0, 0.31), "size": (0.56, 0.24), "colour": "#6b4629",
                                 "wall": ("wood", "#5a3a22")}),
            *_row((("Street Music", "Ola Lund", "#8a2f26", "#f0dfb4", 0.042, 0.235),
                   ("The Night Bus", "Ada Finch", "#22364e", "#e9e3d3", 0.048, 0.25),
                   ("Green Light", "Rosa Tern", "#3d6240", "#efe4c2", 0.038, 0.22),
                   ("House of Bread", "Leo Moor", "#c8b285", "#3a2818", 0.05, 0.245),
                   ("Old Roads", "Mara Harrow", "#4b3a33", "#dcb568", 0.042, 0.21),
                   ("Open Market", "Joan Vale", "#b7622a", "#fbeecb", 0.046, 0.24),
                   ("Horse and Farm", "Rosa Tern", "#d8d2c2", "#29343f", 0.05, 0.23),
                   ("The Last Station", "Kit Brook", "#5b2140", "#ecd6b0", 0.048, 0.25),
                   ("Big Dream", "Ola Lund", "#2f6674", "#f3ead0", 0.044, 0.22))),
            Thing("clutter", (0, 0, 0.31), look={"width": 0.54, "of": ("book",)}),
        ),
        Camera((-0.07, -0.75, 0.2), (-0.015, 0, 0.135), 50, 5.6, (0, -0.1, 0.12)),
        Light("room", 35, -40, warmth=1),
    ),
    Scene(
        "tickets-1",
        (
            Thing("table", look={"colour": "#6e4a30", "other": "#5f3f28", "boards": 7}),
            _ticket((-0.055, 0.0, 0), 12,
                    (Line("NIGHT TRAIN", 0.2, 0.16, "#1f3a5a", _HEAVY, x=0.42, width=0.7),
                     Line("Central Station", 0.5, 0.12, "#1f3a5a", _GROTESK, x=0.42, width=0.7),
                     Line("coach 7", 0.8, 0.12, "#1f3a5a", _GROTESK, x=0.22),
                     Line("seat 24", 0.8, 0.12, "#1f3a5a", _GROTESK, x=0.6),
                     Line("ONE", 0.35, 0.14, "#f4ecd8", _HEAVY, x=0.91, width=0.15),
                     Line("WAY", 0.65, 0.14, "#f4ecd8", _HEAVY, x=0.91, width=0.15)), "#d9e0dc",
                    (("box", 0.83, 0, 1, 1, "#1f3a5a"),)),
            _ticket((0.07, -0.085, 0.001), -9,
                    (Line("Jazz Night", 0.26, 0.22, "#7a1f28", _CALADEA),
                     Line("Corner House", 0.56, 0.12, "#3a2a20", _GROTESK),
                     Line("admit one", 0.82, 0.1, "#3a2a20", _HEAVY, x=0.28),
                     Line("row 7", 0.82, 0.1, "#3a2a20", _HEAVY, x=0.76)), "#e8d9b0",
                    (("frame", 0.02, 0.04, 0.98, 0.96, "#7a1f28"),)),
            _ticket((-0.09, -0.12, 0.0), -28,
                    (Line("CLOAK ROOM", 0.3, 0.18, "#2d3b2a", _TALL),
                     Line("138", 0.66, 0.3, "#a8201c", _TALL)), "#c9d2b4"),
            Thing("mug", (0.16, 0.09, 0), 0, look={"colour": "#e5dfd0", "drink": "#3a2214",
                                                   "handle_turn": -70}),
        ),
        Camera((0.0, -0.34, 0.34), (-0.005, -0.025, 0.0), 58, 5.0),
        Light("room", 35, -60, warmth=1),
    ),
    Scene(
        "newspaper-1",
        (
            Thing("table", look={"colour": "#9a7048", "other": "#8b623c", "boards": 6}),
            Thing("newspaper", (-0.02, -0.13, 0), 7, (Print("front", (
                Line("The Corner Post", 0.11, 0.105, "#161412", _CALADEA),
                Line("Monday", 0.225, 0.032, "#161412", _HEAVY, x=0.05, align="l"),
                Line("price 2", 0.225, 0.032, "#161412", _HEAVY, x=0.95, align="r"),
                Line("New Bridge Open", 0.35, 0.078, "#161412", _SERIF, x=0.3, width=0.54),
                Line("Market Street", 0.34, 0.05, "#161412", _SERIF, x=0.8, width=0.34),
                Line("closed today", 0.43, 0.042, "#161412", _SERIF, x=0.8, width=0.34)), None,
                (("box", 0.04, 0.185, 0.96, 0.192, "#161412"),
                 ("box", 0.04, 0.26, 0.96, 0.264, "#161412"),
                 ("box", 0.04, 0.46, 0.56, 0.95, "#7d7a72"),
                 ("box", 0.04, 0.7, 0.56, 0.95, "#55534d"),
                 ("oval", 0.12, 0.56, 0.5, 1.0, "#a19d92"),
                 ("box", 0.04, 0.86, 0.56, 0.95, "#3f3d39"),
                 *(("box", x, y / 100, x + 0.155, y / 100 + 0.011, "#8f8b82")
                   for x in (0.62, 0.8) for y in range(51, 96, 3)))),),
                look={"tilt": -90, "size": (0.32, 0.25)}),
            Thing("mug", (0.2, 0.05, 0), -5, (Print("front", (
                Line("corner", 0.32, 0.18, "#efe6d0", _HEAVY, width=0.66),
                Line("coffee", 0.64, 0.18, "#efe6d0", _HEAVY, width=0.66)),),),
                look={"colour": "#2f3f3a", "drink": "#4a2c18", "handle_turn": 20}),
        ),
        Camera((0.05, -0.44, 0.36), (0.022, 0.0, 0.015), 45, 5.6),
        Light("room", 40, -50),
    ),
    Scene(
        "parcels-1",
        (
            Thing("wall", look={"wall": ("plaster", "#a7a99f"), "floor": "boards"}),
            Thing("box", (-0.28, -0.55, 0), 9, (Print("front", (
                Line("FRAGILE", 0.34, 0.17, "#a8201c", _HEAVY, width=0.8),
                Line("this way up", 0.68, 0.1, "#a8201c", _HEAVY, width=0.76)), wear=0.25),),
                look={"size": (0.5, 0.4, 0.36), "flaps": True, "wear_grain": 60, "bevel": 0.006}),
            Thing("box", (0.32, -0.5, 0), -14, (Print("front", (
                Line("Old Books", 0.3, 0.13, "#22201d", _ROUND, width=0.8),
                Line("living room", 0.56, 0.085, "#22201d", _ROUND, width=0.8)), wear=0.2),),
                look={"size": (0.46, 0.4, 0.32), "flaps": True, "colour": "#a67f52",
                      "wear_grain": 60, "bevel": 0.006}),
            Thing("box", (-0.16, -0.53, 0.361), -6, (Print("front", (
                Line("Anna Wells", 0.3, 0.1, "#22201d", _GROTESK, x=0.14, align="l", width=0.72),
                Line("24 Station Street", 0.49, 0.1, "#22201d", _GROTESK, x=0.14, align="l",
                     width=0.72),
                Line("Hill Top", 0.68, 0.1, "#22201d", _GROTESK, x=0.14, align="l", width=0.72)),
                shapes=(("box", 0.08, 0.19, 0.92, 0.8, "#f1ede2"),)),),
                look={"size": (0.4, 0.3, 0.24), "flaps": True, "colour": "#bd9466",
                      "bevel": 0.005}),
            Thing("plant", (0.75, -0.35, 0), look={"size": 0.17, "count": 420}),
        ),
        Camera((0.15, -2.4, 0.95), (0.02, -0.4, 0.29), 60, 6.3, (0, -0.7, 0.3)),
        Light("room", 35, -45),
    ),
    Scene(
        "bag-1",
        (
            Thing("wall", look={"wall": ("wood", "#8fa39a"), "floor": "boards"}),
            Thing("bag", (0, -0.12, 0.9), 3, (Print("front", (
                Line("OLD BOOKS", 0.2, 0.1, "#26303a", _WIDE, width=0.92),
                Line("new stories", 0.4, 0.075, "#a8402a", _SERIF),
                Line("book corner", 0.74, 0.06, "#26303a", _HEAVY),
                Line("12 Mill Street", 0.87, 0.045, "#26303a", _GROTESK)), None,
                (("box", 0.2, 0.56, 0.8, 0.57, "#26303a"),)),),
                look={"colour": "#dccfb2", "handle": 0.75, "rough": 0.9}),
            Thing("sign", (0, -0.02, 1.5), look={"size": (0.5, 0.07), "colour": "#6b4a2c",
                                                 "thick": 0.02, "bolts": False}),
        ),
        Camera((0.2, -1.35, 1.2), (0.0, 0, 1.13), 50, 4.5, (0, -0.16, 1.1)),
        Light("room", 30, -60),
        (540, 720),
    ),
)  # fmt: skip
