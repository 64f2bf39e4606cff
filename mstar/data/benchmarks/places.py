"""Files and folders of a data set: what has to be there is, and nothing leads out of it.

Data sets come from elsewhere. A name in an annotation, or a link among the images, may point at
any file of this machine; only what lies in the data set's folder is opened. All of these functions
raise FileNotFoundError where something is not there, and UserError where it leads out.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mstar.errors import UserError
from mstar.files import as_stored
from mstar.io.containers import UNOPENED
from mstar.io.images import SUFFIXES, is_image_file
from mstar.texts import composed


def data_set(folder: str | Path, what: str) -> Path:
    """The folder of a data set, without links."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}, which should hold {what}.")
    return folder


def inside(folder: Path, name: str) -> Path:
    """The path of `name`, which may lead through links but not out of the data set's folder."""
    path = Path(os.path.normpath(folder / name))
    # realpath, unlike Path.resolve, has an answer also for links in a circle
    if not all(Path(p).is_relative_to(folder) for p in (path, os.path.realpath(path))):
        raise UserError(f"{name!r} leads out of {folder}: only files within it are opened.")
    return path


def file(folder: Path, name: str, what: str) -> Path:
    """The path of a file."""
    path = inside(folder, name)
    if not os.path.lexists(path):  # letters with accents may be written in another way
        path = inside(folder, os.path.relpath(as_stored(folder, name), folder))
    if not os.path.isfile(path):  # unlike Path.is_file it is no error if a name is too long
        raise FileNotFoundError(f"there is no {path}, which should be {what}.")
    return path


def has_folder(folder: Path, name: str) -> bool:
    """Whether a folder is there."""
    return inside(folder, name).is_dir()


def subfolder(folder: Path, name: str, what: str) -> Path:
    """The path of a folder."""
    if not has_folder(folder, name):
        raise FileNotFoundError(f"there is no folder {folder / name}, which should hold {what}.")
    return folder / name


def pictures(folder: Path, name: str, what: str) -> dict[str, Path]:
    """The pictures of a subfolder by file name, sorted: whatever `mstar index` takes or names.

    Other files are passed over; without any picture in it a folder counts as not there.
    """
    place = subfolder(folder, name, what)
    names = sorted(
        entry.name
        for entry in os.scandir(place)
        if not entry.name.startswith(".")  # ._1.jpg is what macOS packs along with 1.jpg
        and not os.path.isdir(entry.path)
        and _is_picture(folder, entry.path)
    )
    if not names:
        raise FileNotFoundError(
            f"there is no picture (.jpg, .png, …) in {place}, which should hold {what}."
        )
    return {found: file(folder, f"{name}/{found}", f"one of {what}") for found in names}


def _is_picture(folder: Path, path: str) -> bool:
    if path.lower().endswith((*SUFFIXES, *UNOPENED)):
        return True
    # by what is in it, but of what leads out of the folder nothing is read
    return Path(os.path.realpath(path)).is_relative_to(folder) and is_image_file(path)


def pairs(folder: Path, images: str, annotations: str, template: str) -> dict[Path, Path]:
    """Every picture with the file that says what it shows; neither is there without the other.

    Args:
        images, annotations: subfolders.
        template: the name of an annotation file, with `*` for the picture's without its suffix.
    """
    found = {}
    place = subfolder(folder, annotations, "the words of each picture")
    for name, path in pictures(folder, images, "the pictures").items():
        annotation = template.replace("*", path.stem)
        found[path] = file(folder, f"{annotations}/{annotation}", f"the words of {name}")
    numbered = place.glob(template.replace("*", "*[0-9]"))  # as all pictures are; no readme.txt
    listed = {path for path in numbered if not path.name.startswith(".")}
    alone = sorted(path.name for path in listed - set(found.values()))
    if alone:
        raise FileNotFoundError(
            f"{folder / images} lacks the pictures of {len(alone)} of {len(listed)} files in "
            f"{place}, {alone[0]} the first: was it unpacked to the end?"
        )
    return found


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines with something on them; UserError if it is not UTF-8.

    Some publishers put a byte order mark in front, or end lines as Windows does.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UserError(f"{path} should be UTF-8 text: {problem}.") from None
    # not splitlines, which also takes some characters within a text for the end of a line
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield number, composed(line.strip())
