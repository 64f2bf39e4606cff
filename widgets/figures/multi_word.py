"""The multi-word view: what a text of several words draws on, carried back to the image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mstar import explain
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale
from ..tables import Block, Table
from .explore import MEAN
from .parts import over, times_even


def multi_word(
    trace: Trace,
    photo: Image.Image,
    texts: Sequence[str],
    styles: Sequence[str],
    image: int = 0,
) -> Picture:
    """Phrase, combined and semantic queries: weights over embeddings, and over the image.

    The state: `text` (which query) and `head` (of the multi-word branch, or `mean`).
    """
    chosen = [n for n, style in enumerate(styles) if style != "word"]
    if not chosen or "mim.aggregator_attention" not in trace:
        return Picture(
            markup.figure(
                "What a text of several words draws on",
                "None of the queries has several words, or the model has no branch for them.",
                "",
            )
        )
    weights = trace["mim.aggregator_attention"][image][chosen].float().numpy()
    carried = np.stack([explain.weighted_map(trace, n, image).numpy() for n in chosen])
    weights, carried = (
        np.concatenate([v.mean(1, keepdims=True), v], 1) for v in (weights, carried)
    )
    maps = times_even(carried)  # [text, 1 + head, grid_h, grid_w]
    flat = maps.reshape(-1, *trace.grid)
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    heads = [MEAN, *(str(h) for h in range(weights.shape[1] - 1))]
    numbers = [str(i) for i in range(len(chosen))]
    block = Block({"text": numbers, "head": heads})
    says = [f"highest {m.max():.1f} × even" for m in flat]
    tables = {"map": Table([block], says, sprite)}
    names = {str(i): f"{texts[n]} ({styles[n]})" for i, n in enumerate(chosen)}
    options = {MEAN: f"mean of all {len(heads) - 1}"} | {h: f"head {h}" for h in heads[1:]}
    charts = "".join(
        _bars(weights[i, h], trace.steps, f"text:{i} head:{name}", first=not i and not h)
        for i in range(len(chosen))
        for h, name in enumerate(heads)
    )
    scores = "".join(
        f'<p class="mv-name" data-when="text:{i}"{" hidden" * (i > 0)}>Score of the image for '
        f"“{text(texts[n])}”: <b>{float(trace['scores'][n, image]):.3f}</b></p>"
        for i, n in enumerate(chosen)
    )
    body = markup.figure(
        "What a text of several words draws on",
        "Such a text attends to all vision embeddings at once (Eq. 4): the bars are its weights, "
        "and the map is the sum of where those embeddings looked, each by its weight.",
        markup.controls(
            markup.select("Text", "text", names),
            markup.select("Head", "head", options),
            markup.cover_slider(),
        )
        + '<div class="mv-plate"><div class="mv-panels mv-wide"><div class="mv-panel">'
        + markup.stack(
            markup.photo_layer("The image as the model was given it.", grey=True),
            markup.chosen_map("map", sprite, says[0], "Carried back; "),
        )
        + f'</div><div class="mv-panel">{scores}{charts}</div></div>{markup.bar(scale)}</div>',
    )
    return over(photo, body, tables=tables, map=sprite.uri)


def _bars(weights: np.ndarray, steps: int, when: str, first: bool) -> str:
    """Weights of all embeddings as bars, look by look."""
    per_step = len(weights) // (steps + 1)
    top = float(weights.max())
    groups = []
    for t, group in enumerate(weights.reshape(steps + 1, per_step)):
        bars = "".join(
            f'<i style="height:{100 * value / top:.0f}%" title="query {q} of look {t}: '
            f'{value:.1%}"></i>'
            for q, value in enumerate(group)
        )
        groups.append(
            f'<div class="mv-bars" role="img" aria-label="Weights at look {t}: '
            + ", ".join(f"query {q} {value:.0%}" for q, value in enumerate(group))
            + f'."><div>{bars}</div><small>look {t}: {group.sum():.0%} of the weight</small></div>'
        )
    hidden = "" if first else " hidden"
    return f'<div data-when="{when}"{hidden}>{"".join(groups)}</div>'
