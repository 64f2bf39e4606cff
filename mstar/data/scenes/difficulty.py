"""How hard a scene is to read: EASY, HARD and STREET to train on, CROWD to judge by.

EASY, HARD and CROWD are drawn flat (`layout`); STREET is drawn to look like a photograph
(`street`), and its images are larger.
"""

from dataclasses import dataclass, replace

from mstar.data.scenes.draw import fonts

SPLITS = ("train", "test")

SMALL = 17
"""A text under this nominal size (px at 128 px) is small where everything is drawn flat."""

BASE = 128
"""Width and height in px of what is drawn flat, unless it is said otherwise."""

FLAT, STREET_LOOK = "flat", "street"


@dataclass(frozen=True)
class Difficulty:
    """How hard a scene is to read. Sizes are nominal px at `base` px, contrast is grey levels."""

    name: str
    words: tuple[int, ...]  # how many words an image may have
    shares: tuple[float, ...]  # of the images: how many have that many words
    sizes: tuple[int, int]
    cases: tuple[str, ...]
    font_role: str
    contrast: float
    rotation: float  # degrees either way
    keystone: float  # fraction by which perspective squeezes an end or an edge; flat looks only
    blur: float  # largest Gaussian, px
    noise: int  # largest amplitude, grey levels
    thing_share: float  # of the scenes: something stands there, mostly with a text on it
    splits: tuple[str, ...] = SPLITS
    base: int = BASE  # px: how large an image is unless it is said otherwise
    small: int = SMALL  # a text under this size is small
    look: str = FLAT  # or STREET_LOOK


EASY = Difficulty(
    "easy", (1, 2, 3, 4, 5), (0.22, 0.21, 0.20, 0.19, 0.18), (11, 36),
    ("upper",), fonts.EASY,
    contrast=85, rotation=8, keystone=0.04, blur=0.5, noise=6, thing_share=0.32,
)  # fmt: skip
HARD = replace(
    EASY, name="hard", cases=("upper", "lower", "capitalised"), font_role=fonts.HARD,
    contrast=55, rotation=12, keystone=0.08, blur=0.7, noise=10,
)  # fmt: skip
CROWD = replace(
    EASY, name="crowd", words=(6, 7, 8), shares=(1 / 3, 1 / 3, 1 / 3), sizes=(11, 16),
    thing_share=0.0, splits=("test",),
)  # fmt: skip
STREET = Difficulty(
    "street", tuple(range(1, 11)),
    (0.13, 0.15, 0.15, 0.13, 0.11, 0.09, 0.08, 0.07, 0.05, 0.04), (11, 210),
    ("upper", "capitalised", "lower", "mixed"), fonts.HARD,
    contrast=45, rotation=14, keystone=0.0, blur=1.3, noise=13, thing_share=0.2,
    base=448, small=24, look=STREET_LOOK,
)  # fmt: skip
DIFFICULTIES = {difficulty.name: difficulty for difficulty in (EASY, HARD, CROWD, STREET)}
