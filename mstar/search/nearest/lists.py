"""The index of a gallery: vectors in inverted lists, a file a space, searched by FAISS.

    GALLERY/nearest.word.safetensors       centres, how many vectors the list of each has, and the
    GALLERY/nearest.several.safetensors    lists: vectors in half precision, then their numbers

FAISS trusts the files that it writes itself: a broken one may lead it out of its memory. So these
are ours, and FAISS maps lists whose places were checked against the gallery.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from mstar import files
from mstar.errors import UserError
from mstar.search.gallery import Gallery
from mstar.search.nearest.needs import check_installed, check_there
from mstar.search.nearest.spaces import spaces_of, vectors_in
from mstar.search.store import GALLERY, About, Entry, index_path, read_about

#: With fewer vectors exact search takes less time, see README.md beside `search`.
LEAST_VECTORS = 100_000
#: Vectors of a centre that are looked at to place it, and how often.
_SAMPLE, _TURNS = 64, 10
#: Lists that are read for a vector at least.
_PROBES = 64
_AT_ONCE = 2**14
_ID = 4  # 16-bit units of a number
_FORMAT = "1"


@dataclass(frozen=True)
class Built:
    """An index that was made: of how many images, vectors an image and lists, for which spaces."""

    images: int
    vectors: int
    lists: int
    spaces: tuple[str, ...]


def check_size(images: int, vectors: int) -> None:
    """Raises UserError where exact search takes less time."""
    if images * vectors < LEAST_VECTORS:
        raise UserError(
            f"{images:,} images of {vectors} vectors are {images * vectors:,}, and below "
            f"{LEAST_VECTORS:,} exact search takes less time: search without an index."
        )


def build(folder: str | Path, checkpoint: str | Path | None = None) -> Built:
    """Write the index of a gallery, anew if there is one.

    Memory is that of 4 bytes a vector and a few blocks. On disk each space takes what the features
    take, and 8 bytes a vector.

    Args:
        checkpoint: None = the one it was made with, where it was then.

    Raises:
        FileNotFoundError: there is no gallery.
        UserError: FAISS is not installed, the gallery is too small, broken or being written.
        OSError: the index cannot be written, the disk is full.
    """
    check_installed()
    about = read_about(folder)
    with files.locked(Path(folder), GALLERY):
        gallery = Gallery.open(folder, checkpoint)
        vectors, spaces = gallery.vectors.shape[0], spaces_of(gallery.bench.config)
        check_size(len(gallery), vectors)
        state = state_of(about, gallery.images.entries)
        bar = tqdm(total=2 * len(gallery) * len(spaces), desc="index", unit="image", leave=False)
        with bar, gallery.bench.evaluating():
            for space in spaces:
                blocks = partial(_blocks, gallery, space)
                centres = _centres(gallery, space)
                with files.replacing(index_path(folder, space)) as path:
                    _write(path, state, blocks, centres, bar)
    return Built(len(gallery), vectors, len(centres), spaces)


def state_of(about: About, entries: Sequence[Entry]) -> str:
    """What an index is of: how images were embedded, and which, in the order of their names."""
    made = json.dumps([about.sha256, about.pve_steps, about.tiles])
    digest = hashlib.sha256(made.encode())
    for entry in entries:
        digest.update(os.fsencode(f"{entry.sha256} {entry.name}\n"))
    return digest.hexdigest()


_Blocks = Callable[[], Iterator[tuple[Tensor, Tensor]]]


def _faiss() -> ModuleType:
    check_installed()
    import faiss

    return faiss


def _blocks(gallery: Gallery, space: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Images, int64 [n], and what is looked for of them, in half precision [n, S, D]."""
    for rows in gallery.vectors.parts(_AT_ONCE):
        yield rows.images, vectors_in(space, gallery.bench.model, rows.vision).half().cpu()


def _centres(gallery: Gallery, space: str) -> NDArray[np.float32]:
    """[lists, D], about √vectors of them, from vectors drawn from all images."""
    total = len(gallery) * gallery.vectors.shape[0]
    lists = 2 ** round(np.log2(total) / 2)
    share = min(1.0, _SAMPLE * lists / total)
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _, vectors in _blocks(gallery, space):
        chosen = torch.rand(vectors.shape[:2], generator=generator) < share
        drawn.append(vectors[chosen].float())
    sample = torch.cat(drawn)
    if not sample.isfinite().all():
        raise UserError("the embeddings of the gallery are no numbers: embed it anew.")
    options = dict(niter=_TURNS, spherical=True, seed=1, min_points_per_centroid=1)
    means = _faiss().Kmeans(sample.shape[1], lists, max_points_per_centroid=2 * _SAMPLE, **options)
    means.train(sample.numpy())
    return means.centroids


def _write(path: Path, state: str, blocks: _Blocks, centres: NDArray, bar: tqdm) -> None:
    quantizer = _flat(centres)
    list_of: list[NDArray[np.int32]] = []
    for images, features in blocks():
        _, nearest = quantizer.search(features.flatten(0, 1).float().numpy(), 1)
        list_of.append(nearest[:, 0].astype(np.int32))
        bar.update(len(images))
    sizes = sum(np.bincount(one, minlength=len(centres)) for one in list_of)
    dim = centres.shape[1]
    row = dim + _ID
    starts = np.concatenate([[0], np.cumsum(sizes * row)[:-1]])  # in units of 16 bits
    tensors = {"centres": centres.astype("<f4"), "sizes": sizes.astype("<i8")}
    start = _write_head(path, state, tensors, int(sizes.sum()) * row)
    units = np.memmap(path, "<u2", "r+", offset=start)
    filled = np.zeros(len(centres), dtype=np.int64)
    for (images, features), lists in zip(blocks(), list_of, strict=True):
        order = np.argsort(lists, kind="stable")
        lists = lists[order]
        counts = np.bincount(lists, minlength=len(centres))
        place = np.arange(len(lists)) - (np.cumsum(counts) - counts)[lists] + filled[lists]
        filled += counts
        vectors = features.shape[1]
        numbers = (images[:, None] * vectors + torch.arange(vectors)).flatten().numpy()[order]
        codes = features.flatten(0, 1).numpy()[order].view("<u2")
        units[(starts[lists] + dim * place)[:, None] + np.arange(dim)] = codes
        ids = numbers.astype("<i8").view("<u2").reshape(-1, _ID)
        at = starts[lists] + dim * sizes[lists] + _ID * place
        units[at[:, None] + np.arange(_ID)] = ids
        bar.update(len(images))
    units.flush()


def _write_head(path: Path, state: str, tensors: dict[str, NDArray], units: int) -> int:
    """All of the file but the lists, for which there is room then; where they start, in bytes."""
    kinds, end = {"<f4": "F32", "<i8": "I64"}, 0
    header: dict[str, object] = {"__metadata__": {"format": _FORMAT, "gallery": state}}
    for name, value in tensors.items():
        span = [end, end := end + value.nbytes]
        kind = kinds[value.dtype.str]
        header[name] = {"dtype": kind, "shape": value.shape, "data_offsets": span}
    header["lists"] = {"dtype": "U16", "shape": [units], "data_offsets": [end, end + 2 * units]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.tobytes())
        start = file.tell()
        for done in range(0, 2 * units, 2**24):  # a full disk is seen here, and not in the map
            file.write(bytes(min(2**24, 2 * units - done)))
    return start


def _flat(centres: NDArray) -> object:
    index = _faiss().IndexFlatIP(centres.shape[1])
    index.add(centres)
    return index


class Lists:
    """One space of a gallery's index on disk, mapped: the images of vectors near a text.

    Args:
        gallery: its folder.
        space: see `spaces`.
        state: `state_of` it as it is now.
        shape: images, vectors an image, dimensions.

    Raises:
        FileNotFoundError: it has no index.
        UserError: FAISS is not installed, or the index is broken or of another state.
    """

    def __init__(self, gallery: str | Path, space: str, state: str, shape: tuple[int, int, int]):
        faiss, path, (images, vectors, dim) = _faiss(), index_path(gallery, space), shape
        self.total = images * vectors
        check_there(gallery, [space])
        row = dim + _ID
        try:
            with safe_open(path, framework="np") as stored:
                about = stored.metadata() or {}
                if about.get("format") != _FORMAT:
                    raise UserError("it is of another version")
                if about["gallery"] != state:
                    raise _Stale
                names = ("centres", "sizes", "lists")
                found = {name: stored.get_slice(name).get_shape() for name in names}
                (lists,) = found["sizes"]
                expected = {"centres": [lists, dim], "sizes": [lists], "lists": [self.total * row]}
                if found != expected or not 0 < lists <= self.total:
                    raise UserError("its numbers are of another gallery")
                centres, sizes = stored.get_tensor("centres"), stored.get_tensor("sizes")
            if (centres.dtype, sizes.dtype) != (np.float32, np.int64):
                raise UserError("its numbers are of another kind")
            if not np.isfinite(centres).all() or sizes.min() < 0 or sizes.max() > self.total:
                raise UserError("its lists are no lists")
            if sum(sizes.tolist()) != self.total:
                raise UserError("its lists have more or fewer vectors than the gallery")
        except _Stale:
            raise UserError(
                f"{path} is of the gallery as it was before images came or went: run `mstar "
                "gallery build-index` again, or search without it."
            ) from None
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is broken ({error}): run `mstar gallery build-index` again."
            ) from None
        self._centres = _flat(centres)  # held, as FAISS does not
        kind = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
        self._index = faiss.IndexIVFScalarQuantizer(self._centres, dim, lists, *kind)
        self._lists = faiss.OnDiskInvertedLists()
        self._lists.nlist, self._lists.code_size = lists, 2 * dim
        self._lists.read_only, self._lists.filename = True, str(path)
        end = path.stat().st_size - 2 * self.total * row
        for size in sizes.tolist():
            one = faiss.OnDiskOneList()
            one.size, one.capacity, one.offset = size, size, end
            end += 2 * row * size
            self._lists.lists.push_back(one)
        self._lists.totsize = end
        self._lists.do_mmap()
        self._index.replace_invlists(self._lists)
        self._index.ntotal, self._index.is_trained = self.total, True

    def __call__(self, feature: Tensor, count: int) -> Tensor:
        """See `Nearest`."""
        probes = min(
            self._index.nlist, max(_PROBES, -(-4 * count * self._index.nlist // self.total))
        )
        asked = _faiss().SearchParametersIVF(nprobe=probes)
        _, numbers = self._index.search(feature[None].float().cpu().numpy(), count, params=asked)
        return torch.from_numpy(numbers[numbers >= 0])


class _Stale(Exception):
    """The gallery has changed since."""
