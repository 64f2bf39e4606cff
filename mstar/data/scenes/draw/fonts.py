"""The typefaces of the sandbox: 50 files out of pinned wheels, each known by its SHA-256.

Twelve faces draw EASY images, 43 (the twelve and 31 more) draw HARD ones, and two whole families,
seven faces, are held out: they occur in evaluation galleries only. `fonts.json` lists them with
their wheels and hashes. All of them are free: Caladea under the Apache License 2.0, all others
under the SIL Open Font License 1.1.

The hashes are what makes a seed give the same image on every machine: a file with other bytes
draws other letters, so it is refused rather than used.
"""

import hashlib
import importlib
import importlib.util
import io
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

from mstar.errors import UserError

CAP_HEIGHT = 0.7
"""Height of a capital in units of the nominal size, the same for every face.

Faces disagree by a third on how large "16 px" is. Scaling each to one cap height makes `size`,
and with it the border between large and small, mean the same everywhere.
"""

EASY, HARD, UNSEEN = "easy", "hard", "unseen"


@dataclass(frozen=True)
class FontFile:
    """One face: its name, where its wheel keeps it, when it may be used, and its SHA-256."""

    name: str
    package: str
    suffix: str  # "ttf" and "otf" are files; "py" is a module that holds the bytes
    role: str
    sha256: str


FONT_FILES = tuple(
    FontFile(**entry)
    for entry in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
)
_FILES = {font.name: font for font in FONT_FILES}


@cache
def font_names(role: str) -> tuple[str, ...]:
    """Names of the faces that may draw `role`: "easy" (12), "hard" (43) or "unseen" (7)."""
    roles = {EASY: (EASY,), HARD: (EASY, HARD), UNSEEN: (UNSEEN,)}
    if role not in roles:
        raise UserError(f"Unknown font role {role!r}: expected one of {', '.join(roles)}.")
    return tuple(font.name for font in FONT_FILES if font.role in roles[role])


def fonts_hash() -> str:
    """One SHA-256 over the names and hashes of all faces: part of every gallery's hash."""
    listing = "\n".join(f"{font.name} {font.sha256}" for font in FONT_FILES)
    return hashlib.sha256(listing.encode()).hexdigest()


@cache
def _source(name: str) -> Path | bytes:
    """Where FreeType reads the face from, once its hash is checked: a path, or the bytes."""
    font = _FILES[name]
    spec = importlib.util.find_spec(font.package)
    if spec is None:
        wheel = font.package.replace("_", "-")
        raise UserError(f"The font {name} needs the wheel {wheel}, which is not installed.")
    if font.suffix == "py":
        module = font.name.replace("-", "_")
        source = importlib.import_module(f"{font.package}.{module}").fontbuffer
        found = hashlib.sha256(source).hexdigest()
    else:
        source = Path(spec.origin).parent / "files" / f"{font.name}.{font.suffix}"
        found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != font.sha256:
        raise UserError(
            f"The font {name} of {font.package} has SHA-256 {found}, expected {font.sha256}: "
            "install the pinned version of its wheel."
        )
    return source


def _open(name: str, pixels: float) -> ImageFont.FreeTypeFont:
    source = _source(name)
    # Basic layout: the other engine lives outside Pillow and may differ between machines.
    return ImageFont.truetype(
        io.BytesIO(source) if isinstance(source, bytes) else source,
        pixels,
        layout_engine=ImageFont.Layout.BASIC,
    )


@dataclass(frozen=True)
class _Measures:
    scale: float  # FreeType pixels per unit of nominal size
    advance: dict[str, float]  # the rest is in units of nominal size
    ink: dict[str, tuple[float, float, float, float]]  # left, top, right, bottom from the origin


@cache
def _measures(name: str) -> _Measures:
    probe = 200
    face = _open(name, probe)
    _, top, _, bottom = face.getbbox("H", anchor="ls")
    scale = CAP_HEIGHT * probe / (bottom - top)
    unit = scale / probe
    advances, inks = {}, {}
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        mask, (x, y) = face.getmask2(letter, mode="L", anchor="ls")
        left, top, right, bottom = mask.getbbox()
        box = (x + left, y + top, x + right, y + bottom)
        advances[letter] = face.getlength(letter) * unit
        inks[letter] = tuple(value * unit for value in box)
    return _Measures(scale, advances, inks)


@lru_cache(maxsize=600)
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """The face `name`, scaled so that its capitals are `CAP_HEIGHT * size` pixels tall."""
    return _open(name, size * _measures(name).scale)


def advance(name: str, word: str) -> float:
    """How far `word` moves the pen, in units of the nominal size; KeyError outside a-z, A-Z."""
    advances = _measures(name).advance
    return sum(advances[letter] for letter in word)


def ink(name: str, words: tuple[str, ...], gap: float) -> tuple[float, float]:
    """Width and height of the ink of words on a line, in units of the nominal size.

    Computed from the letters without drawing them, which is twenty times faster; hinting and
    kerning may change it by a pixel.
    """
    measures = _measures(name)
    pen, boxes = 0.0, []
    for word in words:
        for letter in word:
            left, top, right, bottom = measures.ink[letter]
            boxes.append((pen + left, top, pen + right, bottom))
            pen += measures.advance[letter]
        pen += gap
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return max(rights) - min(lefts), max(bottoms) - min(tops)
