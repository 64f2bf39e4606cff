"""A gallery on disk: a folder of images embedded once, and again only what changed.

    GALLERY/gallery.json           what made it, and which files could not be read
    GALLERY/00000.safetensors …    shards: vision embeddings in half precision

A shard's header lists its images, so that list and numbers are one file, and take their place
together. What a run that was stopped had written stays, and the next run goes on from there.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
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
from .processing import SUFFIXES, MstarProcessor, UnreadableImage, open_image

_ABOUT, _FORMAT = "gallery.json", 1
#: Bytes of a shard, about: what a killed run loses at most, and what an update rewrites.
_SHARD_BYTES = 64 * 2**20


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
        """The entry as it has to be now; None if the file is gone or has another content."""
        try:
            about = (folder / self.name).stat()
            if (about.st_size, about.st_mtime_ns) == (self.size, self.modified):
                return self
            if about.st_size != self.size or _sha256(folder / self.name) != self.sha256:
                return None
        except OSError:
            return None
        return replace(self, modified=about.st_mtime_ns)


@dataclass(frozen=True)
class Shard:
    """Some images of a gallery; the tensors are mapped from the file and read when used."""

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
    or an interruption everything embedded until then is kept.

    Args:
        checkpoint: a checkpoint folder.
        gallery: a new or empty folder, or a gallery made with the same checkpoint.
        steps: T; None = the configuration's.
        batch_size: images at once.

    Raises:
        FileNotFoundError: there is no such folder of images, or no image in it.
        ValueError: the gallery's folder holds something else, or a gallery made otherwise; no
            image could be read.
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
    _prepare(gallery, about)
    model, processor = load_checkpoint(checkpoint, default_device())

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
                    writer.add(entries, encode_images(model, processor, photos, steps))
    finally:
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
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder of images {folder}.")
    names = []
    for place, folders, found in os.walk(folder):
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
        kinds = (about.checkpoint, str), (about.sha256, str), (about.steps, int)
        if not all(isinstance(*one) for one in (*kinds, (about.folder, str))):
            raise ValueError
        return about
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(
            f"{path} is not what `mstar index` writes, or of another version: make the gallery "
            "anew in another folder."
        ) from None


def read_shards(gallery: str | Path) -> list[Shard]:
    """The shards of a gallery, in the order of their numbers.

    Raises:
        ValueError: a shard is broken.
    """
    return [_read_shard(path) for path in sorted(Path(gallery).glob("[0-9]*.safetensors"))]


def _read_shard(path: Path) -> Shard:
    try:
        with safe_open(path, framework="pt") as stored:
            listed = json.loads((stored.metadata() or {})["images"])
            entries = tuple(Entry(**entry) for entry in listed)
            names = stored.keys()
            tensors = {name: stored.get_tensor(name) for name in names}
        vision = VisionEmbeddings(tensors.get("embeddings"), tensors["features"])
        if len(vision.features) != len(entries):
            raise ValueError("it lists as many images as it has no numbers for")
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is broken ({error}): delete it and run `mstar index` again, which embeds its "
            "images anew."
        ) from None
    return Shard(path, entries, vision)


def write_shard(path: Path, entries: Sequence[Entry], vision: VisionEmbeddings) -> None:
    """One shard; its tensors are of half precision, [n, …]."""
    tensors = {"features": vision.features}
    if vision.embeddings is not None:
        tensors["embeddings"] = vision.embeddings
    # JSON in ASCII: a header is UTF-8, a file name may not be
    listed = json.dumps([asdict(entry) for entry in entries])
    with files.replacing(path) as part:
        save_file({n: t.contiguous() for n, t in tensors.items()}, part, {"images": listed})


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
        numbers = [int(path.stem) for path in self.gallery.glob("[0-9]*.safetensors")]
        path = self.gallery / f"{max(numbers, default=-1) + 1:05}.safetensors"
        embeddings = torch.cat(self.embeddings) if self.keep_embeddings else None
        vision = VisionEmbeddings(embeddings, torch.cat(self.features))
        write_shard(path, self.entries, vision)
        self.entries, self.features, self.embeddings, self.bytes = [], [], [], 0


def _half(values: Tensor, entries: Sequence[Entry]) -> Tensor:
    half = values.to("cpu", torch.float16)
    if not half.isfinite().all():
        names = ", ".join(entry.name for entry in entries[:3])
        raise ValueError(f"the checkpoint gives values that are no numbers for {names}.")
    return half


def _prepare(gallery: Path, about: About) -> None:
    """Make the folder, or see that it is a gallery made in the same way."""
    if gallery.exists() and not gallery.is_dir():
        raise ValueError(f"{gallery} is a file: a gallery is a folder.")
    if not (gallery / _ABOUT).exists():
        if gallery.exists() and any(gallery.iterdir()):
            raise ValueError(f"{gallery} is not empty and holds no gallery: give a new folder.")
        gallery.mkdir(parents=True, exist_ok=True)
        write_about(gallery, about)
        return
    made = read_about(gallery)
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
    for shard in read_shards(gallery):
        now = [entry.now(images) if entry.name in names else None for entry in shard.entries]
        rows = [row for row, entry in enumerate(now) if entry is not None]
        entries = tuple(entry for entry in now if entry is not None)
        kept.update(entry.name for entry in entries)
        dropped += len(now) - len(rows)
        if not rows:
            shard.path.unlink()
        elif entries != shard.entries:
            whole = shard.vision
            embeddings = None if whole.embeddings is None else whole.embeddings[rows]
            write_shard(shard.path, entries, VisionEmbeddings(embeddings, whole.features[rows]))
    return kept, dropped


def _read(
    folder: Path, names: Sequence[str], unreadable: dict[str, str]
) -> tuple[list[Entry], list[Image.Image]]:
    """Open some images; what cannot be opened is noted."""
    entries, photos = [], []
    for name in names:
        path = folder / name
        try:
            about = path.stat()  # before reading: a change while we read is one after it
            photos.append(open_image(path))
            entries.append(Entry(name, about.st_size, about.st_mtime_ns, _sha256(path)))
        except (UnreadableImage, OSError) as error:
            unreadable[name] = str(error)
    return entries, photos[: len(entries)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
