"""What several pictures share: units of attention, and a photograph under the maps."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from mstar import explain
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture
from ..tables import Table


def times_even(maps: np.ndarray) -> np.ndarray:
    """Attention that sums to 1 per map [..., grid_h, grid_w] -> multiples of even attention."""
    return maps * (maps.shape[-1] * maps.shape[-2])


def number(value: float) -> str:
    """A cosine or a difference of two, with a true minus."""
    return f"{value:.3f}".replace("-", "−")


def regions(trace: Trace, image: int) -> list[str]:
    """σ's region and the mask of every look, shown by `overlay` and `step`."""
    layers = []
    for summary in explain.summarise_looks(trace, image):
        t = summary.step
        when = f'data-when="overlay:{{}} step:{t}" hidden'
        salient = trace[f"pve.{t}.salient"][image].numpy()
        attended = trace[f"pve.{t}.mask"][image].numpy() < 0.5
        layers += [
            markup.region_layer(salient, when.format("salient"), t, summary.salient),
            markup.mask_layer(attended, when.format("mask"), t, summary.neglected),
        ]
    return layers


def over(
    photo: Image.Image,
    body: str,
    longest: int = 640,
    tables: Mapping[str, Table] | None = None,
    **images: str,
) -> Picture:
    """A picture whose maps lie over a photograph of at most `longest` pixels."""
    uri = sprites.photo_uri(photo, longest)
    return Picture(body, {"photo": uri, **images}, photo.width / photo.height, tables or {})
