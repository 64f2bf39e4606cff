"""What a benchmark is: images, queries, and which image answers which query.

Shapes: Q queries, B images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstar.data.benchmarks.texts import Texts
from mstar.images import open_image
from mstar.queries import Query


class Photographs(Sequence[Image.Image]):
    """Photographs, each opened when asked for; a slice of them opens nothing."""

    def __init__(self, paths: Iterable[Path]):
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...

    @overload
    def __getitem__(self, index: slice) -> "Photographs": ...

    def __getitem__(self, index: int | slice) -> "Image.Image | Photographs":
        if isinstance(index, slice):
            return Photographs(self.paths[index])
        return open_image(self.paths[index])


Polygons = tuple[NDArray[np.float64], ...]


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
        polygons: for each image every outlined text, read or not, [points, 2] of (x, y) in px;
            None where the set does not outline all text of an image.
        transcriptions: what each of them says; `###` where nobody could read it.
    """

    name: str
    images: Sequence[Image.Image] | Sequence[NDArray[np.uint8]]
    names: tuple[str, ...]
    queries: tuple[Query, ...]
    relevant: NDArray[np.bool_]
    areas: NDArray[np.float64]
    polygons: tuple[Polygons, ...] | None = None
    transcriptions: tuple[tuple[str, ...], ...] | None = None


def assemble(
    name: str,
    folder: Path,
    texts: Mapping[Path, Texts],
    asked: Iterable[str],
    style: str = "word",
    outlines: Iterable[Iterable[tuple[NDArray[np.float64], str]]] | None = None,
) -> Benchmark:
    """A benchmark from what each photograph shows, in the order of `texts` and of `asked`.

    Args:
        outlines: polygons and what they say of each photograph, in the order of `texts`.

    Raises:
        ValueError: there is nothing to ask.
    """
    queries = tuple(Query(text, style) for text in asked)
    if not queries:
        raise ValueError(f"no text of {folder} can be asked for: are its annotations empty?")
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
        return Benchmark(name, images, names, queries, relevant, areas)
    found = [tuple(one) for one in outlines]
    polygons, said = (tuple(tuple(pair[n] for pair in one) for one in found) for n in (0, 1))
    return Benchmark(name, images, names, queries, relevant, areas, polygons, said)
