"""The face of the package: one object that has everything, from `load`."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from mstar.experiments.sweep import Change, Row, sweep
from mstar.explain.attribution import METHODS, Attribution, attribute
from mstar.io import embedded
from mstar.io.bench import Bench
from mstar.io.checkpoints import default_device, load_checkpoint
from mstar.io.images import listed
from mstar.search.folders import image_files
from mstar.search.gallery import Gallery
from mstar.texts import Texts, as_queries


class Workbench(Bench):
    """A checkpoint with all that one can ask of it.

    >>> bench = mstar.load()
    >>> trace = bench.trace("shop.jpg", ["exit", "phrase:way out"])
    >>> bench.scores(photographs, "exit")  # [1, images]
    >>> bench.gallery(photographs).search("exit")

    Images are paths, PIL images or uint8 arrays [H, W, 3], one or several. A str is one text as the
    command line reads it (`exit`, `phrase:way out`), a `Query` is one too, and a list is several.

    Attributes:
        checkpoint: the folder it was loaded from.
    """

    def __init__(self, bench: Bench, checkpoint: Path | None = None):
        super().__init__(bench.model, bench.processor)
        self.checkpoint = checkpoint

    def __repr__(self) -> str:
        config, where = self.config, self.checkpoint or "no folder"
        return (
            f"Workbench({where}, T = {config.pve_steps}, Q = {config.num_query_tokens}, "
            f"tiles {tuple(config.tiles)}, on {self.device})"
        )

    def gallery(
        self,
        images: Any,
        names: Sequence[str] | None = None,
        pve_steps: int | None = None,
        tiles: Sequence[int] | None = None,
    ) -> Gallery:
        """Images embedded once, to be searched; see `Gallery.embed`.

        Args:
            images: several, one, or a folder of them, which are called by their paths in it. One
                that is to be embedded once and for all is a matter of `mstar index` and
                `Gallery.open`.

        Raises:
            FileNotFoundError: a folder without an image.
        """
        if isinstance(images, str | PathLike) and Path(images).is_dir():
            folder, images = Path(images), image_files(images)
            names = names or [path.relative_to(folder).as_posix() for path in images]
        return Gallery.embed(self, listed(images), names, pve_steps, tiles=tiles)

    def attribute(
        self, image: Any, texts: Texts, methods: Sequence[str] = tuple(METHODS), **options: Any
    ) -> list[dict[str, Attribution]]:
        """Where in an image the evidence for each text is; see `attribution.attribute`."""
        return attribute(self, image, texts, methods, **options)

    def sweep(
        self, images: Any, texts: Texts, changes: Sequence[Change], pve_steps: int | None = None
    ) -> list[Row]:
        """Every score again with each change by itself; see `sweep`."""
        return sweep(self, listed(images), as_queries(texts), changes, pve_steps)


def load(
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Workbench:
    """A checkpoint, ready to be looked into.

    Args:
        checkpoint: its folder; None or "" = the embedded one.
        device: None = a GPU where there is one.
        dtype: what it computes in. `torch.bfloat16` is 1.7 times as fast at the paper's size where
            the processor has units for it (`python -m tests.measure_speed --only 2`), else slower.

    Raises:
        UserError: no checkpoint there, or one that is broken; one sentence says which.
    """
    folder = embedded.checkpoint(checkpoint)
    return Workbench(load_checkpoint(folder, device or default_device(), dtype), folder)
