"""What lies below a folder of photographs, looked through before any is opened."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mstar.io.images import is_image_file, why_unopened


@dataclass(frozen=True)
class Found:
    """What lies in a folder of images, and in the folders below it and behind links.

    Attributes:
        images: paths within it, sorted.
        unopened: name -> why it is not opened, though it may be a photograph.
        others: files that are no images: suffix -> how many.
    """

    images: list[str]
    unopened: dict[str, str]
    others: dict[str, int]


def look_through(folder: str | Path) -> Found:
    """What lies below a folder. Images are told by their suffix, else by what is in them.

    Links to folders are followed, each folder once: at its own place if that is below the folder.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it that may be a photograph.
        OSError: a subfolder cannot be read: without its images it would look as if they were gone.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder of images {folder}.")
    images, unopened, others = [], {}, Counter()
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        if why := why_unopened(path):
            unopened[name] = why
            continue
        try:
            taken = is_image_file(path) or not path.exists()  # a link to nowhere is to be named
        except OSError:
            taken = True
        if taken:
            images.append(name)
        else:
            others[path.suffix.lower()] += 1
    if not images and not unopened:
        seen = f", but {count_others(others)}" if others else ""
        raise FileNotFoundError(
            f"there is no image in {folder}{seen}: expected photographs as .jpg, .png, .webp, .tif."
        )
    return Found(sorted(images), dict(sorted(unopened.items())), dict(sorted(others.items())))


def image_files(given: str | Path | Iterable[str | Path]) -> list[Path]:
    """Paths of photographs, in their order; in the place of a folder stand the images in it.

    Args:
        given: files and folders; one text may be several, with commas between them, where nothing
            is called so as a whole.

    Raises:
        FileNotFoundError: a folder without an image.
    """
    found = []
    for one in [given] if isinstance(given, str | Path) else given:
        whole = isinstance(one, Path) or (one and Path(one).exists())  # "" is no folder
        for name in [one] if whole else filter(None, map(str.strip, one.split(","))):
            path = Path(name)
            found += [path / n for n in look_through(path).images] if path.is_dir() else [path]
    return found


def count_others(others: Mapping[str, int]) -> str:
    """3 .txt, 1 without a suffix"""
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.items())


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file but hidden ones; folders behind links come last, and none comes twice."""

    def refuse(error: OSError) -> None:
        raise error

    seen, links = set(), [folder]
    while links:
        start = links.pop(0)
        for place, folders, found in os.walk(start, onerror=refuse):
            about = os.stat(place)
            if (about.st_dev, about.st_ino) in seen:
                folders.clear()
                continue
            seen.add((about.st_dev, about.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
            links += [Path(place, name) for name in linked]
            yield from (Path(place, name) for name in sorted(found) if not name.startswith("."))
