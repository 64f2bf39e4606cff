"""Image files opened: which ones, how large, turned the right way up. Imports no torch."""

import warnings
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

#: The names by which files are taken for images.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

#: Images of more pixels are refused: a small file can unpack to gigabytes.
MAX_PIXELS = 64 * 2**20


class UnreadableImage(ValueError):
    """A file that is no image, or one that is not opened."""


def open_image(path: str | PathLike[str]) -> Image.Image:
    """Read a photograph as RGB, turned the way its EXIF data says.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImage: it is not an image, it is broken, or it has more than `MAX_PIXELS` pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}.")
    return decode_image(path, path)


def decode_image(file: Path | BinaryIO, path: Path) -> Image.Image:
    """As `open_image`, from a file or its bytes; messages name the path."""
    try:
        with warnings.catch_warnings():
            # our own, lower limit is checked below, before any pixel is unpacked
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableImage(
                    f"{path} has {width}×{height} pixels, the limit is {MAX_PIXELS}: scale it down."
                )
            return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"{path} is too large to open safely: {error}") from error
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow raises every kind: struct.error, IndexError, ValueError, …
        raise UnreadableImage(
            f"{path} cannot be read as an image: it is broken or of another kind."
        ) from error
