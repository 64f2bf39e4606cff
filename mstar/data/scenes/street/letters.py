"""Lines of text drawn flat: any letter spacing, condensed or wide, bent, stacked or turned."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mstar.data.areas import corners
from mstar.data.scenes.draw import fonts

WORD_GAP = 0.42  # between words, in units of the nominal size
# Every size has a face of its own in memory: few of them, and the pose does the rest.
_SIZES = (14, 18, 22, 28, 35, 44, 55, 70, 88, 110, 138, 170, 210)


# Of the lines alone: up to where in a lot from 0 to 1.
_STACKED, _TURNED, _BENT = 0.05, 0.12, 0.3


@dataclass(frozen=True)
class Lettering:
    """A line drawn flat.

    Attributes:
        ink: uint8 [height, width], 255 = ink.
        outlines: of each word, float [points, 2] px: around its ink, clockwise from its top left.
        size: nominal, px.
    """

    ink: np.ndarray
    outlines: tuple[np.ndarray, ...]
    size: float


@dataclass(frozen=True)
class Sheet:
    """Lines in their places on a flat board.

    Attributes:
        ink: uint8 [height, width], 255 = ink.
        outlines: of each line and each of its words, float [points, 2] px.
        spans: (first row, row after the last) of each line.
        size: smallest nominal size, px.
    """

    ink: np.ndarray
    outlines: tuple[tuple[np.ndarray, ...], ...]
    spans: tuple[tuple[int, int], ...]
    size: float

    def halved(self) -> "Sheet":
        """Half as large."""
        height, width = (max(1, side // 2) for side in self.ink.shape)
        rows, columns = height / self.ink.shape[0], width / self.ink.shape[1]
        return Sheet(
            cv2.resize(self.ink, (width, height), interpolation=cv2.INTER_AREA),
            tuple(tuple(one * (columns, rows) for one in line) for line in self.outlines),
            tuple((int(a * rows), int(b * rows)) for a, b in self.spans),
            self.size * math.sqrt(rows * columns),
        )


def drawn_size(size: float) -> int:
    """The nominal size at which letters that are to be `size` px large are drawn."""
    return next((one for one in _SIZES if one >= 1.1 * size), _SIZES[-1])


def lettered(
    rng: np.random.Generator,
    lines: tuple[tuple[str, ...], ...],
    font: str,
    size: int,
    least: float,
    free: bool,
) -> list[Lettering]:
    """The lines of a board, in one hand.

    Args:
        size: nominal, of the first line, px. The others are smaller at times, but not under
            `least` px.
        free: whether a line alone may be bent, stacked or turned.
    """
    spacing = float(rng.uniform(-0.03, 0.3)) if rng.random() < 0.3 else 0.0
    stretch = float(rng.uniform(0.75, 1.3)) if rng.random() < 0.3 else 1.0
    free = free and len(lines) == 1
    lot = rng.random()
    if free and lot < _STACKED and len(lines[0]) == 1:
        return [stacked(lines[0][0].upper(), font, size)]
    made = []
    for number, words in enumerate(lines):
        share = 1.0 if number == 0 or rng.random() < 0.5 else float(rng.uniform(0.6, 1.0))
        one = round(max(size * share, min(size, least)))
        made.append(straight(words, font, one, spacing, stretch))
    if free and lot < _TURNED:
        return [turned(made[0], upwards=bool(rng.random() < 0.6))]
    height, width = made[0].ink.shape
    if free and lot < _BENT and width > 2.5 * height:
        # as far as letters at the ends do not lie on their sides, and not on a dot
        angle = float(rng.uniform(0.3, min(2.2, 0.3 * width / height)))
        return [bent(made[0], angle if rng.random() < 0.7 else -angle)]
    return made


def straight(
    words: tuple[str, ...], font: str, size: int, spacing: float = 0.0, stretch: float = 1.0
) -> Lettering:
    """Words from left to right.

    Args:
        spacing: between letters, in units of the nominal size.
        stretch: by which the letters are wider than the font has them.
    """
    pieces = [_word(word, font, size, spacing * size) for word in words]
    top = min(y for _, y in pieces)
    bottom = max(y + piece.shape[0] for piece, y in pieces)
    gap = round((WORD_GAP + 1.5 * max(spacing, 0)) * size)
    width = sum(piece.shape[1] for piece, _ in pieces) + gap * (len(pieces) - 1)
    ink = np.zeros((bottom - top, width), np.uint8)
    boxes, x = [], 0
    for piece, y in pieces:
        height, wide = piece.shape
        ink[y - top : y - top + height, x : x + wide] = piece
        boxes.append((x, y - top, x + wide, y - top + height))
        x += wide + gap
    if stretch != 1:
        wide = max(1, round(width * stretch))
        ink = cv2.resize(ink, (wide, ink.shape[0]), interpolation=cv2.INTER_AREA)
        boxes = [(a * wide / width, b, c * wide / width, d) for a, b, c, d in boxes]
    return Lettering(ink, tuple(corners(*box) for box in boxes), size)


def _word(word: str, font: str, size: int, spacing: float) -> tuple[np.ndarray, int]:
    """The ink of a word, cut close, and how far below the base line its top edge is (px)."""
    face = fonts.face(font, size)
    width = face.getlength(word) + abs(spacing) * len(word) + 2 * size
    image = Image.new("L", (math.ceil(width), 2 * size + 4))
    pen, base = ImageDraw.Draw(image), round(1.35 * size)
    if spacing:
        x = float(size)
        for letter in word:
            pen.text((round(x), base), letter, fill=255, font=face, anchor="ls")
            x += face.getlength(letter) + spacing
    else:
        pen.text((size, base), word, fill=255, font=face, anchor="ls")
    left, top, right, bottom = image.getbbox()
    return np.asarray(image)[top:bottom, left:right], top - base


def stacked(word: str, font: str, size: int) -> Lettering:
    """A word from top to bottom, its letters upright."""
    pieces = [_word(letter, font, size, 0)[0] for letter in word]
    step = round(0.2 * size)
    width = max(piece.shape[1] for piece in pieces)
    height = sum(piece.shape[0] for piece in pieces) + step * (len(pieces) - 1)
    ink, y = np.zeros((height, width), np.uint8), 0
    for piece in pieces:
        high, wide = piece.shape
        left = (width - wide) // 2
        ink[y : y + high, left : left + wide] = piece
        y += high + step
    return Lettering(ink, (corners(0, 0, width, height),), size)


def turned(line: Lettering, upwards: bool) -> Lettering:
    """A line by 90°, read upwards or downwards."""
    height, width = line.ink.shape
    ink = np.ascontiguousarray(np.rot90(line.ink, 1 if upwards else -1))
    outlines = tuple(
        np.stack([one[:, 1], width - one[:, 0]] if upwards else [height - one[:, 1], one[:, 0]], 1)
        for one in line.outlines
    )
    return Lettering(ink, outlines, line.size)


def bent(line: Lettering, angle: float) -> Lettering:
    """A line along an arc of `angle` radians: positive like a rainbow, negative like a smile.

    A narrow arc is opened as far as the letters' feet need it.
    """
    height, width = line.ink.shape
    sign = math.copysign(1, angle)
    radius = max(width / abs(angle), 1.3 * height)  # of the middle of the line

    def bend(points: np.ndarray) -> np.ndarray:
        turn = (points[:, 0] - width / 2) / radius
        reach = radius - sign * (points[:, 1] - height / 2)
        return np.stack([reach * np.sin(turn), -sign * reach * np.cos(turn)], 1)

    outlines = [bend(_dense(one, width / radius)) for one in line.outlines]
    everything = np.concatenate(outlines)
    low = np.floor(everything.min(axis=0)) - 1
    size = np.ceil(everything.max(axis=0)) + 1 - low
    x = (np.arange(int(size[0]), dtype=np.float32) + np.float32(low[0] + 0.5))[None]
    y = (np.arange(int(size[1]), dtype=np.float32) + np.float32(low[1] + 0.5))[:, None]
    turn, reach = np.arctan2(x, -sign * y), np.hypot(x, y)
    column = turn * np.float32(radius) + np.float32(width / 2 - 0.5)
    row = np.float32(sign) * (np.float32(radius) - reach) + np.float32(height / 2 - 0.5)
    ink = cv2.remap(line.ink, column, row, cv2.INTER_LINEAR)
    return Lettering(ink, tuple(one - low for one in outlines), line.size)


def _dense(outline: np.ndarray, angle: float) -> np.ndarray:
    """A rectangle with further points on its long edges, so that it can follow an arc."""
    steps = np.linspace(0, 1, 3 + math.ceil(abs(angle) * 4))[:, None]
    top, bottom = outline.reshape(2, 2, 2)
    return np.concatenate([start + steps * (end - start) for start, end in (top, bottom)])
