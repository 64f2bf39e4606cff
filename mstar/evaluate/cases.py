"""Cases for experiments, with the places of their answers, and single examples to look into."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstar.data.scenes import sandbox
from mstar.errors import MOST_SCENES, UserError, check_range
from mstar.evaluate.grounding import coverage
from mstar.io.images import open_image
from mstar.search.folders import image_files
from mstar.texts import STYLES, Query, parse_queries


@dataclass(frozen=True, eq=False)
class Case:
    """A query, and a scene that answers it."""

    query: Query
    scene: sandbox.Scene

    def covered(self, grid: tuple[int, int]) -> NDArray[np.float64]:
        """Share of each token that the answer's words cover, [grid_h, grid_w]."""
        regions = sandbox.locate(self.scene, *self.query)
        return coverage([one.polygon for one in regions], self.scene.image.shape[:2], grid)


def cases(gallery: sandbox.Gallery, per_style: int) -> list[Case]:
    """Queries of each style at random, each with a scene of its own that answers it.

    At random, so that about half of the words were never seen in training. A scene belongs to one
    case alone; a word may stand in several.

    Args:
        per_style: as far as the gallery has them.

    Raises:
        UserError: less than one of each style.
    """
    check_range("per-style", per_style, 1, MOST_SCENES)
    rng = np.random.default_rng(gallery.seed)
    found: dict[str, list[Case]] = {style: [] for style in STYLES}
    taken: set[int] = set()
    for style in reversed(STYLES):  # few scenes answer the last styles: they choose first
        asked = [query for query in gallery.queries if query.style == style]
        for number in rng.permutation(len(asked)):
            free = [int(n) for n in np.flatnonzero(asked[number].relevant) if int(n) not in taken]
            if free and len(found[style]) < per_style:
                chosen = free[int(rng.integers(len(free)))]
                taken.add(chosen)
                found[style].append(Case(asked[number].asked, gallery.scenes[chosen]))
    return [case for of_style in found.values() for case in of_style]


@dataclass(frozen=True, eq=False)
class Example:
    """An image to look into, with what is asked of it.

    Attributes:
        photo: the image.
        queries: what is asked.
        words: of a rendered scene each word with its polygon in px; of a photograph none are known.
        scene: the rendered scene, or None.
    """

    photo: Image.Image
    queries: list[Query]
    words: list[tuple[str, NDArray[np.float64]]]
    scene: sandbox.Scene | None


def example(
    images: str | Sequence[str] = "", texts: str | Sequence[str] = "", scene: int = 12
) -> Example:
    """A photograph with the texts to look for, or a rendered scene with its labels.

    Args:
        images: path of a photograph, or of a folder with one; none = a rendered scene.
        texts: what to look for, as typed: a list, or commas between; none = the scene's labels.
        scene: which rendered scene of seed 5.

    Raises:
        UserError: a photograph without texts, more than one, or texts that cannot be asked.
        FileNotFoundError: there is no such photograph.
    """
    asked = parse_queries(texts)
    if files := image_files(images):
        if not asked:
            raise UserError("a photograph needs texts: say what to look for in it.")
        if len(files) > 1:
            raise UserError(f"images is one photograph here; got {len(files)}.")
        return Example(open_image(files[0]), asked, [], None)
    drawn = sandbox.scene(5, scene, "test", sandbox.EASY)
    labels = [Query(*label) for label in zip(drawn.texts, drawn.styles, strict=True)]
    places = [(region.word, region.polygon) for region in drawn.regions]
    return Example(Image.fromarray(drawn.image), asked or labels, places, drawn)
