"""Four things that can carry a text, drawn simply: a sign, a bottle, a shirt, a door.

A thing is planned from the size of the text that it is to carry, then drawn. What makes it a sign
or a shirt is its outline (post, sleeves, neck, frame and knob); colours and proportions vary, so
that neither colour nor place tells which thing it is.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from mstar.data.scenes.draw.render import Box, luma, random_colour
from mstar.errors import UserError

LETTERS = {"sign": 8, "bottle": 5, "shirt": 6, "door": 5}
"""Every thing -> how many letters a word on it has at most."""

THINGS = tuple(LETTERS)

TEXT_SHARE = 0.8
"""Of the things, those that carry a text; the others are bare."""

_FINE = 3  # things are drawn this many times larger and reduced: smooth edges


@dataclass(frozen=True)
class Shape:
    """A planned thing: its kind, its size in px, and where its text goes in it (the centre)."""

    kind: str
    width: int
    height: int
    text_at: tuple[float, float]
    parts: dict[str, Box]


def plan(
    rng: np.random.Generator, kind: str, text_width: float, text_height: float, scale: float
) -> Shape:
    """A thing of `kind` around a text of that size in px, its borders `scale` times 128 px's."""
    slack = rng.uniform(1.0, 1.25)
    stretch = rng.uniform(0.9, 1.15)
    if kind == "sign":
        width = text_width * slack + 12 * scale
        board = text_height * rng.uniform(1.3, 1.7) + 10 * scale
        height = board * rng.uniform(1.6, 2.0)
        post = width * rng.uniform(0.06, 0.1)
        parts = {
            "post": (width / 2 - post, board - 1, width / 2 + post, height),
            "board": (0, 0, width, board),
        }
        text_at = (width / 2, board / 2)
    elif kind == "bottle":
        width = text_width * slack + 8 * scale
        height = max(width * 1.75 * stretch, text_height + 1.2 * width)
        neck = width * rng.uniform(0.14, 0.19)
        shoulder = height * 0.30
        middle = (shoulder + height) / 2
        label = text_height / 2 + rng.uniform(4, 8) * scale
        parts = {
            "body": (0, shoulder, width, height),
            "neck": (width / 2 - neck, height * 0.06, width / 2 + neck, shoulder + width * 0.2),
            "cap": (width / 2 - neck - 1, 0, width / 2 + neck + 1, height * 0.10),
            "label": (0, middle - label, width, middle + label),
        }
        text_at = (width / 2, middle)
    elif kind == "shirt":
        torso = text_width * slack + 10 * scale
        sleeve = torso * rng.uniform(0.22, 0.3)
        width = torso + 2 * sleeve
        height = max(torso * stretch, text_height * 2.2)
        parts = {"torso": (sleeve, 0, sleeve + torso, height)}
        text_at = (width / 2, height * rng.uniform(0.42, 0.5))
    elif kind == "door":
        width = text_width * slack + 16 * scale
        height = max(width * 1.7 * stretch, text_height + width)
        parts = {"leaf": (width * 0.07, width * 0.07, width * 0.93, height)}
        text_at = (width / 2, height * rng.uniform(0.24, 0.3))
    else:
        raise UserError(f"Unknown thing {kind!r}: expected one of {', '.join(THINGS)}.")
    return Shape(kind, round(width), round(height), text_at, parts)


def draw(rng: np.random.Generator, image: Image.Image, shape: Shape, at: tuple[int, int]) -> None:
    """Draw a planned thing into `image` with its top left corner `at` (x, y)."""
    small = picture(rng, shape)
    image.paste(small.convert("RGB"), at, small.getchannel("A"))


def picture(rng: np.random.Generator, shape: Shape) -> Image.Image:
    """A planned thing alone, RGBA of the shape's size."""
    size = (shape.width * _FINE, shape.height * _FINE)
    canvas = Image.new("RGBA", size)
    main = random_colour(rng)
    # Trim of another grey level, so that outline and details show on the thing itself.
    level = float(luma(np.array(main)))
    trims = rng.integers(0, 256, (12, 3))
    trim = tuple(trims[np.argmax(np.abs(luma(trims) - level) > 60)].tolist())
    _DRAW[shape.kind](ImageDraw.Draw(canvas), shape, main, trim)
    return canvas.resize((shape.width, shape.height), Image.Resampling.BOX)


def _fine(box: Box) -> Box:
    return tuple(round(value * _FINE) for value in box)


def _draw_sign(pen, shape, main, trim):
    pen.rectangle(_fine(shape.parts["post"]), fill=trim)
    board = _fine(shape.parts["board"])
    pen.rounded_rectangle(board, radius=5 * _FINE, fill=trim)
    inner = (board[0] + _FINE, board[1] + _FINE, board[2] - _FINE, board[3] - _FINE)
    pen.rounded_rectangle(inner, radius=4 * _FINE, fill=main)
    line = tuple(v + s * 2 * _FINE for v, s in zip(inner, (1, 1, -1, -1), strict=True))
    pen.rounded_rectangle(line, radius=3 * _FINE, outline=trim, width=_FINE)


def _draw_bottle(pen, shape, main, trim):
    body, neck = _fine(shape.parts["body"]), _fine(shape.parts["neck"])
    pen.rectangle(neck, fill=main)
    pen.rounded_rectangle(body, radius=round((body[2] - body[0]) * 0.28), fill=main)
    pen.rounded_rectangle(
        (body[0], (body[1] + body[3]) / 2, body[2], body[3]), radius=3 * _FINE, fill=main
    )
    pen.rectangle(_fine(shape.parts["cap"]), fill=trim)
    x0, y0, x1, y1 = _fine(shape.parts["label"])
    pen.line((x0, y0, x1, y0), fill=trim, width=_FINE)
    pen.line((x0, y1, x1, y1), fill=trim, width=_FINE)


def _draw_shirt(pen, shape, main, trim):
    left, _, right, _ = _fine(shape.parts["torso"])
    width, height = shape.width * _FINE, shape.height * _FINE
    neck = (right - left) * 0.2
    middle = width / 2
    cuff = height * 0.36
    outline = [
        (middle - neck, 0), (left, height * 0.05), (0, cuff * 0.8), (left * 0.6, cuff * 1.15),
        (left, cuff * 0.85), (left, height), (right, height), (right, cuff * 0.85),
        (width - left * 0.6, cuff * 1.15), (width, cuff * 0.8), (right, height * 0.05),
        (middle + neck, 0),
    ]  # fmt: skip
    pen.polygon(outline, fill=main)
    pen.line([*outline, outline[0]], fill=trim, width=round(_FINE * 1.4), joint="curve")
    # The collar: a round opening with a hem.
    pen.pieslice((middle - neck, -neck * 0.7, middle + neck, neck * 0.7), 0, 180, fill=trim)


def _draw_door(pen, shape, main, trim):
    width, height = shape.width * _FINE, shape.height * _FINE
    pen.rectangle((0, 0, width, height), fill=trim)
    x0, y0, x1, y1 = _fine(shape.parts["leaf"])
    pen.rectangle((x0, y0, x1, y1), fill=main)
    gap = width * 0.1
    top, bottom = height * 0.46, height - gap
    half, middle, centre = gap / 2, (top + bottom) / 2, (x0 + x1) / 2
    for left, right in ((x0 + gap, centre - half), (centre + half, x1 - gap)):
        for upper, lower in ((top, middle - half), (middle + half, bottom)):
            pen.rectangle((left, upper, right, lower), outline=trim, width=_FINE)
    knob = max(2 * _FINE, width * 0.035)
    x, y = x1 - gap * 0.5, height * 0.5
    pen.ellipse((x - knob, y - knob, x + knob, y + knob), fill=trim)


_DRAW = {"sign": _draw_sign, "bottle": _draw_bottle, "shirt": _draw_shirt, "door": _draw_door}
