"""Picture files of each format, read: how large, how turned, and what has to be said of them."""

import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from mstar.errors import UserError
from mstar.io.containers import (
    bare_jpeg,
    complete_jpeg,
    jpeg_exif,
    orientation,
    read_png,
    unopened,
)

#: Images of more pixels are refused: a small file can unpack to gigabytes.
MAX_PIXELS = 200 * 2**20


#: The same of all but JPEG, which is unpacked at a reduced size: these take 4 bytes a pixel first.
MAX_UNPACKED = 160 * 2**20


#: Images of more pixels are handed out at half their width and height.
WHOLE_PIXELS = 64 * 2**20


#: Files of more bytes are refused: they are read as a whole, and no image is that large.
MAX_BYTES = 2**30


#: Formats of Pillow's that are no photographs, or need another program.
NO_PHOTOGRAPHS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")


#: Of these another frame is no other page, but a preview, a depth map or a layer.
_ONE_PAGE = ("JPEG", "MPO", "PSD")


class UnreadableImage(UserError):
    """A file that is no image, or one that is not opened."""


@dataclass(frozen=True)
class Frame:
    """How a picture lies in its file, and how `open_image` hands it out.

    Attributes:
        width, height: of the pixels in the file.
        orientation: how they are turned to be seen, 1 to 8 as EXIF counts.
        reduction: by what they are divided along each side.
    """

    width: int
    height: int
    orientation: int = 1
    reduction: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is handed out."""
        sides = [-(-side // self.reduction) for side in (self.width, self.height)]
        return (sides[1], sides[0]) if self.orientation > 4 else (sides[0], sides[1])

    def placed(self, points: ArrayLike) -> NDArray[np.float64]:
        """Where points of the file's pixels are in what is handed out.

        Args:
            points: [P, 2] of (x, y) in px; x runs from 0 at the left edge to the width.
        """
        points = np.array(points, dtype=float)
        x, y = points.reshape(-1, 2).T
        if self.orientation in (2, 3, 7, 8):
            x = self.width - x
        if self.orientation in (3, 4, 6, 7):
            y = self.height - y
        shares = np.stack([x / self.width, y / self.height], axis=1)
        if self.orientation > 4:
            shares = shares[:, ::-1]
        if self.reduction == 1:  # to the bit
            turned = np.stack([y, x] if self.orientation > 4 else [x, y], axis=1)
        else:
            turned = shares * self.size
        return turned.reshape(points.shape)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings: what they are about is looked at here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reading(file: Path | BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file; whatever goes wrong inside is an UnreadableImage that names it."""
    content: BinaryIO | None = None
    try:
        content = file.open("rb") if isinstance(file, Path) else file
        content.seek(0, os.SEEK_END)
        if content.tell() > MAX_BYTES:
            raise UnreadableImage(f"{path} has more than {MAX_BYTES} bytes: no image is so large.")
        content.seek(0)
        with quiet():
            yield content
    except (UnreadableImage, FileNotFoundError, PermissionError):
        raise
    except MemoryError as error:
        raise UnreadableImage(
            f"{path} cannot be read as an image: there is too little memory for it, scale it down."
        ) from error
    except Exception as error:  # Pillow raises every kind: struct.error, IndexError, ValueError, …
        raise UnreadableImage(
            f"{path} cannot be read as an image: {_what_it_is(content)}."
        ) from error
    finally:
        if content is not None and isinstance(file, Path):
            content.close()


def _what_it_is(content: BinaryIO | None) -> str:
    found = None
    with suppress(Exception):
        content.seek(0)
        found = unopened(content.read(64))
    return f"it is {found}" if found else "it is broken or of another kind"


def _checked(path: Path, width: int, height: int, most: int) -> int:
    """By what a picture of this size is divided along each side.

    Raises:
        UnreadableImage: it is too large.
    """
    if width < 1 or height < 1:
        raise UnreadableImage(f"{path} cannot be read as an image: it has no pixels.")
    most = min(most, MAX_PIXELS)
    if width * height > most:
        raise UnreadableImage(
            f"{path} has {width}×{height} pixels, the limit is {most}: scale it down."
        )
    return 2 if width * height > WHOLE_PIXELS else 1


_Read = tuple[Image.Image, Frame, list[str]]
#: By what (width, height) may be divided: whoever needs fewer pixels is handed out fewer.
Reducible = Callable[[int, int], int]


def jpeg_head(
    content: BinaryIO, path: Path, reducible: Reducible | None = None
) -> tuple[ImageFile.ImageFile, Frame]:
    content.seek(0)
    try:
        image = JpegImagePlugin.JpegImageFile(content)
        exif = image.info.get("exif")
    except Exception:
        content.seek(0)
        data = content.read()
        image = JpegImagePlugin.JpegImageFile(BytesIO(bare_jpeg(data)))
        exif = jpeg_exif(data)
    reduction = _checked(path, *image.size, MAX_PIXELS)
    if reducible is not None:
        reduction = max(reduction, reducible(*image.size))
    turn = orientation(exif, image.info.get("xmp"))
    return image, Frame(*image.size, turn, reduction)


def read_jpeg(content: BinaryIO, path: Path, reducible: Reducible | None = None) -> _Read:
    """The first picture: what a phone puts behind it is a preview or a depth map."""
    image, frame = jpeg_head(content, path, reducible)
    try:
        return _unpacked_jpeg(image, frame), frame, []
    except OSError:
        # does it lack pixels, or but the two bytes at its end?
        content.seek(0)
        ends = complete_jpeg(bare_jpeg(content.read()))
        if not ends:
            raise
        first, *others = (
            _unpacked_jpeg(JpegImagePlugin.JpegImageFile(BytesIO(data)), frame) for data in ends
        )
        if any(other.tobytes() != first.tobytes() for other in others):
            raise
        return first, frame, []


def _unpacked_jpeg(image: ImageFile.ImageFile, frame: Frame) -> Image.Image:
    if frame.reduction > 1:
        sides = (image.width // frame.reduction, image.height // frame.reduction)
        image.draft(None, sides)
    image.load()
    return image


def png_head(
    content: BinaryIO, path: Path, pixels: bool = True
) -> tuple[ImageFile.ImageFile, Frame, bool]:
    found = read_png(content, pixels)
    image = PngImagePlugin.PngImageFile(found.pixels)
    reduction = _checked(path, *image.size, MAX_UNPACKED)
    frame = Frame(*image.size, orientation(found.exif, found.xmp), reduction)
    return image, frame, found.animated


def read_any_png(content: BinaryIO, path: Path) -> _Read:
    image, frame, animated = png_head(content, path)
    image.load()
    eight, notes = shallow(image, path)
    return eight, frame, notes + _pages(path, animated)


@contextmanager
def opened_other(content: BinaryIO, certain: bool = False) -> Iterator[ImageFile.ImageFile]:
    """An image of any other kind that Pillow opens, as its `Image.open` would.

    Without its limit, which is for all threads: ours are looked at before any pixel is unpacked.

    Args:
        certain: pass over kinds that have no mark of their own.

    Raises:
        UnidentifiedImageError: it opens none.
    """
    content.seek(0)
    head = content.read(16)
    Image.init()
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        if name in NO_PHOTOGRAPHS or not _accepts(accept, head, not certain):
            continue
        content.seek(0)
        try:
            image = factory(content, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
        image._exclusive_fp = False  # the file is closed by who opened it
        yield image
        return
    raise Image.UnidentifiedImageError("no kind of image that is known")


def _accepts(accept: Callable[[bytes], bool | str] | None, head: bytes, default: bool) -> bool:
    if accept is None:
        return default
    answer = accept(head)
    return bool(answer) and not isinstance(answer, str)


def frame_of_other(image: ImageFile.ImageFile, path: Path) -> Frame:
    width, height = image.size
    reduction = _checked(path, width, height, MAX_UNPACKED)
    if image.format == "TIFF":  # Pillow turns these, and their size, by itself
        turn = tag(image, 274) or orientation(None, image.info.get("xmp"))
        turn = turn if turn in range(1, 9) else 1
        if tag(image, 274) in range(5, 9):
            width, height = height, width
    else:
        turn = orientation(image.info.get("exif"), image.info.get("xmp"))
    return Frame(width, height, int(turn), reduction)


def read_any(content: BinaryIO, path: Path) -> _Read:
    with opened_other(content) as image:
        frame = frame_of_other(image, path)
        image.load()
        eight, notes = shallow(image, path)
        if eight is image:
            eight = image.copy()  # looking for a second page may unpack it over the first
        notes += _pages(path, image.format not in _ONE_PAGE and _goes_on(image))
        if image.format == "TIFF":  # turned already
            frame = Frame(*image.size, 1, frame.reduction)
        return eight, frame, notes


def _goes_on(image: ImageFile.ImageFile) -> bool:
    """Whether another page follows that is no smaller copy of the first."""
    try:
        for page in range(1, 8):
            image.seek(page)
            if not (image.format == "TIFF" and (tag(image, 254) or 0) & 5):
                return True
    except Exception:  # none, or a broken one
        return False
    return False


def _pages(path: Path, several: bool) -> list[str]:
    return [f"{path} has several pages or pictures: only the first is read."] if several else []


def tag(image: ImageFile.ImageFile, number: int) -> int | None:
    """The first number of a TIFF tag."""
    value = image.tag_v2.get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


def shallow(image: Image.Image, name: object) -> tuple[Image.Image, list[str]]:
    """A picture with eight bits a channel, and what has to be said of how it was made."""
    if not image.mode.startswith(("I", "F")):
        return image, []
    values, tiff = np.asarray(image), image.format == "TIFF" and hasattr(image, "tag_v2")
    notes: list[str] = []
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        depth = 12 if tiff and tag(image, 258) == 12 else 16
        grey = (values >> (depth - 8)).astype(np.uint8)
    else:
        if tiff and image.mode == "I" and tag(image, 258) == 32 and (tag(image, 339) or 1) == 1:
            values = values.view(np.uint32)
        finite = values[np.isfinite(values)] if image.mode == "F" else values
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        else:
            notes.append(
                f"{name} has numbers from {low:g} to {high:g}: the least is shown as black, the "
                "largest as white."
            )
        grey = np.empty(values.shape, np.uint8)
        for row, line in enumerate(values):  # row by row: as a whole it would need much memory
            scaled = (line.astype(float) - low) * (255 / (high - low) if high > low else 0.0)
            grey[row] = np.nan_to_num(np.rint(scaled), nan=0, posinf=255, neginf=0).clip(0, 255)
    if tiff and tag(image, 262) == 0:  # white is zero, which Pillow heeds up to eight bits
        grey = 255 - grey
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey), notes
