"""A folder of photographs without text, for scenes to stand on."""

import os
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mstar.images import SUFFIXES, open_image

_LARGEST = 512  # px: longer photographs are kept reduced
_KEPT = 128  # photographs in memory, 0.8 MB each at most


class Photographs:
    """The photographs of a folder, sorted by name.

    Raises:
        ValueError: it is no folder, or no file in it is named like an image.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f"There is no folder of backgrounds {folder}.")
        self.paths = tuple(
            sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        )
        if not self.paths:
            raise ValueError(f"The folder of backgrounds {folder} has no images.")

    def crop(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """Part of a photograph by lot, perhaps mirrored: uint8 [height, width, 3].

        Raises:
            UnreadableImage: that file is no image, or a broken one; the message names it.
        """
        photograph = _read(str(self.paths[int(rng.integers(len(self.paths)))]))
        high, wide, _ = photograph.shape
        part = float(rng.uniform(0.55, 1))
        # Cameras take wide pictures, and models see squares: some squeezing is part of the task.
        squeeze = float(rng.uniform(0.8, 1.3))
        across = min(wide, part * min(wide, high * width / height) * squeeze)
        down = min(high, part * min(high, wide * height / width))
        x, y = float(rng.uniform(0, wide - across)), float(rng.uniform(0, high - down))
        cut = photograph[int(y) : int(y + down) + 1, int(x) : int(x + across) + 1]
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        larger = cut.shape[0] < height or cut.shape[1] < width
        how = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
        return cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=how)


def photographs(folder: str | Path) -> Photographs:
    """The photographs of a folder, listed once as long as the folder does not change.

    Raises:
        ValueError: see `Photographs`.
    """
    changed = os.stat(folder).st_mtime_ns if os.path.isdir(folder) else None
    return _listed(str(folder), changed)


@lru_cache(maxsize=8)
def _listed(folder: str, changed: int | None) -> Photographs:
    return Photographs(folder)


@lru_cache(maxsize=_KEPT)
def _read(path: str) -> np.ndarray:
    image = open_image(path)
    image.thumbnail((_LARGEST, _LARGEST))
    pixels = np.asarray(image)
    pixels.setflags(write=False)
    return pixels
