"""One small run that all widget tests look at."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor, Query, Trace
from mstar.data.scenes import sandbox
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer

QUERIES = [
    Query("exit", "word"),
    Query("<b>way</b>", "word"),
    Query("open", "word"),
    Query("one way", "phrase"),
    Query("exit, open", "combined"),
]


@dataclass
class Recorded:
    bench: Bench
    photo: Image.Image
    queries: list[Query]
    words: list
    trace: Trace


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """A tiny random model (T = 1) on a rendered image with words, a phrase and a hostile query."""
    scene = sandbox.scene(1, 0, "test", sandbox.EASY)
    words = [(region.word, region.polygon) for region in scene.regions]
    return _record(Image.fromarray(scene.image), words)


@pytest.fixture(scope="session")
def tiled() -> Recorded:
    """The same of a photograph of 16 : 9 in five tiles: the whole and 2 × 2 parts."""
    scene = sandbox.scene(1, 0, "test", sandbox.EASY)
    size = np.array([192, 108]) / scene.image.shape[1::-1]
    words = [(region.word, np.asarray(region.polygon) * size) for region in scene.regions]
    return _record(Image.fromarray(scene.image).resize((192, 108)), words, (1, 2))


def _record(photo: Image.Image, words: list, tiles: tuple[int, ...] = (1,)) -> Recorded:
    torch.manual_seed(0)
    config = MstarConfig.tiny(pve_steps=1)
    processor = MstarProcessor.for_config(config, character_tokenizer())
    processor.tiles = tiles
    bench = Bench(MstarModel(config).eval(), processor)
    with pytest.warns(UserWarning, match="does not know < >"):
        trace = bench.trace(photo, QUERIES)
    return Recorded(bench, photo, QUERIES, words, trace)


@pytest.fixture
def displayed(monkeypatch):
    """`displayed(view)` -> what a cell that ends with it has: the bundles of its outputs."""

    def outputs(view) -> list[dict]:
        shown = []
        monkeypatch.setattr("mstar.widgets.view.display", lambda data, **_: shown.append(data))
        view._ipython_display_()
        return shown

    return outputs
