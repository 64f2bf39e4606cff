"""What a benchmark is: images, queries, and which image answers which query.

Shapes: Q queries, B images.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from mstar.data.benchmarks.texts import Texts
from mstar.errors import UserError
from mstar.files import said
from mstar.io.decoding import UnreadableImage
from mstar.io.images import open_image
from mstar.texts import Query


class Photographs(Sequence[Image.Image]):
    """Photographs, each opened when asked for; a slice of them opens nothing."""

    def __init__(self, paths: Iterable[Path]):
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int | slice) -> "Image.Image | Photographs":
        if isinstance(index, slice):
            return Photographs(self.paths[index])
        return open_image(self.paths[index])


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A gallery with its queries and the truth about every pair.

    Attributes:
        images: `Photographs`, or uint8 arrays [H, W, 3].
        names: one for each image, unique: where it is in the data set's folder, with `/`.
        queries: in the order of the rows.
        relevant: bool [Q, B].
        areas: float [Q, B], share of the image that the text covers, from 0 to 1. Of a text that
            stands there several times the largest, for an image is found by its most visible one.
            NaN where the image does not match, and everywhere if the set has no positions.
        polygons: for each image every outlined text, read or not, [points, 2] of (x, y) in px of
            the image as it is opened, turned where its EXIF data says so; None where the set does
            not outline all text of an image.
        transcriptions: what each of them says; `###` where nobody could read it.
        left_out: name -> why, of photographs that cannot be read; they are not in `images`.
        unread: texts that the checkpoint cannot read; they are not in `queries`.
    """

    name: str
    images: Sequence[Image.Image] | Sequence[NDArray[np.uint8]]
    names: tuple[str, ...]
    queries: tuple[Query, ...]
    relevant: NDArray[np.bool_]
    areas: NDArray[np.float64]
    polygons: tuple[tuple[NDArray[np.float64], ...], ...] | None = None
    transcriptions: tuple[tuple[str, ...], ...] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def readable(benchmark: Benchmark, strict: bool = False) -> Benchmark:
    """The benchmark without the photographs that cannot be read, nor queries they alone answered.

    Args:
        strict: raise instead.

    Raises:
        UnreadableImage: none can be read, or with `strict` one cannot.
    """
    if strict and benchmark.left_out:
        raise UnreadableImage(next(iter(benchmark.left_out.values())))
    if not isinstance(benchmark.images, Photographs):
        return benchmark
    kept, left_out = [], dict(benchmark.left_out)
    for i in tqdm(range(len(benchmark.images)), desc="photographs", leave=False, delay=1):
        try:
            benchmark.images[i]
            kept.append(i)
        except (UnreadableImage, OSError) as error:
            if strict:
                raise
            why = said(error) if isinstance(error, OSError) else str(error)
            left_out[benchmark.names[i]] = why
    if len(kept) == len(benchmark.images):
        return benchmark
    relevant = benchmark.relevant[:, kept]
    asked = relevant.any(1) | ~benchmark.relevant.any(1)
    if not kept or not asked.any():
        raise none_readable(benchmark.name, left_out)

    def chosen(values: Sequence | None) -> tuple | None:
        return None if values is None else tuple(values[i] for i in kept)

    return replace(
        benchmark,
        images=Photographs(benchmark.images.paths[i] for i in kept),
        names=chosen(benchmark.names),
        queries=tuple(q for q, one in zip(benchmark.queries, asked, strict=True) if one),
        relevant=relevant[asked],
        areas=benchmark.areas[asked][:, kept],
        polygons=chosen(benchmark.polygons),
        transcriptions=chosen(benchmark.transcriptions),
        left_out=left_out,
    )


def none_readable(name: str, left_out: Mapping[str, str]) -> UnreadableImage:
    """What is to be raised where nothing is left."""
    first = next(iter(left_out.values()))
    return UnreadableImage(
        f"no photograph of {name} that answers a query can be read; the first of "
        f"{len(left_out)}: {first}"
    )


def asked_of(benchmark: Benchmark, reads: Callable[[str], bool]) -> Benchmark:
    """The benchmark without the queries that a checkpoint cannot read, unless it can read none.

    Args:
        reads: whether it can read a text.
    """
    known = [reads(query.text) for query in benchmark.queries]
    if all(known) or not any(known):
        return benchmark
    pairs = [*zip(benchmark.queries, known, strict=True)]
    return replace(
        benchmark,
        queries=tuple(query for query, one in pairs if one),
        relevant=benchmark.relevant[known],
        areas=benchmark.areas[known],
        unread=tuple(query.text for query, one in pairs if not one),
    )


def said_of(benchmark: Benchmark) -> list[str]:
    """Lines for a report: how many photographs and queries are left out, and why."""
    lines, count = [], len(benchmark.left_out)
    if count:
        lines.append(f"left out: {count} photograph{'s' * (count > 1)} that cannot be read")
        lines += [f"  {name}: {why}" for name, why in benchmark.left_out.items()]
    if benchmark.unread:
        texts = ", ".join(map(repr, benchmark.unread[:20]))
        more = f" and {len(benchmark.unread) - 20} more" * (len(benchmark.unread) > 20)
        lines.append(f"not asked, as the checkpoint's tokenizer cannot read them: {texts}{more}")
    return lines


def assemble(
    name: str,
    folder: Path,
    texts: Mapping[Path, Texts],
    asked: Iterable[str],
    style: str = "word",
    outlines: Iterable[Iterable[tuple[NDArray[np.float64], str]]] | None = None,
    left_out: Mapping[Path, str] | None = None,
) -> Benchmark:
    """A benchmark from what each photograph shows, in the order of `texts` and of `asked`.

    Args:
        outlines: polygons and what they say of each photograph, in the order of `texts`.
        left_out: photographs that cannot be read, and why.

    Raises:
        UserError: there is nothing to ask.
    """
    lost = {path.relative_to(folder).as_posix(): why for path, why in (left_out or {}).items()}
    if lost and not any(texts.values()):
        raise none_readable(name, lost)
    queries = tuple(Query(text, style) for text in asked)
    if not queries:
        raise UserError(f"no text of {folder} can be asked for: are its annotations empty?")
    rows = {query.text: row for row, query in enumerate(queries)}
    relevant = np.zeros((len(queries), len(texts)), dtype=bool)
    areas = np.full(relevant.shape, np.nan)
    for column, shown in enumerate(texts.values()):
        for text, share in shown.items():
            if text in rows:
                relevant[rows[text], column] = True
                areas[rows[text], column] = share
    names = tuple(path.relative_to(folder).as_posix() for path in texts)
    images = Photographs(texts)
    if outlines is None:
        return Benchmark(name, images, names, queries, relevant, areas, left_out=lost)
    found = [tuple(one) for one in outlines]
    polygons, said = (tuple(tuple(pair[n] for pair in one) for one in found) for n in (0, 1))
    return Benchmark(name, images, names, queries, relevant, areas, polygons, said, lost)
