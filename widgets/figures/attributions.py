"""Maps of evidence of several methods over one image, a row a query."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mstar.errors import UserError
from mstar.explain.attribution import Attribution

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale
from .parts import over

_NARROW = "grid-template-columns:repeat(auto-fit,minmax(min(140px,45%),1fr))"
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
    for number, by_method in enumerate(found):
        panels = []
        for method, one in by_method.items():
            name, values = NAMES.get(method, method), one.values.numpy()
            y, x = np.unravel_index(np.argmax(values), values.shape)
            said = f"{name}: no evidence for it anywhere"
            if values.max() > 0:
                said = f"{name}: largest at row {y + 1}, column {x + 1} of the grid"
            layers = [markup.photo_layer(grey=True), markup.map_layer(sprite, cell, said)]
            if len(answers):
                outline = sprites.outline(np.asarray(answers[number]))
                lines = "".join(
                    f'<path class="mv-{kind}" d="{outline}"/>' for kind in ("casing", "border")
                )
                place = "The place of the text."
                layers.append(markup.svg_layer(answers[number], place, "", lines))
            panels.append(markup.panel(text(name), "", markup.stack(*layers)))
            cell += 1
        rows.append(
            f'<p class="mv-query"><bdi>{text(one.query.text)}</bdi> <span class="mv-quiet">'
            f"{text(one.query.style)}, score {one.score:.3f}</span></p>"
            f'<div class="mv-plate"><div class="mv-panels" style="{_NARROW}">{"".join(panels)}'
            "</div></div>"
        )
    outlined = " Outlined: the place of the text." if len(answers) else ""
    caption = (
        "Bright = evidence for the text, black = none or against it. Every method has units of its "
        f"own, so each map has its own range, up to its largest value.{outlined}"
    )
    return over(photo, markup.figure(title, caption, "".join(rows)), map=sprite.uri)


def _shown(values: Tensor) -> NDArray[np.floating]:
    """Evidence for, as a share of its largest."""
    positive = values.double().clamp(min=0).numpy()
    return positive / max(float(positive.max()), 1e-12)
