"""The mask lab: an image to draw on, what to do with the drawing, and what that changed."""

from collections.abc import Mapping

from PIL import Image

from .. import sprites
from ..markup import draw
from ..picture import Picture

TOOLS = {"brush": "Brush", "rectangle": "Rectangle", "eraser": "Eraser"}
ACTIONS = {
    "cover": "Cover this region",
    "mask": "Force this mask",
    "stop": "Stop after a look",
    "ablate": "Silence query tokens",
}
#: What Run does, after that word.
_EXPLAINED = {
    "cover": "paints the drawn tokens over in the colour around them, and looks at the image "
    "again: what the model now reads is what the covered text had kept it from (the salience "
    "experiment of the paper’s figure 1b).",
    "mask": "lets the drawn tokens, and no others, count as seen after the first look: the next "
    "look is steered away from them.",
    "stop": "makes no look after the chosen one: what do the later looks add?",
    "ablate": "lets the chosen query tokens look, but compares nothing they saw with a text.",
}


def lab(
    photo: Image.Image,
    canvas: tuple[int, int],
    pve_steps: int,
    query_tokens: int,
    said: str,
    result: Picture | None = None,
) -> Picture:
    """Where to draw, and below it the comparison of the last run with the first.

    The state: `tool`, `action`, `region` (the numbers of the drawn tokens), `stop` (a look),
    `ablate` (the numbers of silenced query tokens), and that of `result`.

    Args:
        canvas: (rows, columns) of the tokens to draw, see `mstar.explain.looks.canvas`.
        said: one sentence on what the last run did, or what to do first.
        result: what `compare` drew.
    """
    body = draw(
        "lab.html",
        actions=ACTIONS,
        explanations=_EXPLAINED,
        tools=TOOLS,
        height=canvas[0],
        width=canvas[1],
        looks={str(t): f"look {t}" for t in range(pve_steps + 1)},
        query_tokens=query_tokens,
        said=said,
        result=result,
    )
    images: Mapping[str, str] = {"photo": sprites.photo_uri(photo)}
    tables = {}
    if result is not None:
        images = {**result.images}
        tables = dict(result.tables)
    return Picture(body, images, photo.width / photo.height, tables)
