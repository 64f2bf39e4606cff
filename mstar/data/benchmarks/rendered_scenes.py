"""A sandbox gallery as a benchmark; what draws it is imported when it is asked for."""

import numpy as np

from mstar.data.areas import polygon_area, share
from mstar.data.benchmarks.base import Benchmark


def rendered(difficulty: str = "easy", seed: int = 0, scenes: int = 1000) -> Benchmark:
    """Rendered scenes with queries of all four styles.

    The area of a match is that of all its words together. Arguments and errors are those of
    `judging_gallery`.
    """
    from mstar.data.scenes import sandbox

    gallery = sandbox.judging_gallery(difficulty, seed, scenes)
    relevant = np.array([query.relevant for query in gallery.queries])
    areas = np.full(relevant.shape, np.nan)
    for row, column in zip(*relevant.nonzero(), strict=True):
        query, scene = gallery.queries[row], gallery.scenes[column]
        height, width, _ = scene.image.shape
        matching = sandbox.locate(scene, query.text, query.style)
        covered = sum(polygon_area(region.polygon) for region in matching)
        areas[row, column] = share(covered, height * width)
    return Benchmark(
        f"sandbox {difficulty}, seed {seed}",
        gallery.images,
        tuple(f"{i:04}.png" for i in range(scenes)),
        tuple(query.asked for query in gallery.queries),
        relevant,
        areas,
        tuple(tuple(region.polygon for region in scene.regions) for scene in gallery.scenes),
        tuple(tuple(region.word for region in scene.regions) for scene in gallery.scenes),
    )
