"""What a scene is made of, as plain data: lines of text on prints, prints on things.

Lengths are metres. A thing stands at `at` and is turned about the vertical; unturned it faces the
negative y axis. Nothing here knows how a thing looks: that is the renderer's part.
"""

from dataclasses import dataclass, field

#: What a thing may be called in a semantic query.
THINGS = (
    "bag", "board", "book", "bottle", "box", "bus", "can", "card", "crate", "door", "jar", "mug",
    "newspaper", "poster", "road", "shelf", "shirt", "shop", "sign", "stall", "ticket", "wall",
)  # fmt: skip

#: How a print is made: ink on a ground, solid letters, glass tubes, chalk, worn paint, or light.
FINISHES = ("ink", "raised", "neon", "chalk", "paint", "glow")


@dataclass(frozen=True)
class Line:
    """One line of text. Its words are read in order; places are fractions of its print's size."""

    text: str  # as drawn
    y: float  # the middle of its capitals, from the top
    h: float  # height of a capital
    colour: str = "#1d1b19"
    font: str = "Lato-Bold"
    x: float = 0.5
    align: str = "m"  # of x: the left (l), the middle (m) or the right (r) of the line
    width: float = 0.9  # a longer line is made smaller until it fits

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.text.lower().split())


@dataclass(frozen=True)
class Print:
    """Lines on one face of a thing, with what else is drawn there.

    A shape is (kind, x0, y0, x1, y1, colour), its kind box, oval, frame, stripes or dots.
    """

    slot: str  # which face of its thing
    lines: tuple[Line, ...] = ()
    ground: str | None = None  # None: only the letters are laid on the thing
    shapes: tuple[tuple, ...] = ()
    finish: str = "ink"
    wear: float = 0.0  # how much of the ink is gone


@dataclass(frozen=True)
class Thing:
    """Something in a scene; `kind` says how it is built, `called` how a query calls it."""

    kind: str
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: float = 0.0  # degrees, counter-clockwise seen from above
    prints: tuple[Print, ...] = ()
    called: str | None = None
    look: dict = field(default_factory=dict)  # sizes, colours and details, known to its builder


@dataclass(frozen=True)
class Camera:
    at: tuple[float, float, float]
    to: tuple[float, float, float]
    lens: float = 50.0  # mm, of a 36 mm sensor
    stop: float | None = None  # f-number; None: everything is sharp
    focus: tuple[float, float, float] | None = None  # None: on `to`
    roll: float = 0.0  # degrees


@dataclass(frozen=True)
class Light:
    """The sky, or the light of a room.

    Of a sky `elevation` and `turn` (degrees) are where its sun stands; in a room they are where the
    window is.
    """

    kind: str = "sun"  # sun, cloud, room or night
    elevation: float = 40.0
    turn: float = 0.0
    strength: float = 1.0
    warmth: float = 0.0  # -1 blue … 1 orange


@dataclass(frozen=True)
class Scene:
    name: str
    things: tuple[Thing, ...]
    camera: Camera
    light: Light = Light()
    size: tuple[int, int] = (720, 540)
    exposure: float = 0.0  # stops
