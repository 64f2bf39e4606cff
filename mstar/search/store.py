"""The layout of a gallery on disk.

    GALLERY/gallery.json           what made it, and which files could not be read
    GALLERY/00000.safetensors …    shards: vision embeddings in half precision
    GALLERY/nearest.….safetensors  where there is one: an index, see `mstar.search.nearest`
    GALLERY/.lock                  held by the run that writes

A shard's header lists its images, so that list and numbers are one file, and take their place
together. Where a name stands in several shards, the newest counts: the one of the highest number.
"""

import hashlib
import json
import os
import re
import stat
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from mstar import files
from mstar.errors import UserError
from mstar.io import embedded
from mstar.tiles import check_tiles, tile_count
from mstar.versions import checkpoint_hash

if TYPE_CHECKING:
    from mstar.model.outputs import VisionEmbeddings

ABOUT, GALLERY = "gallery.json", "gallery"
#: Of an index, see `mstar.search.nearest.spaces`.
WORD, SEVERAL = SPACES = ("word", "several")
_FORMAT = 3
_OLDER = {1: "images had tiles", 2: "`steps` became `pve_steps`"}
_SHARD = re.compile(r"[0-9]{5,}\.safetensors")
#: What `files.replacing` leaves of a run that was killed.
TEMPORARY = re.compile(
    r"\.(([0-9]{5,}|nearest\.\w+)\.safetensors|gallery\.json)\.\w+\.(safetensors|json)"
)


@dataclass(frozen=True)
class Entry:
    """An image file as it was when it was embedded.

    Attributes:
        name: its path within the folder of images, with `/`.
        size, modified: in bytes, and the time of the last change in ns.
        sha256: of the file.
    """

    name: str
    size: int
    modified: int
    sha256: str

    def now(self, folder: Path) -> "Entry | None":
        """The entry as it has to be now; None if the file is gone or has another content.

        Raises:
            OSError: the file cannot be looked at.
        """
        try:
            path = files.as_stored(folder, self.name)
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                return None
            if (about.st_size, about.st_mtime_ns) == (self.size, self.modified):
                return self
            if about.st_size != self.size or _sha256(path) != self.sha256:
                return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        return replace(self, modified=about.st_mtime_ns)


@dataclass(frozen=True)
class Shard:
    """Some images of a gallery; whole shards are mapped from the file and read when used."""

    path: Path
    entries: tuple[Entry, ...]
    vision: "VisionEmbeddings"


@dataclass(frozen=True)
class About:
    """What a gallery was made with.

    Attributes:
        checkpoint, sha256: the folder of the checkpoint, and its hash.
        pve_steps: T.
        tiles: levels, see `mstar.tiles`.
        folder: of the images, seen from the gallery's own.
        unreadable: name -> why it could not be embedded.
    """

    checkpoint: str
    sha256: str
    pve_steps: int
    tiles: tuple[int, ...]
    folder: str
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def made_with(self) -> str:
        tiles = ", ".join(map(str, self.tiles))
        return f"{self.checkpoint} ({self.sha256[:12]}), T = {self.pve_steps}, tiles {tiles}"


class _Older(Exception):
    """A format that this version does not read: what has changed since."""


def read_about(gallery: str | Path) -> About:
    """What a gallery was made with.

    Raises:
        FileNotFoundError: the folder holds no gallery.
        UserError: its `gallery.json` is broken or of another format.
    """
    path = Path(gallery, ABOUT)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{gallery} holds no gallery: make one with `mstar index`.")
    files.check_regular(path, GALLERY)
    try:
        content = files.read_json(path)
        if (found := content.pop("format")) != _FORMAT:
            raise _Older(_OLDER[found])
        about = About(**content | {"tiles": check_tiles(content["tiles"])})
        texts = about.checkpoint, about.sha256, about.folder
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise ValueError
        if type(about.pve_steps) is not int or about.pve_steps < 0:
            raise ValueError
        if not isinstance(about.unreadable, dict):
            raise ValueError
        return about
    except _Older as change:
        raise UserError(
            f"the gallery {gallery} was made before {change}: make it anew with `mstar index` in "
            "another folder, or delete it first."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UserError(
            f"{path} is not what `mstar index` writes, or of another version: make the gallery "
            "anew in another folder."
        ) from None


def opened_with(gallery: str | Path, checkpoint: str | Path | None = None) -> tuple[About, Path]:
    """What a gallery was made with, and the folder of that checkpoint; loads no torch.

    Args:
        checkpoint: where it is now; None or "" = where it was.

    Raises:
        FileNotFoundError, UserError: no such gallery or checkpoint, or another checkpoint.
    """
    about = read_about(gallery)
    folder = embedded.checkpoint(checkpoint or about.checkpoint)
    found = checkpoint_hash(folder)
    if found != about.sha256:
        raise UserError(
            f"the gallery {gallery} was made with {about.made_with}; {folder} is {found[:12]}: "
            "name that checkpoint, or make a gallery with this one."
        )
    return about, folder


def write_about(gallery: Path, about: About) -> None:
    """`gallery.json`."""
    with files.replacing(gallery / ABOUT) as path:
        content = {"format": _FORMAT, **asdict(about)}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_shards(gallery: str | Path) -> list[Shard]:
    """The shards of a gallery, in the order of their numbers; no name stands in them twice.

    Raises:
        FileNotFoundError: the folder holds no gallery.
        UserError: a shard is broken, or see `read_about`.
    """
    found = [take(shard, rows) for shard, rows in stored(Path(gallery)) if rows]
    warn_of_strangers(Path(gallery))
    return found


def shard_paths(gallery: Path) -> list[Path]:
    """Its shards, in the order of their numbers.

    Raises:
        UserError: something that is called so is no regular file.
    """
    paths = [path for path in gallery.iterdir() if _SHARD.fullmatch(path.name)]
    for path in paths:
        files.check_regular(path, GALLERY)
    return sorted(paths, key=lambda path: (int(path.stem), path.name))


def index_path(gallery: str | Path, space: str) -> Path:
    """Of one space of a gallery's index, see `mstar.search.nearest`."""
    return Path(gallery, f"nearest.{space}.safetensors")


def warn_of_strangers(gallery: Path) -> None:
    """Name what lies in a gallery and is no file: nothing of it is read."""
    strange = sorted(p.name for p in gallery.iterdir() if p.is_symlink() or not p.is_file())
    if strange:
        warnings.warn(
            f"{gallery} holds {', '.join(strange[:3])}{' and more' * (len(strange) > 3)}, which "
            f"{'is no file' if len(strange) == 1 else 'are no files'} of a gallery: passed over.",
            stacklevel=3,
        )


def stored(gallery: Path) -> list[tuple[Shard, list[int]]]:
    """The shards as they are on disk, and which rows of each count.

    A name stands twice after a run that was stopped between two writes, or in a copied shard.
    """
    while True:
        try:
            return _stored(gallery)
        except _Gone as gone:  # a run has just dropped it: what it left is another list
            if gone.path in shard_paths(gallery):
                raise UserError(
                    f"{gone.path} cannot be opened ({gone}): delete it, or let it be read."
                ) from None


def _stored(gallery: Path) -> list[tuple[Shard, list[int]]]:
    about = read_about(gallery)
    stored: list[tuple[Shard, list[int]]] = []
    seen: set[str] = set()
    for path in reversed(shard_paths(gallery)):
        shard = _read_shard(path, about)
        last = {entry.name: row for row, entry in enumerate(shard.entries)}
        stored.append((shard, sorted(row for name, row in last.items() if name not in seen)))
        seen.update(last)
    return stored[::-1]


def take(shard: Shard, rows: list[int]) -> Shard:
    """Some rows of a shard; all of them stay mapped."""
    if len(rows) == len(shard.entries):
        return shard
    from mstar.model.outputs import VisionEmbeddings

    whole = shard.vision
    embeddings = None if whole.embeddings is None else whole.embeddings[rows]
    entries = tuple(shard.entries[row] for row in rows)
    return Shard(
        shard.path, entries, VisionEmbeddings(embeddings, whole.features[rows], whole.tiles)
    )


class _Gone(Exception):
    """A shard that was listed cannot be opened: it may not be there any more."""

    def __init__(self, path: Path, why: str):
        super().__init__(why)
        self.path = path


def _read_shard(path: Path, about: About) -> Shard:
    from mstar.model.outputs import VisionEmbeddings

    try:
        path.open("rb").close()  # of a file without permission the next line says it is not there
        with safe_open(path, framework="pt") as stored:
            listed = json.loads((stored.metadata() or {})["images"])
            entries = tuple(_checked(Entry(**entry)) for entry in listed)
            names = stored.keys()
            tensors = {name: stored.get_tensor(name) for name in names}
        tiles = tile_count(about.tiles)
        vision = VisionEmbeddings(tensors.get("embeddings"), tensors["features"], tiles)
        given = [one for one in (vision.features, vision.embeddings) if one is not None]
        if not all(one.ndim == 3 and one.is_floating_point() for one in given):
            raise UserError("its numbers are of another kind")
        if any(len(one) != len(entries) for one in given):
            raise UserError("it lists other images than it has numbers for")
        vectors = vision.features.shape[1]
        per_query = (about.pve_steps + 1) * tiles
        if not vectors or vectors % per_query or any(one.shape[1] != vectors for one in given):
            raise UserError("it has too few or too many vectors an image")
    except OSError as error:
        raise _Gone(path, (error.strerror or str(error)).lower()) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is broken ({error}): delete it and run `mstar index` again, which embeds its "
            "images anew."
        ) from None
    return Shard(path, entries, vision)


def _checked(entry: Entry) -> Entry:
    """An entry that names a file within the folder of images; a header may be anybody's.

    Raises:
        UserError: it names another, or is none.
    """
    texts, numbers = (entry.name, entry.sha256), (entry.size, entry.modified)
    if not all(type(text) is str for text in texts) or any(type(n) is not int for n in numbers):
        raise UserError("what it says of an image is of another kind")
    path = Path(entry.name)
    if path.anchor or ".." in path.parts or not path.name or "\0" in entry.name:
        raise UserError(f"{entry.name!r} is no name of an image")
    os.fsencode(entry.name)  # ValueError: half a character
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
