"""Embedding a folder of images once, and again only what changed; `shards` is how it is kept.

What a run that was stopped had written stays, and the next run goes on from there.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tqdm.auto import tqdm

from mstar.errors import UserError, check_range
from mstar.files import LOCK, locked, said
from mstar.hooks.points import MOST_PVE_STEPS
from mstar.io import embedded
from mstar.io.decoding import MAX_BYTES, Reducible, UnreadableImage
from mstar.io.images import IMAGES_AT_ONCE, MOST_AT_ONCE, decode_image
from mstar.search.folders import Found, look_through
from mstar.search.store import (
    ABOUT,
    GALLERY,
    TEMPORARY,
    About,
    Entry,
    read_about,
    shard_paths,
    stored,
    take,
    warn_of_strangers,
    write_about,
)
from mstar.tiles import check_tiles
from mstar.versions import checkpoint_hash

if TYPE_CHECKING:
    from mstar.io.bench import Bench


@dataclass(frozen=True)
class Indexed:
    """What `index_folder` did.

    Attributes:
        images: now in the gallery.
        embedded, kept, dropped: made now; unchanged; changed or gone since the last time.
        unreadable: name -> why it was left out.
        others: files that are no images: suffix -> how many.
    """

    images: int
    embedded: int
    kept: int
    dropped: int
    unreadable: dict[str, str]
    others: dict[str, int] = field(default_factory=dict)


def index_folder(
    images: str | Path,
    gallery: str | Path,
    checkpoint: str | Path | None = None,
    pve_steps: int | None = None,
    batch_size: int = IMAGES_AT_ONCE,
    tiles: Sequence[int] | None = None,
) -> Indexed:
    """Embed all images of a folder, subfolders too, that the gallery does not have yet.

    Files that cannot be read are listed and left out; hidden ones are passed over. Links are
    followed, each folder once. After an error or an interruption what was embedded until then is
    kept; if that is nothing, so is no folder that was not there.

    The processes of `mstar.distributed.joined` deal whole shards out: however many they are, the
    gallery is the same, and so is what is returned. The first holds the lock.

    Args:
        gallery: a new or empty folder, or a gallery made with the same checkpoint.
        checkpoint: its folder; None = the embedded one.
        pve_steps: T; None = the configuration's.
        batch_size: images at once.
        tiles: levels, see `mstar.tiles`; None = the configuration's.

    Raises:
        FileNotFoundError: there is no such folder of images, or no image in it.
        OSError: a subfolder cannot be read, or the gallery cannot be written.
        UserError: the gallery's folder holds something else, a gallery made otherwise or one that
            another run is writing; no image could be read.
    """
    images, gallery = Path(images), Path(gallery)
    checkpoint = embedded.checkpoint(checkpoint)
    found = look_through(images)
    check_range("batch-size", batch_size, 1, MOST_AT_ONCE)
    if pve_steps is not None:
        check_range("pve_steps (T)", pve_steps, 0, MOST_PVE_STEPS)
    tiles = None if tiles is None else check_tiles(tiles)
    _holds_gallery(gallery)
    # until here no torch is loaded
    from mstar.distributed import by_first, processes, together
    from mstar.io.checkpoints import default_device, load_checkpoint, load_config

    with ExitStack() as held:

        def begun() -> tuple[About, bool]:
            config = load_config(checkpoint)
            steps = config.pve_steps_from(pve_steps)
            folder = os.path.relpath(images.resolve(), gallery.resolve())
            made_by = str(Path(checkpoint).resolve()), checkpoint_hash(checkpoint)
            about = About(*made_by, steps, tiles or config.tiles, folder)
            _check(gallery, about)  # before anything is put into a folder that may be none of ours
            new = not gallery.exists()
            held.enter_context(locked(gallery, GALLERY))
            _check(gallery, about)  # again: another run may have just ended
            warn_of_strangers(gallery)
            for path in gallery.iterdir():
                if TEMPORARY.fullmatch(path.name) and not path.is_dir():
                    path.unlink()
            return about, new

        about, new = by_first(begun)
        try:
            bench = together(lambda: load_checkpoint(checkpoint, default_device()))
            return _update(bench, images, found, gallery, about, batch_size)
        except BaseException:
            if new and processes()[0] == 0 and not shard_paths(gallery):
                (gallery / ABOUT).unlink(missing_ok=True)
            raise


def _update(
    bench: "Bench",
    images: Path,
    found: Found,
    gallery: Path,
    about: About,
    batch_size: int,
) -> Indexed:
    from mstar.distributed import by_first, gather_lists, processes, together
    from mstar.search.writing import ShardWriter, shards_of

    def planned() -> tuple[list[str], int, int]:
        if not shard_paths(gallery):
            write_about(gallery, about)
        kept, dropped = _keep_unchanged(gallery, images, set(found.images))
        todo = [name for name in found.images if name not in kept]
        return todo, dropped, max((int(path.stem) + 1 for path in shard_paths(gallery)), default=0)

    todo, dropped, number = by_first(planned)
    rank, count = processes()
    shards = shards_of(bench.config, about, todo, batch_size)
    paths = [gallery / f"{number + i:05}.safetensors" for i in range(len(shards))]
    unreadable: dict[str, str] = {}
    bar = tqdm(total=len(todo), desc="images", unit="image", disable=rank > 0 or not todo)

    def show(begun: int = 0) -> None:
        """What all processes have done: shards that are there, and the beginning of one."""
        if not bar.disable:
            there = set(shard_paths(gallery))
            done = [shard for shard, path in zip(shards, paths, strict=True) if path in there]
            bar.update(sum(len(batch) for shard in done for batch in shard) + begun - bar.n)

    def embed() -> None:
        reducible = partial(bench.processor.reduction, tiles=about.tiles)
        for batches, path in list(zip(shards, paths, strict=True))[rank::count]:
            with ShardWriter(path, bench.config.multi_word_branch) as shard:
                for i, batch in enumerate(batches, 1):
                    entries, photos = _read(images, batch, unreadable, reducible)
                    if photos:
                        encoded = bench.encode_images(photos, about.pve_steps, about.tiles)
                        shard.add(entries, encoded)
                    show(sum(map(len, batches[:i])))

    try:
        with bar, bench.evaluating():
            together(embed, show)
            bar.update(len(todo) - bar.n)
    except BaseException:
        if rank == 0:
            with suppress(Exception):  # what happened first is what has to be said
                write_about(gallery, replace(about, unreadable=unreadable | found.unopened))
        raise
    unreadable = dict(sorted(gather_lists(list(unreadable.items()))))

    def ended() -> Indexed:
        done, kept = len(todo) - len(unreadable), len(found.images) - len(todo)
        left_out = unreadable | found.unopened
        write_about(gallery, replace(about, unreadable=left_out))
        if not kept and not done:
            (gallery / ABOUT).unlink()  # nothing to search in
            name, why = next(iter(left_out.items()))
            total = len(found.images) + len(found.unopened)
            raise UserError(f"none of the {total} images of {images} can be read; {name}: {why}")
        return Indexed(kept + done, done, kept, dropped, left_out, found.others)

    return by_first(ended)


def _holds_gallery(gallery: Path) -> bool:
    """Whether a folder holds a gallery; raises UserError if it holds anything else."""
    if gallery.exists() and not gallery.is_dir():
        raise UserError(f"{gallery} is a file: a gallery is a folder.")
    if not (gallery / ABOUT).exists():
        found = [path.name for path in gallery.iterdir()] if gallery.exists() else []
        if any(name != LOCK and not TEMPORARY.fullmatch(name) for name in found):
            raise UserError(f"{gallery} is not empty and holds no gallery: give a new folder.")
        return False
    return True


def _check(gallery: Path, about: About) -> None:
    """See that the folder is new or empty, or a gallery that was made in the same way.

    One without any shard may become another.
    """
    if not _holds_gallery(gallery):
        return
    made = read_about(gallery)
    if not shard_paths(gallery):
        return
    if (made.sha256, made.pve_steps, made.tiles) != (about.sha256, about.pve_steps, about.tiles):
        raise UserError(
            f"the gallery {gallery} was made with {made.made_with}, not with {about.made_with}: "
            "give a new folder."
        )
    if made.folder != about.folder:
        raise UserError(
            f"the gallery {gallery} is of the images in {made.folder}, seen from there, not in "
            f"{about.folder}: give a new folder."
        )


def _keep_unchanged(gallery: Path, images: Path, names: set[str]) -> tuple[set[str], int]:
    """Drop from the shards what changed or is gone; the names that stay, and how many went."""
    from mstar.search.writing import write_shard

    kept: set[str] = set()
    dropped = 0
    for shard, newest in stored(gallery):
        listed = {row: shard.entries[row] for row in newest}
        now = {row: one.now(images) for row, one in listed.items() if one.name in names}
        rows = [row for row, entry in now.items() if entry is not None]
        entries = tuple(entry for entry in now.values() if entry is not None)
        kept.update(entry.name for entry in entries)
        dropped += len(newest) - len(rows)
        if not rows:
            shard.path.unlink()
        elif entries != shard.entries:
            write_shard(shard.path, entries, take(shard, rows).vision)
    return kept, dropped


def _read(
    folder: Path, names: Sequence[str], unreadable: dict[str, str], reducible: Reducible
) -> tuple[list[Entry], list[Image.Image]]:
    """Open some images; what cannot be opened is noted.

    Every file is read once: the hash is of what is embedded, even if it is being changed.
    """
    entries, photos = [], []
    for name in names:
        path = folder / name
        try:
            about = path.stat()  # before reading: a change while we read is one after it
            if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
                raise UnreadableImage(f"{path} is no file of at most {MAX_BYTES} bytes.")
            content = path.read_bytes()
            photos.append(decode_image(BytesIO(content), path, reducible))
            digest = hashlib.sha256(content).hexdigest()
            entries.append(Entry(name, len(content), about.st_mtime_ns, digest))
        except UnreadableImage as error:
            unreadable[name] = str(error)
        except OSError as error:
            unreadable[name] = said(error)
    return entries, photos
