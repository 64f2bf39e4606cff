"""Image files opened: which ones, how large, turned the right way up. Imports no torch.

What a file shows is what a viewer shows: transparency stands on white, deep grey is scaled, of
several pages the first is taken. Where that says less than the file, a warning names it.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from mstar.io.containers import (
    JPEG,
    PNG,
    UNOPENED,
    is_image,
)
from mstar.io.decoding import (
    NO_PHOTOGRAPHS,
    Frame,
    Reducible,
    frame_of_other,
    jpeg_head,
    opened_other,
    png_head,
    quiet,
    read_any,
    read_any_png,
    read_jpeg,
    reading,
    shallow,
)

#: The names by which files are taken for images; others are looked into, see `is_image_file`.
SUFFIXES = (
    ".apng", ".avif", ".avifs", ".bmp", ".bw", ".dds", ".dib", ".gif", ".icb", ".icns", ".ico",
    ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo",
    ".pbm", ".pcx", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".rgb",
    ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", ".xbm", ".xpm",
)  # fmt: skip

#: Images that pass through the model together unless told otherwise, everywhere, and more than any
#: machine takes.
IMAGES_AT_ONCE, MOST_AT_ONCE = 16, 4096

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_image_file(path: str | PathLike[str]) -> bool:
    """Whether a file is taken for an image: by its suffix, or by what is in it.

    Raises:
        OSError: it cannot be looked into.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or _opened_by_others(suffix):
        return True
    if suffix in UNOPENED or not path.is_file():
        return False
    with path.open("rb") as file:
        if is_image(file.read(16)):
            return True
        with quiet(), suppress(Exception), opened_other(file, certain=True):
            return True
    return False


def why_unopened(path: str | PathLike[str]) -> str | None:
    """Why a photograph is not read here although it may be one, by its suffix; else None."""
    suffix = Path(path).suffix.lower()
    if suffix not in UNOPENED or _opened_by_others(suffix):
        return None
    return f"{path} is {UNOPENED[suffix]}: convert it to JPEG or PNG."


def _opened_by_others(suffix: str) -> bool:
    """Whether something that is installed beside Pillow taught it to open such files."""
    kind = Image.EXTENSION.get(suffix) if suffix in UNOPENED else None
    return kind in Image.OPEN and kind not in NO_PHOTOGRAPHS


def open_image(path: str | PathLike[str], reducible: Reducible | None = None) -> Image.Image:
    """Read a photograph as RGB, turned the way its EXIF data says, transparency on white.

    One of more than `WHOLE_PIXELS` pixels comes at half its width and height.

    Args:
        reducible: (width, height) -> 1, 2, 4 or 8, by what the sides of a JPEG are divided while it
            is unpacked, which is sooner done; see `MstarProcessor.reduction`. None = whole.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        UnreadableImage: it is not an image, pixels are missing, or there are more than
            `MAX_PIXELS` (`MAX_UNPACKED` where it is no JPEG).
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder where one image is asked for: mstar.search.image_files lists its "
            "photographs, and bench.gallery takes a folder."
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}.")
    return decode_image(path, path, reducible)


def listed(images: Any) -> Sequence[Any]:
    """Images as a list of them, also one alone: a path, a PIL image or an array [H, W, 3]."""
    alone = isinstance(images, (str, PathLike, Image.Image)) or getattr(images, "ndim", 4) == 3
    return [images] if alone else images


def opened(images: Sequence[Any]) -> list[Any]:
    """Images with those that are paths opened."""
    return [open_image(one) if isinstance(one, (str, PathLike)) else one for one in images]


def decode_image(
    file: Path | BinaryIO, path: Path, reducible: Reducible | None = None
) -> Image.Image:
    """As `open_image`, from a file or its bytes; messages name the path."""
    with reading(file, path) as content:
        kind = content.read(16)
        if kind.startswith(JPEG):
            image, frame, notes = read_jpeg(content, path, reducible)
        elif kind.startswith(PNG):
            image, frame, notes = read_any_png(content, path)
        else:
            image, frame, notes = read_any(content, path)
        if frame.reduction > 1 and image.size == (frame.width, frame.height):
            image = _blendable(image).reduce(frame.reduction)
        image = _opaque(image)
        if frame.orientation in _TURNS:
            image = image.transpose(_TURNS[frame.orientation])
    for note in notes:
        warnings.warn(note, stacklevel=3)
    return image


def frame_of(path: str | PathLike[str]) -> Frame:
    """How a picture lies in its file, by its head: no pixel is unpacked.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImage: it is no image, or one that is too large.
    """
    path = Path(path)
    with reading(path, path) as content:
        kind = content.read(16)
        if kind.startswith(JPEG):
            return jpeg_head(content, path)[1]
        if kind.startswith(PNG):
            return png_head(content, path, pixels=False)[1]
        with opened_other(content) as image:
            return frame_of_other(image, path)


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture that is open already, as `open_image` hands pictures out; it is not turned."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    image, notes = shallow(image, "the picture")
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return _opaque(image)


def _blendable(image: Image.Image) -> Image.Image:
    """A picture whose pixels can be averaged."""
    if image.has_transparency_data:
        return image.convert("LA" if image.mode == "La" else "RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _opaque(image: Image.Image) -> Image.Image:
    """RGB; what is transparent stands on white, as in the processor of the model."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")
