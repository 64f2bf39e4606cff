"""Prints drawn flat: an image with transparency, and where in it every word is."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

from mstar.data.scenes.draw.fonts import FONT_FILES

from .plan import Line, Print

_FILES = {font.name: font for font in FONT_FILES}


class Placed(NamedTuple):
    """A drawn word: its line, and the box of its ink in fractions of the print, y upwards."""

    line: int
    word: str
    drawn: str
    box: tuple[float, float, float, float]  # left, bottom, right, top


def font_path(name: str) -> Path:
    """The font's file in the wheel that the project pins."""
    font = _FILES[name]
    spec = importlib.util.find_spec(font.package)
    if spec is None:
        raise ModuleNotFoundError(f"The font {name} needs the wheel {font.package}.")
    return Path(spec.origin).parent / "files" / f"{name}.{font.suffix}"


def _face(name: str, capital: float) -> ImageFont.FreeTypeFont:
    def of(size: float) -> ImageFont.FreeTypeFont:
        # Basic layout: whether the other engine is there differs between machines.
        return ImageFont.truetype(font_path(name), size, layout_engine=ImageFont.Layout.BASIC)

    _, top, _, bottom = of(200).getbbox("H", anchor="ls")
    return of(200 * capital / (bottom - top))


def _layout(line: Line, width: int, height: int) -> list[tuple[str, float, float, object]]:
    """The words of a line with the pen's position before each and the face that fits."""
    capital = line.h * height
    while True:
        face = _face(line.font, capital)
        gap = max(face.getlength(" "), 0.33 * capital)
        lengths = [face.getlength(word) for word in line.text.split()]
        total = sum(lengths) + gap * (len(lengths) - 1)
        if total <= line.width * width:
            break
        capital *= 0.999 * line.width * width / total
    pen = line.x * width - {"l": 0.0, "m": 0.5, "r": 1.0}[line.align] * total
    placed = []
    for word, length in zip(line.text.split(), lengths, strict=True):
        placed.append((word, pen, line.y * height + capital / 2, face))
        pen += length + gap
    return placed


def _shape(pen: ImageDraw.ImageDraw, size: tuple[int, int], shape: tuple) -> None:
    kind, *box, colour = shape
    width, height = size
    x0, y0, x1, y1 = (round(v * s) for v, s in zip(box, (width, height) * 2, strict=True))
    unit = max(2, round(min(width, height) * 0.02))
    if kind == "box":
        pen.rectangle((x0, y0, x1, y1), fill=colour)
    elif kind == "oval":
        pen.ellipse((x0, y0, x1, y1), fill=colour)
    elif kind == "frame":
        pen.rounded_rectangle((x0, y0, x1, y1), radius=2 * unit, outline=colour, width=unit)
    elif kind == "stripes":
        step = (x1 - x0) / 10
        for number in range(0, 10, 2):
            pen.rectangle((x0 + number * step, y0, x0 + (number + 1) * step, y1), fill=colour)
    elif kind == "dots":
        for row in range(y0, y1, 4 * unit):
            for column in range(x0, x1, 4 * unit):
                pen.ellipse((column, row, column + unit, row + unit), fill=colour)
    else:
        raise ValueError(f"Unknown shape {kind!r}.")


def draw(spec: Print, width: float, height: float) -> tuple[Image.Image, list[Placed]]:
    """A print of that size in metres, and its words."""
    scale = 1600 / max(width, height)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    # Transparent letters keep their own colour around them: mixed with black their edge is dirty.
    colour = spec.lines[0].colour if spec.lines else "#808080"
    ground = ImageColor.getrgb(spec.ground) if spec.ground else (*ImageColor.getrgb(colour), 0)
    image = Image.new("RGBA", size, ground)
    pen = ImageDraw.Draw(image)
    for shape in spec.shapes:
        _shape(pen, size, shape)
    placed = []
    for number, line in enumerate(spec.lines):
        for word, x, baseline, face in _layout(line, *size):
            # `getbbox` begins at the pen, not at the ink.
            mask, (right_by, down_by) = face.getmask2(word, mode="L", anchor="ls")
            left, top, right, bottom = mask.getbbox()
            left, right = left + right_by, right + right_by
            top, bottom = top + down_by, bottom + down_by
            pen.text((x, baseline), word, fill=line.colour, font=face, anchor="ls")
            box = (
                (x + left) / size[0],
                1 - (baseline + bottom) / size[1],
                (x + right) / size[0],
                1 - (baseline + top) / size[1],
            )
            placed.append(Placed(number, word.lower(), word, box))
    return image, placed
