"""A whole scene: a ground, boards in their places, what hides them, light over all of it."""

from dataclasses import replace

import cv2
import numpy as np

from mstar.data.areas import polygon_area
from mstar.data.scenes import lexicon
from mstar.data.scenes.draw.brief import Brief, Text
from mstar.data.scenes.draw.render import luma
from mstar.data.scenes.labels import Region
from mstar.data.scenes.street import letters, light, obstacles, plates, pose, writing
from mstar.data.scenes.street.grounds import ground
from mstar.data.scenes.street.obstacles import HALF_HIDDEN, HIDDEN, READABLE, Placed
from mstar.data.scenes.street.writing import Board

_NUMBER_SHARE = 0.1  # of the strips
_VIEWS = (0.45, 0.33, 0.22)  # shares: small text in a wide view, of all sizes, large text close by
_HALF_HIDDEN_SHARE = 0.18  # of the scenes: something stands before a word, which stays readable
_HIDDEN_SHARE = 0.1  # of the scenes: a further word that nobody can read
_LOOKS = 40  # places tried for a board before it is drawn smaller
_SHRINK = 0.75
_RESTLESS = 75  # grey levels: a ground that varies more cannot be painted on
_LARGEST_ON_THING = 70  # px at the difficulty's base
_THING_TILT = 0.4  # things stand upright
_COARSE = 4  # px: grounds are judged on pictures smaller by that


def compose(
    brief: Brief, required: tuple[Text, ...], size: int
) -> tuple[tuple[Region, ...], np.ndarray, tuple[str, ...]]:
    """The regions, pixels uint8 [size, size, 3], and things of a scene with the required texts.

    Raises as `ground` does.
    """
    words = int(brief.rng.choice(brief.difficulty.words, p=brief.difficulty.shares))
    while True:
        scene = _Scene(brief, size, size)
        boards = writing.plan(brief, required, words)
        as_asked = [scene.place(board) or not board.required for board in boards]
        if all(as_asked) and scene.placed:
            scene.obstruct()
            return scene.finish()


class _Scene:
    """A picture float32 [height, width, 3] that boards are put into."""

    def __init__(self, brief: Brief, height: int, width: int):
        self.brief, self.rng, self.difficulty = brief, brief.rng, brief.difficulty
        self.height, self.width = height, width
        self.picture = ground(self.rng, height, width, brief.backgrounds)
        self.scale = height / self.difficulty.base
        self.view = int(self.rng.choice(3, p=_VIEWS))
        # A wide photograph squeezed to a square makes narrow letters.
        self.squeeze = float(self.rng.uniform(0.6, 1)) if self.rng.random() < 0.5 else 1.0
        coarse = (max(1, self.width // _COARSE), max(1, self.height // _COARSE))
        self.levels = luma(cv2.resize(self.picture, coarse, interpolation=cv2.INTER_AREA))
        self.taken = np.zeros((0, 4))
        self.placed: list[Placed] = []
        self.things: list[str] = []

    # Placing

    def place(self, board: Board) -> bool:
        """Put a board somewhere; False where there is no room for it."""
        if not board.lines:
            return self._place_bare(board.thing)
        font, drawn = self._face(board)
        kind = "thing" if board.thing else self._kind(board)
        size = min(self._size(board), _LARGEST_ON_THING * self.scale if board.thing else np.inf)
        flat, least = letters.drawn_size(size), 1.15 * self.difficulty.sizes[0] * self.scale
        lines = letters.lettered(self.rng, drawn, font, flat, least, free=board.thing is None)
        if board.thing:
            sheet, picture = plates.carried(self.rng, lines[0], board.thing)
        else:
            sheet, picture = plates.arrange(self.rng, lines, kind), None
        smallest = self.difficulty.sizes[0] * self.scale
        while True:
            found = self._fit(sheet, size / lines[0].size, smallest, kind)
            if found:
                self._paint(board, drawn, font, sheet, picture, kind, *found)
                return True
            if size <= smallest:
                return False
            size = max(smallest, size * _SHRINK)

    def fill(self, board: Board) -> None:
        """One line over most of the picture, seen from the front or nearly so."""
        rng = self.rng
        font, drawn = self._face(board)
        kind = self._kind(board)
        line = letters.straight(
            drawn[0], font, letters.drawn_size(0.8 * self.height),
            float(rng.uniform(-0.03, 0.2)) if rng.random() < 0.25 else 0.0,
        )  # fmt: skip
        if rng.random() < 0.1 and line.ink.shape[1] > 2.5 * line.ink.shape[0]:
            line = letters.bent(line, float(rng.uniform(-0.7, 0.7)))
        sheet = plates.arrange(rng, [line], kind)
        quad = pose.corners(rng, *sheet.ink.shape[::-1], self.difficulty.rotation / 2, 0.5)
        homography = pose.matrix(*sheet.ink.shape[::-1], quad)
        ink = np.concatenate([pose.project(homography, one) for one in sheet.outlines[0]])
        # The ink has to fit; what carries it may be cut off at the edges of the strip.
        low, room = ink.min(axis=0), np.ptp(ink, axis=0)
        free = np.array([self.width, self.height]) - 2
        share = free / room * (rng.uniform(0.75, 1), rng.uniform(0.5, 1))
        # Letters may get narrower or wider by a quarter.
        across = min(share[0], 1.25 * share[1])
        down = min(share[1], 1.33 * across)
        scale = np.array([across, down])
        spare = free - room * scale
        quad = (quad - low) * scale + 1 + spare * rng.random(2)
        self._paint(board, drawn, font, sheet, None, kind, quad, 0, 0, self.width, self.height)

    def _face(self, board: Board):
        names = self.brief.font_names()
        font = names[int(self.rng.integers(len(names)))]
        return font, writing.cased(self.rng, board.lines, self.difficulty.cases)

    def _kind(self, board: Board) -> str:
        return str(self.rng.choice(list(plates.KINDS), p=list(plates.KINDS.values())))

    def _size(self, board: Board) -> float:
        """Nominal size in px: by the view, and small ones more often than large ones."""
        low, high = self.difficulty.sizes
        low, high = ((low, 30), (low + 2, 90), (34, high))[self.view]
        size = np.exp(self.rng.uniform(np.log(low), np.log(high)))
        return float(size) * self.scale

    def _fit(self, sheet: plates.Sheet, scale: float, smallest: float, kind: str):
        """A pose and a place: (corners [4, 2], x, y, width, height), or None."""
        rng = self.rng
        height, width = sheet.ink.shape
        # Small letters seen from the side are no letters.
        tilt = min(1.0, max(0.25, scale * sheet.size / (20 * self.scale)))
        if kind == "thing":
            tilt *= _THING_TILT
        quad = pose.corners(rng, width, height, self.difficulty.rotation, tilt)
        quad *= (self.squeeze * scale, scale)
        homography = pose.matrix(width, height, quad)
        sizes = self._sizes(sheet, homography)
        if min(sizes) < smallest:
            quad *= smallest / min(sizes)
        quad -= quad.min(axis=0)
        room = np.ceil(quad.max(axis=0)).astype(int) + 2
        place = self._find_room(int(room[0]), int(room[1]), calm=kind == plates.PAINTED)
        if place is None:
            return None
        return quad + 1, *place, int(room[0]), int(room[1])

    def _sizes(self, sheet: plates.Sheet, homography: np.ndarray) -> list[float]:
        """The nominal size of every word as it is seen, by the root of its area."""
        return [
            sheet.size * np.sqrt(polygon_area(pose.project(homography, one)) / polygon_area(one))
            for line in sheet.outlines
            for one in line
        ]

    def _find_room(self, width: int, height: int, calm: bool) -> tuple[int, int] | None:
        """The top left corner of a free rectangle, which is then taken, or None.

        `calm` looks for an even ground.
        """
        if width >= self.width or height >= self.height:
            return None
        x = self.rng.integers(0, self.width - width + 1, _LOOKS)
        y = self.rng.integers(0, self.height - height + 1, _LOOKS)
        x0, y0, x1, y1 = self.taken.T[:, :, None]
        free = np.flatnonzero(
            ((x >= x1) | (x + width <= x0) | (y >= y1) | (y + height <= y0)).all(axis=0)
        )
        if not free.size:
            return None
        best = int(free[0])
        if calm:
            best = min(
                free[:8].tolist(),
                key=lambda i: self._under(int(x[i]), int(y[i]), width, height).std(),
            )
        at = int(x[best]), int(y[best])
        self.taken = np.vstack([self.taken, (*at, at[0] + width, at[1] + height)])
        return at

    def _under(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self.levels[
            y // _COARSE : (y + height) // _COARSE + 1, x // _COARSE : (x + width) // _COARSE + 1
        ]

    def _place_bare(self, thing: str) -> bool:
        size = self.rng.uniform(60, 150) * self.scale
        picture = plates.bare(self.rng, thing, size, 34 * self.scale)
        flat = picture.shape[1::-1]
        quad = pose.corners(self.rng, *flat, self.difficulty.rotation, _THING_TILT)
        quad[:, 0] *= self.squeeze
        quad += 1 - quad.min(axis=0)
        width, height = (np.ceil(quad.max(axis=0)).astype(int) + 1).tolist()
        place = self._find_room(width, height, calm=False)
        if place is None:
            return False
        self._blend(pose.warp(picture, pose.matrix(*flat, quad), width, height), place, 0.0)
        self.things.append(thing)
        return True

    # Painting

    def _paint(self, board, drawn, font, sheet, picture, kind, quad, x, y, width, height):
        rng = self.rng
        while picture is None and np.ptp(quad[:, 0]) < 0.6 * sheet.ink.shape[1]:
            sheet = sheet.halved()  # drawn much larger than it is seen, thin lines would break
        view = luma(self.picture[y : y + height, x : x + width])
        levels = plates.levels_of(view[::2, ::2])
        if kind == plates.PAINTED and levels[2] - levels[0] > _RESTLESS:
            kind = "plate"
        homography = pose.matrix(sheet.ink.shape[1], sheet.ink.shape[0], quad)
        ink = pose.warp(sheet.ink, homography, width, height)
        # The texture of a wall shows through the paint, but wears small letters away.
        worn = float(rng.uniform(0.2, 0.8)) * min(1.0, sheet.size / (44 * self.scale))
        while True:
            canvas, contrasts = plates.draw(
                rng, sheet, kind, levels, self.difficulty.contrast, picture
            )
            patch = pose.warp(canvas, homography, width, height)
            if kind != plates.PAINTED or plates.shows(view, patch, ink):
                break
            kind = "plate"
        if kind != plates.PAINTED and rng.random() < 0.6:
            light.cast(rng, self.picture, patch[..., 3], (x, y), 7 * self.scale)
        self._blend(patch, (x, y), worn if kind == plates.PAINTED else 0.0)
        sizes = iter(self._sizes(sheet, homography))
        lines = [
            [
                Region(
                    word=word,
                    drawn=cased,
                    polygon=pose.project(homography, outline) + np.array((x, y)),
                    line=number,
                    font=font,
                    size=float(next(sizes)),
                    contrast=contrast,
                    thing=board.thing,
                )
                for word, cased, outline in zip(*line, strict=True)
            ]
            for number, (*line, contrast) in enumerate(
                zip(board.lines, drawn, sheet.outlines, contrasts, strict=True)
            )
        ]
        hidden = {region: 0.0 for line in lines for region in line}
        self.placed.append(Placed(lines, (x, y), ink, hidden))
        if board.thing:
            self.things.append(board.thing)

    def _blend(self, patch: np.ndarray, at: tuple[int, int], worn: float) -> None:
        """A warped board over the picture; `worn` = how much of the ground's texture shows."""
        x, y = at
        view = self.picture[y : y + patch.shape[0], x : x + patch.shape[1]]
        alpha = patch[..., 3:] * np.float32(1 / 255)
        colour = patch[..., :3]
        if worn:
            level = luma(view)
            shade = np.clip(level / max(20.0, float(level.mean())), 0.4, 1.6)
            colour = colour * (1 + np.float32(worn) * (shade - 1))[..., None]
        view *= 1 - alpha
        view += colour

    # Hiding

    def obstruct(self) -> None:
        """Put things before words: most stay readable, and the others are no labels."""
        rng = self.rng
        if rng.random() < _HALF_HIDDEN_SHARE:
            one = self.placed[int(rng.integers(len(self.placed)))]
            obstacles.hide(rng, self.picture, self.placed, one, *HALF_HIDDEN)
        if rng.random() < _HIDDEN_SHARE:
            taken = {region.word for one in self.placed for region in one.hidden}
            if self.place(Board(((self.brief.source.draw(rng, lexicon.LONGEST, taken),),))):
                # Where nothing hides it well enough, it is a word like every other.
                obstacles.hide(rng, self.picture, self.placed, self.placed[-1], *HIDDEN)

    # Finishing

    def finish(self):
        """Regions, pixels and things."""
        rng = self.rng
        light.shine(rng, self.picture)
        smallest = min(region.size for one in self.placed for region in one.hidden)
        pixels = light.develop(
            rng, self.picture, smallest, self.difficulty.blur * self.scale, self.difficulty.noise
        )
        return self._regions(), pixels, tuple(self.things)

    def _regions(self) -> tuple[Region, ...]:
        regions, number = [], 0
        for one in self.placed:
            for line in one.lines:
                number += 1
                for region in line:
                    if one.hidden[region] > READABLE:
                        number += 1  # what is left of the line and right of it are two texts
                    else:
                        regions.append(replace(region, line=number))
        return tuple(regions)


def lone_word(brief: Brief, height: int, width: int) -> tuple[np.ndarray, str]:
    """A strip uint8 [height, width, 3] with one word or number, and what is written.

    Raises UserError as `compose` does.
    """
    rng = brief.rng
    if rng.random() < _NUMBER_SHARE:
        word = str(int(rng.integers(1, 10 ** int(rng.integers(1, 7)))))
    else:
        word = brief.source.draw(rng, lexicon.LONGEST, set())
    scene = _Scene(brief, height, width)
    scene.fill(Board(((word,),)))
    return scene.finish()[1], word
