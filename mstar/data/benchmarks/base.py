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
from mstar.processing import open_image
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
    """

    name: str
    images: Sequence[Image.Image] | Sequence[NDArray[np.uint8]]
    names: tuple[str, ...]
    queries: tuple[Query, ...]
    relevant: NDArray[np.bool_]
    areas: NDArray[np.float64]


def assemble(
    name: str,
    folder: Path,
    texts: Mapping[Path, Texts],
    asked: Iterable[str],
    style: str = "word",
) -> Benchmark:
    """A benchmark from what each photograph shows, in the order of `texts` and of `asked`.

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
    return Benchmark(name, Photographs(texts), names, queries, relevant, areas)
