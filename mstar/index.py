"""A gallery on disk: a folder of images embedded once, and again only what changed.

    GALLERY/gallery.json           what made it, and which files could not be read
    GALLERY/00000.safetensors …    shards: vision embeddings in half precision
    GALLERY/.lock                  held by the run that writes

A shard's header lists its images, so that list and numbers are one file, and take their place
together. What a run that was stopped had written stays, and the next run goes on from there. Where
a name stands in several shards, the newest counts: the one of the highest number.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from . import files
from .checkpoints import checkpoint_hash, default_device, load_checkpoint, load_config
from .evaluation import evaluating
from .modeling import MstarModel
from .outputs import ImageEncoding, VisionEmbeddings
from .processing import SUFFIXES, MstarProcessor, UnreadableImage, decode_image

try:
    import fcntl
except ImportError:  # Windows: two runs at once are not noticed
    fcntl = None

_ABOUT, _LOCK, _FORMAT = "gallery.json", ".lock", 1
_SHARD = re.compile(r"[0-9]{5,}\.safetensors")
#: What `files.replacing` leaves of a run that was killed.
_TEMPORARY = re.compile(r"\.([0-9]{5,}\.safetensors|gallery\.json)\.\w+\.(safetensors|json)")
#: Bytes of a shard, about: what a run loses at most that is killed, or stopped while it writes,
#: and what an update rewrites.
_SHARD_BYTES = 64 * 2**20
#: Files of more bytes are left out: they are read as a whole, and no image is that large.
_FILE_BYTES = 2**30


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
            about = (folder / self.name).stat()
            if (about.st_size, about.st_mtime_ns) == (self.size, self.modified):
                return self
            if about.st_size != self.size or _sha256(folder / self.name) != self.sha256:
                return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        return replace(self, modified=about.st_mtime_ns)


@dataclass(frozen=True)
class Shard:
    """Some images of a gallery; whole shards are mapped from the file and read when used."""

    path: Path
    entries: tuple[Entry, ...]
    vision: VisionEmbeddings


@dataclass(frozen=True)
class About:
    """What a gallery was made with.

    Attributes:
        checkpoint, sha256: the folder of the checkpoint, and its hash.
        steps: T.
        folder: of the images, seen from the gallery's own.
        unreadable: name -> why it could not be embedded.
    """

    checkpoint: str
    sha256: str
    steps: int
    folder: str
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def made_with(self) -> str:
        return f"{self.checkpoint} ({self.sha256[:12]}), T = {self.steps}"


@dataclass(frozen=True)
class Indexed:
    """What `index_folder` did.

    Attributes:
        images: now in the gallery.
        embedded, kept, dropped: made now; unchanged; changed or gone since the last time.
        unreadable: name -> why it was left out.
    """

    images: int
    embedded: int
    kept: int
    dropped: int
    unreadable: dict[str, str]


def index_folder(
    checkpoint: str | Path,
    images: str | Path,
    gallery: str | Path,
    steps: int | None = None,
    batch_size: int = 16,
) -> Indexed:
    """Embed all images of a folder, subfolders too, that the gallery does not have yet.

    Files that cannot be read are listed and left out; hidden ones are passed over. After an error
    or an interruption what was embedded until then is kept.

    Args:
        checkpoint: a checkpoint folder.
        gallery: a new or empty folder, or a gallery made with the same checkpoint.
        steps: T; None = the configuration's.
        batch_size: images at once.

    Raises:
        FileNotFoundError: there is no such folder of images, or no image in it.
        OSError: a subfolder cannot be read, or the gallery cannot be written.
        ValueError: the gallery's folder holds something else, a gallery made otherwise or one that
            another run is writing; no image could be read.
    """
    images, gallery = Path(images), Path(gallery)
    names = image_names(images)
    steps = load_config(checkpoint).steps if steps is None else steps
    if steps < 0 or batch_size < 1:
        raise ValueError(
            f"steps (T) must be 0 or more and batch-size 1 or more; got {steps} and {batch_size}."
        )
    folder = os.path.relpath(images.resolve(), gallery.resolve())
    about = About(str(Path(checkpoint).resolve()), checkpoint_hash(checkpoint), steps, folder)
    _check(gallery, about)  # before anything is put into a folder that may be none of ours
    gallery.mkdir(parents=True, exist_ok=True)
    with _locked(gallery):
        _check(gallery, about)  # again: another run may have just ended
        for path in gallery.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink()
        model, processor = load_checkpoint(checkpoint, default_device())
        if not _shard_paths(gallery):
            write_about(gallery, about)
        return _update(model, processor, images, names, gallery, about, batch_size)


def _update(
    model: MstarModel,
    processor: MstarProcessor,
    images: Path,
    names: Sequence[str],
    gallery: Path,
    about: About,
    batch_size: int,
) -> Indexed:
    kept, dropped = _keep_unchanged(gallery, images, set(names))
    unreadable: dict[str, str] = {}
    todo = [name for name in names if name not in kept]
    writer = _Writer(gallery, keep_embeddings=model.config.multi_word_branch)
    batches = [todo[i : i + batch_size] for i in range(0, len(todo), batch_size)]
    try:
        with evaluating(model):
            for batch in tqdm(batches, desc="images", unit="batch", disable=not batches):
                entries, photos = _read(images, batch, unreadable)
                if photos:
                    writer.add(entries, encode_images(model, processor, photos, about.steps))
    except BaseException:
        with suppress(Exception):  # what happened first is what has to be said
            writer.close()
            write_about(gallery, replace(about, unreadable=unreadable))
        raise
    writer.close()
    write_about(gallery, replace(about, unreadable=unreadable))
    done = len(todo) - len(unreadable)
    if not kept and not done:
        name, why = next(iter(unreadable.items()))
        raise ValueError(f"none of the {len(names)} images of {images} can be read; {name}: {why}")
    return Indexed(len(kept) + done, done, len(kept), dropped, unreadable)


def image_names(folder: str | Path) -> list[str]:
    """All image files below a folder, by their suffix: paths within it, sorted.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        OSError: a subfolder cannot be read: without its images it would look as if they were gone.
    """

    def refuse(error: OSError) -> None:
        raise error

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder of images {folder}.")
    names = []
    for place, folders, found in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [
            Path(place, name).relative_to(folder).as_posix()
            for name in found
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not names:
        kinds = ", ".join(SUFFIXES)
        raise FileNotFoundError(f"there is no image in {folder}: expected files named {kinds}.")
    return sorted(names)


@torch.no_grad()
def encode_images(
    model: MstarModel, processor: MstarProcessor, images: Sequence[Any], steps: int | None = None
) -> ImageEncoding:
    """Images as the processor takes them, in one batch through the model; its hooks are heard."""
    pixels = processor(images=list(images))["pixel_values"].to(model.device, model.dtype)
    return model(pixel_values=pixels, steps=steps).images


def read_about(gallery: str | Path) -> About:
    """What a gallery was made with.

    Raises:
        FileNotFoundError: the folder holds no gallery.
        ValueError: its `gallery.json` is broken or of another format.
    """
    path = Path(gallery, _ABOUT)
    if not path.is_file():
        raise FileNotFoundError(f"{gallery} holds no gallery: make one with `mstar index`.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError
        about = About(**content)
        texts = about.checkpoint, about.sha256, about.folder
        if not all(isinstance(text, str) for text in texts) or type(about.steps) is not int:
            raise ValueError
        if about.steps < 0 or not isinstance(about.unreadable, dict):
            raise ValueError
        return about
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(
            f"{path} is not what `mstar index` writes, or of another version: make the gallery "
            "anew in another folder."
        ) from None


def read_shards(gallery: str | Path) -> list[Shard]:
    """The shards of a gallery, in the order of their numbers; no name stands in them twice.

    Raises:
        FileNotFoundError: the folder holds no gallery.
        ValueError: a shard is broken, or see `read_about`.
    """
    return [_rows(shard, rows) for shard, rows in _stored(Path(gallery)) if rows]


def _shard_paths(gallery: Path) -> list[Path]:
    paths = [path for path in gallery.iterdir() if _SHARD.fullmatch(path.name)]
    return sorted(paths, key=lambda path: (int(path.stem), path.name))


def _stored(gallery: Path) -> list[tuple[Shard, list[int]]]:
    """The shards as they are on disk, and which rows of each count.

    A name stands twice after a run that was stopped between two writes, or in a copied shard.
    """
    steps = read_about(gallery).steps
    stored: list[tuple[Shard, list[int]]] = []
    seen: set[str] = set()
    for path in reversed(_shard_paths(gallery)):
        shard = _read_shard(path, steps)
        last = {entry.name: row for row, entry in enumerate(shard.entries)}
        stored.append((shard, sorted(row for name, row in last.items() if name not in seen)))
        seen.update(last)
    return stored[::-1]


def _rows(shard: Shard, rows: list[int]) -> Shard:
    """Some rows of a shard; all of them stay mapped."""
    if len(rows) == len(shard.entries):
        return shard
    whole = shard.vision
    embeddings = None if whole.embeddings is None else whole.embeddings[rows]
    entries = tuple(shard.entries[row] for row in rows)
    return Shard(shard.path, entries, VisionEmbeddings(embeddings, whole.features[rows]))


def _read_shard(path: Path, steps: int) -> Shard:
    try:
        with safe_open(path, framework="pt") as stored:
            listed = json.loads((stored.metadata() or {})["images"])
            entries = tuple(_checked(Entry(**entry)) for entry in listed)
            names = stored.keys()
            tensors = {name: stored.get_tensor(name) for name in names}
        vision = VisionEmbeddings(tensors.get("embeddings"), tensors["features"])
        given = [one for one in (vision.features, vision.embeddings) if one is not None]
        if not all(one.ndim == 3 and one.is_floating_point() for one in given):
            raise ValueError("its numbers are of another kind")
        if any(len(one) != len(entries) for one in given):
            raise ValueError("it lists other images than it has numbers for")
        vectors = vision.features.shape[1]
        if not vectors or vectors % (steps + 1) or any(one.shape[1] != vectors for one in given):
            raise ValueError("it has too few or too many vectors an image")
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is broken ({error}): delete it and run `mstar index` again, which embeds its "
            "images anew."
        ) from None
    return Shard(path, entries, vision)


def _checked(entry: Entry) -> Entry:
    """An entry that names a file within the folder of images; a header may be anybody's.

    Raises:
        ValueError: it names another, or is none.
    """
    texts, numbers = (entry.name, entry.sha256), (entry.size, entry.modified)
    if not all(type(text) is str for text in texts) or any(type(n) is not int for n in numbers):
        raise ValueError("what it says of an image is of another kind")
    path = Path(entry.name)
    if path.anchor or ".." in path.parts or not path.name or "\0" in entry.name:
        raise ValueError(f"{entry.name!r} is no name of an image")
    os.fsencode(entry.name)  # ValueError: half a character
    return entry


def write_shard(path: Path, entries: Sequence[Entry], vision: VisionEmbeddings) -> None:
    """One shard; its tensors are of half precision, [n, …].

    Raises:
        OSError: it cannot be written, the disk is full.
    """
    tensors = {"features": vision.features}
    if vision.embeddings is not None:
        tensors["embeddings"] = vision.embeddings
    # JSON in ASCII: a header is UTF-8, a file name may not be
    listed = json.dumps([asdict(entry) for entry in entries])
    with files.replacing(path) as part:
        try:
            save_file({n: t.contiguous() for n, t in tensors.items()}, part, {"images": listed})
        except SafetensorError as error:
            raise OSError(f"the gallery {path.parent} cannot be written: {error}.") from error


class _Writer:
    """Embedded images on their way to disk, a shard at a time."""

    def __init__(self, gallery: Path, keep_embeddings: bool):
        self.gallery, self.keep_embeddings = gallery, keep_embeddings
        self.entries: list[Entry] = []
        self.features: list[Tensor] = []
        self.embeddings: list[Tensor] = []
        self.bytes = 0

    def add(self, entries: Sequence[Entry], encoded: ImageEncoding) -> None:
        features = _half(encoded.features, entries)
        embeddings = [_half(encoded.embeddings, entries)] if self.keep_embeddings else []
        self.entries += entries
        self.features.append(features)
        self.embeddings += embeddings
        self.bytes += sum(one.numel() * one.element_size() for one in (features, *embeddings))
        if self.bytes >= _SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write what has not been written yet."""
        if not self.features:
            return
        numbers = [int(path.stem) for path in _shard_paths(self.gallery)]
        path = self.gallery / f"{max(numbers, default=-1) + 1:05}.safetensors"
        embeddings = torch.cat(self.embeddings) if self.keep_embeddings else None
        entries, vision = self.entries, VisionEmbeddings(embeddings, torch.cat(self.features))
        # before writing: what fails or is stopped there is not written a second time
        self.entries, self.features, self.embeddings, self.bytes = [], [], [], 0
        write_shard(path, entries, vision)


def _half(values: Tensor, entries: Sequence[Entry]) -> Tensor:
    half = values.to("cpu", torch.float16)
    if not half.isfinite().all():
        names = ", ".join(entry.name for entry in entries[:3])
        raise ValueError(f"the checkpoint gives values that are no numbers for {names}.")
    return half


@contextmanager
def _locked(gallery: Path) -> Iterator[None]:
    """The gallery for one run alone, where the system has locks; a killed run's is released.

    Raises:
        ValueError: another run has it.
    """
    with (gallery / _LOCK).open("ab") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"the gallery {gallery} is being written by another run: wait for it, or give "
                    "another folder."
                ) from None
            except OSError:  # some network file systems have no locks
                pass
        yield


def _check(gallery: Path, about: About) -> None:
    """See that the folder is new or empty, or a gallery that was made in the same way.

    One without any shard may become another.
    """
    if gallery.exists() and not gallery.is_dir():
        raise ValueError(f"{gallery} is a file: a gallery is a folder.")
    if not (gallery / _ABOUT).exists():
        found = [path.name for path in gallery.iterdir()] if gallery.exists() else []
        if any(name != _LOCK and not _TEMPORARY.fullmatch(name) for name in found):
            raise ValueError(f"{gallery} is not empty and holds no gallery: give a new folder.")
        return
    made = read_about(gallery)
    if not _shard_paths(gallery):
        return
    if (made.sha256, made.steps) != (about.sha256, about.steps):
        raise ValueError(
            f"the gallery {gallery} was made with {made.made_with}, not with {about.made_with}: "
            "give a new folder."
        )
    if made.folder != about.folder:
        raise ValueError(
            f"the gallery {gallery} is of the images in {made.folder}, seen from there, not in "
            f"{about.folder}: give a new folder."
        )


def write_about(gallery: Path, about: About) -> None:
    """`gallery.json`."""
    with files.replacing(gallery / _ABOUT) as path:
        content = {"format": _FORMAT, **asdict(about)}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _keep_unchanged(gallery: Path, images: Path, names: set[str]) -> tuple[set[str], int]:
    """Drop from the shards what changed or is gone; the names that stay, and how many went."""
    kept: set[str] = set()
    dropped = 0
    for shard, newest in _stored(gallery):
        listed = {row: shard.entries[row] for row in newest}
        now = {row: one.now(images) for row, one in listed.items() if one.name in names}
        rows = [row for row, entry in now.items() if entry is not None]
        entries = tuple(entry for entry in now.values() if entry is not None)
        kept.update(entry.name for entry in entries)
        dropped += len(newest) - len(rows)
        if not rows:
            shard.path.unlink()
        elif entries != shard.entries:
            write_shard(shard.path, entries, _rows(shard, rows).vision)
    return kept, dropped


def _read(
    folder: Path, names: Sequence[str], unreadable: dict[str, str]
) -> tuple[list[Entry], list[Image.Image]]:
    """Open some images; what cannot be opened is noted.

    Every file is read once: the hash is of what is embedded, even if it is being changed.
    """
    entries, photos = [], []
    for name in names:
        path = folder / name
        try:
            about = path.stat()  # before reading: a change while we read is one after it
            if not stat.S_ISREG(about.st_mode) or about.st_size > _FILE_BYTES:
                raise UnreadableImage(f"{path} is no file of at most {_FILE_BYTES} bytes.")
            content = path.read_bytes()
            photos.append(decode_image(BytesIO(content), path))
            digest = hashlib.sha256(content).hexdigest()
            entries.append(Entry(name, len(content), about.st_mtime_ns, digest))
        except (UnreadableImage, OSError) as error:
            unreadable[name] = str(error)
    return entries, photos


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
