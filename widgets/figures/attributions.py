"""Maps of evidence of several methods over one image, a row a query."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mstar.errors import UserError
from mstar.explain.attribution import Attribution

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from .parts import Area, over

#: Name of a method -> what it is called.
NAMES = {
    "attention": "raw attention",
    "attention_gradient": "attention × gradient",
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
}


def attributions(
    title: str,
    photo: Image.Image,
    found: Sequence[Mapping[str, Attribution]],
    answers: Sequence[NDArray[np.bool_]] = (),
) -> Picture:
    """Where each method sees evidence for each query.

    Args:
        found: of each query method -> what it found, see `attribution.attribute`.
        answers: of each query the tokens that its text touches, bool [grid_h, grid_w], to be
            outlined; none = no outlines.

    Raises:
        UserError: no query.
    """
    if not found:
        raise UserError("give at least one query with its maps.")
    maps = [_shown(one.values) for by_method in found for one in by_method.values()]
    sprite = sprites.map_sprite(np.stack(maps), Scale(1.0, False))
    rows, cell = [], 0
    for by_method in found:
        drawn = []
        for method, one in by_method.items():
            name, values = NAMES.get(method, method), one.values.numpy()
            y, x = np.unravel_index(np.argmax(values), values.shape)
            said = f"{name}: no evidence for it anywhere"
            if values.max() > 0:
                said = f"{name}: largest at row {y + 1}, column {x + 1} of the grid"
            drawn.append((name, said, cell))
            cell += 1
        rows.append((one.query, one.score, drawn))
    outlined = " Outlined: the place of the text." if len(answers) else ""
    caption = (
        "Bright = evidence for the text, black = none or against it. Every method has units of its "
        f"own, so each map has its own range, up to its largest value.{outlined}"
    )
    body = draw(
        "attributions.html", title=title, caption=caption, rows=rows, sprite=sprite,
        outlines=[_outline(np.asarray(tokens)) for tokens in answers],
    )  # fmt: skip
    return over(photo, body, map=sprite.uri)


def _outline(tokens: NDArray[np.bool_]) -> Area:
    border = sprites.outline(tokens)
    paths = [("casing", border), ("border", border)]
    return Area(*tokens.shape[::-1], "The place of the text.", paths)


def _shown(values: Tensor) -> NDArray[np.floating]:
    """Evidence for, as a share of its largest."""
    positive = values.double().clamp(min=0).numpy()
    return positive / max(float(positive.max()), 1e-12)
