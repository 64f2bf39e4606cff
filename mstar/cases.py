"""Cases for experiments: a query, a rendered scene that answers it, and the place of the answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .data import sandbox
from .grounding import coverage
from .processing import STYLES
from .queries import Query


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
    """The first queries of each style, each with the first scene that answers it."""
    found = []
    for style in STYLES:
        asked = [query for query in gallery.queries if query.style == style][:per_style]
        for one in asked:
            first = int(np.flatnonzero(one.relevant)[0])
            found.append(Case(one.asked, gallery.scenes[first]))
    return found
