"""Photographs and crops of words with their lists, as training sees them. No list has a position.

A list holds what is written on each photograph. Of an `incomplete` list other words may be there
too (SVT lists some signs of a street and not the others), so what other photographs list never
counts as wrong there.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch.utils.data import ConcatDataset

from mstar.data.lists.annotations import Annotation, annotations
from mstar.data.lists.photos import random_crop, random_distortions, random_resized_crop, tiled
from mstar.errors import UserError
from mstar.io.images import open_image

Lists = tuple[tuple[str, str], ...]  # (annotation file, image folder) of each

#: Of every hundred photographs those that judge a run and are not trained on.
HELD_OUT = 8
#: Letters and digits of a word crop that the reading warm-up knows.
READABLE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


@dataclass(frozen=True)
class Photographs:
    """Photographs of several lists, in tiles, slightly changed each time.

    Attributes:
        lists: (JSON file, folder its paths start from) of each complete list.
        incomplete: the same of lists that leave out some of what is written.
        held_out: whether these are the photographs that judge, instead of the others.
    """

    lists: Lists = ()
    incomplete: Lists = ()
    held_out: bool = False
    kind: str = field(default="photographs", init=False)

    def __post_init__(self) -> None:
        if not self.lists and not self.incomplete:
            raise UserError("photographs need a list: give --real LIST ROOT.")

    @property
    def lexicon(self) -> tuple[str, ...]:
        """Words of the lists: wrong answers for each other's photographs."""
        return _words(self.lists + self.incomplete)

    def found(self) -> list[tuple[Annotation, bool]]:
        """Each photograph with its texts, and whether its list is complete."""
        return [one for one in self.every() if is_held_out(one[0].image.name) == self.held_out]

    def every(self) -> list[tuple[Annotation, bool]]:
        """Those that judge and the others."""
        asked = [(place, True) for place in self.lists] + [(p, False) for p in self.incomplete]
        return [(entry, complete) for place, complete in asked for entry in annotations(*place)]

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> "_Entries":
        found = self.found()
        if not found:
            raise UserError("no photograph of the lists is left to train on: give more.")
        return _Entries(found, partial(_photograph, size=size, tiles=tiles))


@dataclass(frozen=True)
class Few(Photographs):
    """Photographs of lists that may be short: an exact share judges, so that some always do.

    Attributes:
        judging: of the photographs, by their names' hashes; at least one.
    """

    judging: float = 0.2

    def found(self) -> list[tuple[Annotation, bool]]:
        every = self.every()
        names = sorted({entry.image.name for entry, _ in every}, key=_digest)
        judges = set(names[: max(1, round(self.judging * len(names)))])
        return [one for one in every if (one[0].image.name in judges) == self.held_out]


def is_held_out(name: str) -> bool:
    """Whether a photograph judges, by its file name alone, whatever list it stands in."""
    return int(_digest(name), 16) % 100 < HELD_OUT


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class _Entries:
    """Items made of the entries of lists."""

    def __init__(self, entries: Sequence, make: Callable[[Any, np.random.Generator], dict]):
        self.entries, self.make, self.count = entries, make, len(entries)

    def item(self, index: int, rng: np.random.Generator) -> dict:
        return self.make(self.entries[index], rng)


def _photograph(
    found: tuple[Annotation, bool], rng: np.random.Generator, size: int, tiles: Sequence[int]
) -> dict:
    entry, complete = found
    photo = changed(random_crop(open_image(entry.image), rng), rng)
    return _item(tiled(photo, size, tiles), entry, complete)


def _item(image: np.ndarray, entry: Annotation, complete: bool = True) -> dict:
    """What training sees of an entry (`stream.Item`)."""
    return {
        "image": torch.from_numpy(image),
        "texts": list(entry.texts),
        "styles": list(entry.styles),
        "photographed": True,
        "complete": complete,
        "source": str(entry.image),
    }


def changed(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another light, and now and then another distance, angle, sharpness or polarity."""
    brightness, contrast, colour = rng.uniform((0.6, 0.7, 0.5), (1.4, 1.35, 1.4))
    photo = ImageEnhance.Brightness(photo).enhance(brightness)
    photo = ImageEnhance.Contrast(photo).enhance(contrast)
    photo = ImageEnhance.Color(photo).enhance(colour)
    if rng.random() < 0.3:  # from farther away: the same text smaller
        width, height = photo.size
        left, right = (rng.uniform(0, 0.6, 2) * width).astype(int).tolist()
        top, bottom = (rng.uniform(0, 0.6, 2) * height).astype(int).tolist()
        ground = tuple(int(v) for v in np.asarray(photo.resize((1, 1)))[0, 0])
        photo = ImageOps.expand(photo, (left, top, right, bottom), ground)
    if rng.random() < 0.3:
        angle = float(rng.uniform(-8, 8))
        photo = photo.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128))
    if rng.random() < 0.15:
        photo = photo.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.5))))
    if rng.random() < 0.1:
        photo = ImageOps.invert(photo)
    return photo


@dataclass(frozen=True)
class Annotated:
    """Images on disk with MSTAR-Training lists (`formats.md`), all lists as one.

    Attributes:
        lists: (JSON file, folder its paths start from) of each.
        distort: whether the released code's distortions follow the random crop; the paper names
            the crop alone.
    """

    lists: tuple[tuple[str, str], ...]
    distort: bool = True
    kind: str = field(default="annotated", init=False)
    lexicon = ()

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> _Entries:
        if tuple(tiles) != (1,):
            raise UserError(f"these lists are for whole images, as in the paper; got {tiles}.")
        lists = ConcatDataset(annotations(*place) for place in self.lists)
        return _Entries(lists, partial(_cropped, size=size, distort=self.distort))


def _cropped(entry: Annotation, rng: np.random.Generator, size: int, distort: bool) -> dict:
    photo = random_resized_crop(open_image(entry.image), size, rng)
    return _item(np.array(random_distortions(photo, rng) if distort else photo), entry)


@dataclass(frozen=True)
class Crops:
    """Single words cut from photographs, for the reading warm-up alone: boxes cut them.

    Attributes:
        lists: as of `Photographs`; each crop has one text.
        size: (height, width) of a strip in px.
    """

    lists: Lists
    size: tuple[int, int] = (48, 192)
    kind: str = field(default="crops", init=False)
    lexicon = ()

    def open(self, seed: int, size: int, tiles: Sequence[int] = (1,)) -> _Entries:
        entries = [entry for place in self.lists for entry in annotations(*place)]
        readable = [e for e in entries if READABLE.issuperset(e.texts[0].lower())]
        if not readable:
            raise UserError("no crop has a word of the letters a-z and digits: give others.")
        return _Entries(readable, partial(_strip, size=self.size))


def _strip(entry: Annotation, rng: np.random.Generator, size: tuple[int, int]) -> dict:
    strip = strip_of(changed(open_image(entry.image), rng), size, rng)
    return _item(strip, entry) | {"texts": [entry.texts[0].lower()], "styles": ["word"]}


def strip_of(crop: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A crop somewhere on a strip, uint8 [height, width, 3]; its border's mean colour around it.

    It is as high as the strip or lower, and squeezed where it is too wide.
    """
    height, width = size
    high = height * rng.uniform(0.6, 1)
    wide = min(width, high * crop.width / crop.height * rng.uniform(0.85, 1.15))
    small = np.asarray(crop.resize((max(8, round(wide)), max(8, round(high)))))
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    strip = np.empty((height, width, 3), np.uint8)
    strip[:] = edge.mean(axis=0)
    top = int(rng.integers(height - small.shape[0] + 1))
    left = int(rng.integers(width - small.shape[1] + 1))
    strip[top : top + small.shape[0], left : left + small.shape[1]] = small
    return strip


@cache
def _words(lists: Lists) -> tuple[str, ...]:
    found = {
        text.lower()
        for place in lists
        for entry in annotations(*place)
        for text, style in zip(entry.texts, entry.styles, strict=True)
        if style == "word"
    }
    return tuple(sorted(found))
