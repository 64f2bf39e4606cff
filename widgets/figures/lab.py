"""The mask lab: an image to draw on, what to do with the drawing, and what that changed."""

from collections.abc import Mapping

from PIL import Image

from .. import markup, sprites
from ..picture import Picture, text

TOOLS = {"brush": "Brush", "rectangle": "Rectangle", "eraser": "Eraser"}
ACTIONS = {
    "cover": "Cover this region",
    "mask": "Force this mask",
    "stop": "Stop after a look",
    "ablate": "Silence query tokens",
}
_EXPLAINED = {
    "cover": "The drawn tokens are painted over in the colour around them, and the image is looked "
    "at again: what the model now reads is what the covered text had kept it from (the salience "
    "experiment of the paper’s figure 1b).",
    "mask": "The drawn tokens, and no others, count as seen after the first look: the next look is "
    "steered away from them.",
    "stop": "No look after the chosen one: what do the later looks add?",
    "ablate": "The chosen query tokens still look, but nothing they saw is compared with a text.",
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
    height, width = canvas
    drawn_on = markup.stack(
        markup.photo_layer("The image to draw on."),
        f'<svg class="mv-canvas" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        'data-draws="region" role="application" aria-label="Draw on the image with '
        f"the pointer, or move with the arrow keys and press the space bar; {width} by {height} "
        'tokens."><path class="mv-shade" data-drawn d=""/><path class="mv-border" data-drawn d=""/>'
        '<rect data-cursor width="1" height="1" x="0" y="0"/></svg>',
    )
    looks = {str(t): f"look {t}" for t in range(pve_steps + 1)}
    toggles = "".join(
        f'<button type="button" class="mv-choice" data-toggle="ablate" data-value="{q}" '
        f'aria-pressed="false">{q}</button>'
        for q in range(query_tokens)
    )
    drawing = (
        f'<div data-when="action:cover|mask">{markup.choices("Tool", "tool", TOOLS)}'
        f'<p class="mv-name"><small>{width} × {height} tokens; also by arrow keys and space bar'
        "</small></p></div>"
        f'<div data-when="action:stop" hidden>{markup.select("Last look", "stop", looks)}</div>'
        '<div data-when="action:ablate" hidden><p class="mv-name">Queries to silence</p>'
        f'<div class="mv-choices" role="group" aria-label="Queries to silence">{toggles}</div>'
        "</div>"
    )
    explained = "".join(
        f'<p class="mv-name" data-when="action:{name}"{" hidden" * (name != "cover")}>'
        f"{text(_EXPLAINED[name])}</p>"
        for name in ACTIONS
    )
    body = markup.figure(
        "Mask lab",
        "Change one thing and run again: first choose what to change, then press Run; below, the "
        "run before and the run after lie side by side.",
        '<div data-needs="kernel">'
        + markup.controls(markup.choices("What to change", "action", ACTIONS))
        + '</div><div class="mv-plate"><div class="mv-panels mv-wide"><div class="mv-panel">'
        + drawn_on
        + f'</div><div class="mv-panel mv-side">{explained}<div data-needs="kernel">{drawing}'
        '<p class="mv-actions"><button type="button" class="mv-choice mv-go" data-sends="run">Run'
        '</button> <button type="button" class="mv-choice" data-sends="clear">Clear</button></p>'
        '</div><p class="mv-name" data-needs="page">This page has no kernel: it shows the last '
        f'run.</p><p class="mv-said" role="status">{text(said)}</p></div></div></div>',
    )
    images: Mapping[str, str] = {"photo": sprites.photo_uri(photo)}
    tables = {}
    if result is not None:
        body += result.body
        images = {**result.images}
        tables = dict(result.tables)
    return Picture(body, images, photo.width / photo.height, tables)
