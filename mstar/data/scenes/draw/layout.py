"""Layout: finds a font, a size, a pose and a free place for each text, then paints them all.

Nothing is drawn before everything has its place: places are found from the letters' measures, so
that a try that fails costs little.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mstar.data.scenes.difficulty import SMALL
from mstar.data.scenes.draw import fonts, render, things
from mstar.data.scenes.draw.brief import CASES, Brief, Text
from mstar.data.scenes.labels import Region

_PLATE_SHARE = 0.15
_SHADOW_SHARE = 0.2  # of the large texts; a shadow would eat a small one
_GAP = 1  # px between rooms, which have a margin of their own
_LOOKS = 60  # places tried for a line before it is drawn smaller
_SHRINK = 0.75
_THING_ANGLE = 3  # degrees: things stand upright, and so do their texts
_LARGEST_ON_THING = 22


@dataclass(frozen=True)
class Setting:
    """How a text is going to be drawn."""

    text: Text
    drawn: tuple[str, ...]  # the words in their case
    font: str
    size: int  # nominal px
    pose: render.Pose
    blur: float  # px

    def room(self) -> tuple[int, int]:
        """Width and height needed, px."""
        return render.room(self.drawn, self.font, self.size, self.pose)

    def patch(self) -> render.Patch:
        """The text drawn, as large as its room."""
        return render.pose_line(self.drawn, self.font, self.size, self.blur, self.pose)


Room = tuple[int, int, int, int]  # x, y, width, height


class Layout:
    """One try at an image of `width` x `height` px; `scale` is its size over 128 px."""

    def __init__(self, brief: Brief, width: int, height: int, scale: float):
        self.brief, self.rng, self.difficulty = brief, brief.rng, brief.difficulty
        self.width, self.height, self.scale = width, height, scale
        self.taken = np.zeros((0, 4))  # x0, y0, x1, y1 of every room given away
        self.settings: list[tuple[Setting, Room]] = []
        self.shapes: list[tuple[things.Shape, tuple[int, int]]] = []

    def place(self, text: Text) -> bool:
        """Find a place for a text; False where there is none."""
        if text.thing is None:
            return self._place_line(text)
        return self._place_on_thing(text) if text.words else self._place_bare_thing(text.thing)

    def paint(self) -> tuple[tuple[Region, ...], np.ndarray]:
        """The regions, and the pixels uint8 [height, width, 3]."""
        rng, level = self.rng, self.difficulty
        image = render.background(rng, self.height, self.width)
        for shape, at in self.shapes:
            things.draw(rng, image, shape, at)
        pixels = np.array(image)
        regions = [
            region
            for number, (setting, room) in enumerate(self.settings)
            for region in self._paint_text(pixels, number, setting, room)
        ]
        blur = float(rng.uniform(0.2, level.blur)) if rng.random() < 0.3 else 0.0
        noise = int(rng.integers(0, level.noise + 1))
        return tuple(regions), render.weather(rng, pixels, blur * self.scale, noise)

    def _px(self, nominal: float) -> int:
        return round(nominal * self.scale)

    def _face(self, text: Text) -> tuple[str, tuple[str, ...]]:
        """A font, and the words in the case that they are drawn in."""
        rng, names = self.rng, self.brief.font_names()
        case = self.difficulty.cases[int(rng.integers(len(self.difficulty.cases)))]
        drawn = tuple(CASES[case](word) for word in text.words)
        return names[int(rng.integers(len(names)))], drawn

    def _tries(
        self, text: Text, font: str, drawn: tuple[str, ...], size: int, smallest: int
    ) -> Iterator[Setting]:
        """Settings with random poses and blurs, from that size on smaller and smaller."""
        rng, level = self.rng, self.difficulty
        while True:
            angle, shear, x, y = rng.uniform(-1, 1, 4).tolist()
            angle *= _THING_ANGLE if text.thing else level.rotation
            pose = render.Pose(angle, 0.12 * shear, level.keystone * x, level.keystone * y)
            blur = float(rng.uniform(0, 0.03)) * size if rng.random() < 0.3 else 0.0
            yield Setting(text, drawn, font, size, pose, blur)
            if size == smallest:
                return
            size = max(smallest, int(size * _SHRINK))

    def _place_line(self, text: Text) -> bool:
        rng = self.rng
        font, drawn = self._face(text)
        smallest, largest = (self._px(size) for size in self.difficulty.sizes)
        width, height = fonts.ink(font, drawn, render.WORD_GAP)
        spare = 2 * (render.MARGIN + _GAP)
        fit = int(min((self.width - spare) / width, (self.height - spare) / height))
        if fit < smallest:
            return False
        size = int(rng.integers(smallest, min(largest, fit) + 1))
        for setting in self._tries(text, font, drawn, size, smallest):
            room = self._find_room(*setting.room())
            if room:
                self.settings.append((setting, room))
                return True
        return False

    def _place_on_thing(self, text: Text) -> bool:
        rng = self.rng
        font, drawn = self._face(text)
        smallest, largest = self._px(self.difficulty.sizes[0]), self._px(_LARGEST_ON_THING)
        size = int(rng.integers(smallest, largest + 1))
        for setting in self._tries(text, font, drawn, size, smallest):
            width, height = setting.room()
            shape = things.plan(rng, text.thing, width, height, self.scale)
            room = self._find_room(shape.width, shape.height)
            if room:
                x = room[0] + round(shape.text_at[0] - width / 2)
                y = room[1] + round(shape.text_at[1] - height / 2)
                self.shapes.append((shape, room[:2]))
                self.settings.append((setting, (x, y, width, height)))
                return True
        return False

    def _place_bare_thing(self, thing: str) -> bool:
        width, height = self.rng.uniform(22, 44) * self.scale, 10 * self.scale
        shape = things.plan(self.rng, thing, width, height, self.scale)
        room = self._find_room(shape.width, shape.height)
        if room:
            self.shapes.append((shape, room[:2]))
        return room is not None

    def _find_room(self, width: int, height: int) -> Room | None:
        """A free rectangle of that size, which is then taken, or None."""
        last_x, last_y = self.width - width - _GAP, self.height - height - _GAP
        if last_x < _GAP or last_y < _GAP:
            return None
        x = self.rng.integers(_GAP, last_x + 1, _LOOKS)
        y = self.rng.integers(_GAP, last_y + 1, _LOOKS)
        x0, y0, x1, y1 = self.taken.T[:, :, None]
        free = (
            (x >= x1 + _GAP) | (x + width + _GAP <= x0)
            | (y >= y1 + _GAP) | (y + height + _GAP <= y0)
        ).all(axis=0)  # fmt: skip
        first = int(free.argmax())
        if not free[first]:
            return None
        x, y = int(x[first]), int(y[first])
        self.taken = np.vstack([self.taken, (x, y, x + width, y + height)])
        return x, y, width, height

    def _paint_text(
        self, pixels: np.ndarray, number: int, setting: Setting, room: Room
    ) -> list[Region]:
        rng, text = self.rng, setting.text
        patch = setting.patch()
        plate = text.thing is None and rng.random() < _PLATE_SHARE
        shadow = setting.size >= SMALL * self.scale and rng.random() < _SHADOW_SHARE
        contrast = render.paint(
            rng, pixels, patch, room[:2], self.difficulty.contrast, plate, shadow
        )
        return [
            Region(
                word=word,
                drawn=drawn,
                polygon=polygon + room[:2],
                line=number,
                font=setting.font,
                size=float(setting.size),
                contrast=contrast,
                thing=text.thing,
            )
            for word, drawn, polygon in zip(text.words, setting.drawn, patch.polygons, strict=True)
        ]
