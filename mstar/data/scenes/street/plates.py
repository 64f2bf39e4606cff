"""What carries a text, and how the ink lies on it: plates, banners, neon, engraving, paint."""

import cv2
import numpy as np

from mstar.data.scenes.draw import things
from mstar.data.scenes.draw.render import luma
from mstar.data.scenes.street import surfaces
from mstar.data.scenes.street.letters import Lettering, Sheet

PAINTED = "painted"
"""On what is there already; every other kind brings its own ground."""

KINDS = {
    PAINTED: 0.3, "plate": 0.27, "banner": 0.1, "sticker": 0.07, "poster": 0.1, "awning": 0.04,
    "lightbox": 0.06, "slab": 0.06,
}  # fmt: skip
"""Every kind of ground -> its share of the boards."""

_FAINT_SHARE = 0.12  # of the boards: little contrast
_FAINT = 0.62  # of the usual least contrast
_LEAST_CHANGE = 24  # grey levels that paint has to make
_SMOOTH = 50  # grey levels: on a ground that varies more, an engraving would be lost
_FAINT_SIZE = 22  # px; under it, letters of little contrast would be none


def arrange(rng: np.random.Generator, lines: list[Lettering], kind: str) -> Sheet:
    """Lines below each other, centred or flush left, with the margin that the kind needs."""
    size = min(line.size for line in lines)
    tall = max(line.ink.shape[0] for line in lines)
    gap = round(float(rng.uniform(0.25, 0.8)) * size)
    wide, high = rng.uniform(0.25, 0.9, 2) * size
    if kind == PAINTED:  # only what shadows and glows need
        wide = high = 0.3 * size
    elif kind == "banner":
        wide *= 3
    elif kind == "poster":
        high += float(rng.uniform(0.3, 2.0)) * size
    elif kind == "awning":
        wide, high = wide * 2.5, 0.35 * size
    above = round(high + (float(rng.uniform(0.8, 2)) * tall if kind == "awning" else 0))
    below, wide = round(high), round(wide)
    width = max(line.ink.shape[1] for line in lines) + 2 * wide
    height = sum(line.ink.shape[0] for line in lines) + gap * (len(lines) - 1) + above + below
    ink = np.zeros((height, width), np.uint8)
    flush = rng.random() < 0.25
    outlines, spans, y = [], [], above
    for line in lines:
        rows, columns = line.ink.shape
        x = wide if flush else (width - columns) // 2
        ink[y : y + rows, x : x + columns] = line.ink
        outlines.append(tuple(one + np.array((x, y)) for one in line.outlines))
        spans.append((y, y + rows))
        y += rows + gap
    return Sheet(ink, tuple(outlines), tuple(spans), size)


def carried(rng: np.random.Generator, line: Lettering, thing: str) -> tuple[Sheet, np.ndarray]:
    """A line on a thing, and the thing's picture float32 [height, width, 4] for `draw`."""
    height, width = line.ink.shape
    shape = things.plan(rng, thing, width, height, line.size / 16)
    ink = np.zeros((shape.height, shape.width), np.uint8)
    x = max(0, round(shape.text_at[0] - width / 2))
    y = max(0, round(shape.text_at[1] - height / 2))
    ink[y : y + height, x : x + width] = line.ink
    outlines = tuple(one + np.array((x, y)) for one in line.outlines)
    return Sheet(ink, (outlines,), ((y, y + height),), line.size), _pictured(rng, shape)


def bare(rng: np.random.Generator, thing: str, width: float, height: float) -> np.ndarray:
    """A thing float32 [height, width, 4] around a text of that size that is not there."""
    return _pictured(rng, things.plan(rng, thing, width, height, height / 10))


def _pictured(rng, shape):
    """A thing in the colours that things have: rarely pure, lit from one side, a little worn."""
    picture = np.asarray(things.picture(rng, shape)).astype(np.float32)
    colour, alpha = picture[..., :3], picture[..., 3:]
    grey = np.float32(rng.uniform(0.1, 0.65))
    colour += (colour.mean(axis=2, keepdims=True) - colour) * grey
    height, width = shape.height, shape.width
    light = float(rng.uniform(-0.2, 0.2)) * np.linspace(-1, 1, width, dtype=np.float32)[None]
    colour *= (1 + light + 0.08 * surfaces.rough(rng, height, width, height / 2))[..., None]
    colour[...] = np.clip(colour, 0, 255) * alpha / 255
    return picture


def draw(
    rng: np.random.Generator,
    sheet: Sheet,
    kind: str,
    ground: tuple[float, float, float],
    contrast: float,
    picture: np.ndarray | None = None,
) -> tuple[np.ndarray, list[float]]:
    """A board with its text.

    Args:
        ground: darkest, mean and lightest grey level of what a painted text stands on.
        contrast: least difference between ink and ground, grey levels.
        picture: float32 [height, width, 4] of a thing that carries the text.

    Returns:
        float32 [height, width, 4]: RGB times opacity, and the opacity, from 0 to 255; and of each
        line the difference in grey level between its ink and its ground before any light.
    """
    if rng.random() < _FAINT_SHARE and sheet.size >= _FAINT_SIZE:
        contrast *= _FAINT
    height, width = sheet.ink.shape
    if picture is not None:
        canvas, ink = picture, None
        ground = _ground(canvas, sheet)
    elif kind == PAINTED:
        canvas, ink = np.zeros((height, width, 4), np.float32), None
    else:
        canvas, ink = _carrier(rng, sheet, kind)
        ground = _ground(canvas, sheet)
    style = _style(rng, kind, ground)
    first = ink_for(rng, ground, contrast, ink)
    colours = [first]
    for _ in sheet.spans[1:]:
        another = rng.random() < 0.2
        colours.append(ink_for(rng, ground, contrast, None) if another else first)
    if style == "neon":
        glow = surfaces.colour_of(rng, "glows")
        _neon(canvas, sheet, glow)
        return canvas, [float(luma(glow * 0.4 + 153)) - ground[1]] * len(colours)
    if style == "relief":
        depth = _relief(rng, canvas, sheet)
        return canvas, [depth] * len(colours)
    for (top, bottom), colour in zip(sheet.spans, colours, strict=True):
        edge = max(2, round(0.12 * sheet.size))
        rows = slice(max(0, top - edge), min(height, bottom + edge))
        _letter(rng, canvas[rows], sheet.ink[rows], colour, style, sheet.size)
    return canvas, [abs(float(luma(np.array(colour))) - ground[1]) for colour in colours]


def shows(ground: np.ndarray, patch: np.ndarray, ink: np.ndarray) -> bool:
    """Whether paint changes its ground by more than the ground itself varies.

    Args:
        ground: grey levels [h, w].
        patch: what `draw` made, as it lies in the picture [h, w, 4].
        ink: uint8 [h, w].
    """
    changed = luma(patch[..., :3]) - ground * patch[..., 3] / 255
    strong = np.abs(changed[ink > 127])
    return strong.size == 0 or strong.mean() > max(_LEAST_CHANGE, 1.6 * ground.std())


def ink_for(
    rng: np.random.Generator,
    ground: tuple[float, float, float],
    contrast: float,
    wanted: np.ndarray | None,
) -> np.ndarray:
    """A colour as on signs, at least `contrast` from the ground where that can be.

    Args:
        ground: darkest, mean and lightest grey level.
        wanted: what it is if it differs enough.
    """
    choices, inks = [] if wanted is None else [wanted], np.array(surfaces.COLOURS["inks"])
    for i in rng.permutation(len(inks))[:6]:
        choices.append(np.clip(inks[i] + rng.integers(-20, 21, 3), 0, 255))
    low, mean, high = ground
    dark = min(low - 0.5 * contrast, mean - contrast)
    light = max(high + 0.5 * contrast, mean + contrast)
    for colour in choices:
        if not dark <= luma(colour) <= light:
            return colour
    return np.full(3, 12.0 if mean > 118 else 246.0)


def _ground(canvas: np.ndarray, sheet: Sheet) -> tuple[float, float, float]:
    """Darkest, mean and lightest grey level around the text of a board."""
    everything = np.concatenate([one for line in sheet.outlines for one in line])
    (x0, y0), (x1, y1) = everything.min(axis=0).astype(int), everything.max(axis=0).astype(int)
    step = max(1, (y1 - y0) // 24)
    return levels_of(luma(canvas[y0 : y1 + 1 : step, x0 : x1 + 1 : step, :3]))


def levels_of(levels: np.ndarray) -> tuple[float, float, float]:
    """Darkest, mean and lightest of grey levels, without the outermost twentieths."""
    ordered, end = np.sort(levels, axis=None), levels.size // 20
    return float(ordered[end]), float(ordered.mean()), float(ordered[-1 - end])


def _style(rng: np.random.Generator, kind: str, ground: tuple[float, float, float]) -> str:
    if kind == "lightbox":
        return "neon" if rng.random() < 0.65 else "plain"
    if kind == "slab":
        return "relief" if rng.random() < 0.45 else "plain"
    lot = rng.random()
    if kind == PAINTED and lot < 0.2 and ground[1] < 80:
        return "neon"
    if kind == PAINTED and lot < 0.12 and 70 < ground[1] < 215 and ground[2] - ground[0] < _SMOOTH:
        return "relief"
    return "outlined" if lot > 0.88 else "shadow" if lot > 0.74 else "plain"


def lay(canvas: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> None:
    """A colour on a board in place; alpha float32 [h, w] from 0 to 1."""
    alpha = alpha[..., None]
    canvas *= 1 - alpha
    canvas += alpha * np.append(colour, 255).astype(np.float32)


def _moved(alpha: np.ndarray, across: int, down: int) -> np.ndarray:
    matrix = np.float32([[1, 0, across], [0, 1, down]])
    return cv2.warpAffine(alpha, matrix, alpha.shape[::-1])


def _letter(rng, canvas, ink, colour, style, size):
    alpha = ink.astype(np.float32) * np.float32(1 / 255)
    other = np.full(3, 250.0 if luma(np.asarray(colour)) < 128 else 10.0)
    if style == "shadow":
        reach = max(1, round(float(rng.uniform(0.04, 0.1)) * size))
        across = reach if rng.random() < 0.7 else -reach
        shade = _moved(alpha, across, reach)
        if rng.random() < 0.6:
            shade = cv2.GaussianBlur(shade, (0, 0), 0.5 * reach + 0.2)
        dark = other if rng.random() < 0.25 else np.zeros(3)
        lay(canvas, shade * np.float32(rng.uniform(0.4, 0.9)), dark)
    elif style == "outlined":
        thick = max(3, 2 * round(float(rng.uniform(0.03, 0.07)) * size) + 1)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thick, thick))
        lay(canvas, cv2.dilate(alpha, kernel), other)
    lay(canvas, alpha, colour)


def _neon(canvas, sheet, colour):
    """Tubes: nearly white inside, their colour around them and far beyond."""
    alpha = sheet.ink.astype(np.float32) * np.float32(1 / 255)
    for reach, strength in ((0.28, 0.75), (0.1, 0.9)):
        glow = cv2.GaussianBlur(alpha, (0, 0), max(0.5, reach * sheet.size))
        lay(canvas, np.minimum(glow * np.float32(1.3), 1) * np.float32(strength), colour)
    lay(canvas, alpha, colour * 0.4 + 153)


def _relief(rng, canvas, sheet):
    """Cut into the ground or raised from it: only light and shadow tell the letters.

    Returns the difference in grey level that the edges make, about.
    """
    soft = cv2.GaussianBlur(sheet.ink, (0, 0), max(0.4, 0.02 * sheet.size))
    alpha = soft.astype(np.float32) / 255
    reach = max(1, round(0.035 * sheet.size))
    across = reach if rng.random() < 0.5 else -reach
    sides = _moved(alpha, across, reach) - _moved(alpha, -across, -reach)
    raised = 1 if rng.random() < 0.4 else -1
    strength = float(rng.uniform(0.65, 0.95))
    face = float(rng.uniform(0.2, 0.5))
    lay(canvas, alpha * np.float32(face), np.zeros(3) if raised < 0 else np.full(3, 255.0))
    lay(canvas, np.clip(raised * sides, 0, 1) * np.float32(strength), np.full(3, 8.0))
    lay(canvas, np.clip(-raised * sides, 0, 1) * np.float32(strength), np.full(3, 250.0))
    return face * 120


def _carrier(rng, sheet, kind):
    """An empty board, and the ink that goes with its colour."""
    height, width = sheet.ink.shape
    size = sheet.size
    pair = surfaces.colour_of(rng, "pairs")
    plate, ink = (np.clip(one + rng.integers(-14, 15, 3), 0, 255) for one in pair)
    if rng.random() < 0.15:
        plate, ink = ink, plate
    if kind == "lightbox":
        plate = np.array([16.0, 16, 20]) + rng.integers(0, 30, 3)
        ink = surfaces.colour_of(rng, "glows").astype(float)
    mask = np.full((height, width), 1, np.float32)
    if kind == "slab":
        texture = (surfaces.wood, surfaces.metal, surfaces.stone, surfaces.plaster, surfaces.fabric)
        face = texture[int(rng.integers(5))](rng, height, width)
    else:
        worn = 0.05 * surfaces.noise(rng, height, width, max(8, height / 2), max(8, width / 3))
        slope = float(rng.uniform(-0.12, 0.12)) * np.linspace(-1, 1, height)[:, None]
        face = plate.astype(np.float32) * (1 + worn + slope.astype(np.float32))[..., None]
    if kind == "poster":
        for rows in (face[: max(0, sheet.spans[0][0] - 3)], face[sheet.spans[-1][1] + 3 :]):
            surfaces.print_on(rng, rows, [pair[0] for pair in surfaces.COLOURS["pairs"]], size)
    elif kind == "awning":
        stripe = max(3, round(float(rng.uniform(0.5, 1.5)) * size))
        above = sheet.spans[0][0] - round(0.3 * size)
        striped = np.arange(width) // stripe % 2 == 0
        face[: max(0, above), striped] = ink * 0.85 + 20
        face[max(0, above - 2) : max(0, above)] *= 0.7
    elif kind in ("plate", "sticker", "lightbox"):
        _edge(rng, face, mask, ink, kind, size)
        if mask[sheet.ink > 0].min() < 0.5:  # the text is too wide for these corners
            mask[...] = 1
    canvas = np.empty((height, width, 4), np.float32)
    canvas[..., :3] = np.clip(face, 0, 255) * mask[..., None]
    canvas[..., 3] = 255 * mask
    return canvas, ink


def _edge(rng, face, mask, ink, kind, size):
    """Round corners, a frame, screws; a sticker is round or oval at times."""
    height, width = mask.shape
    if kind == "sticker" and rng.random() < 0.4:
        mask[...] = 0
        cv2.ellipse(mask, (width // 2, height // 2), (round(0.52 * width), round(0.62 * height)),
                    0, 0, 360, 1.0, -1, cv2.LINE_AA)  # fmt: skip
        return
    radius = round(min(height, width) * float(rng.choice((0.0, 0.08, 0.2, 0.4))))
    if radius:
        mask[...] = 0
        cv2.rectangle(mask, (radius, 0), (width - radius - 1, height - 1), 1.0, -1)
        cv2.rectangle(mask, (0, radius), (width - 1, height - radius - 1), 1.0, -1)
        for x in (radius, width - radius - 1):
            for y in (radius, height - radius - 1):
                cv2.circle(mask, (x, y), radius, 1.0, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        thick = max(1, round(float(rng.uniform(0.04, 0.12)) * size))
        inside = cv2.erode(np.pad(mask, 1), np.ones((3, 3)), iterations=thick)[1:-1, 1:-1]
        frame = ((mask > 0.5) & (inside < 0.5))[..., None]
        tone = ink if rng.random() < 0.6 else np.full(3, float(rng.uniform(90, 190)))
        np.copyto(face, tone.astype(np.float32), where=frame)
    if kind == "plate" and rng.random() < 0.35:
        inset = max(2, round(0.16 * size))
        for x in (inset, width - inset):
            for y in (inset, height - inset):
                cv2.circle(face, (x, y), max(1, inset // 3), (95, 95, 98), -1, cv2.LINE_AA)
