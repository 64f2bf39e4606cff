"""Attention layer by layer and head by head."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mstar import explain
from mstar.explain import Evidence
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture
from ..sprites import Scale
from .parts import over, times_even

Source = tuple[str, np.ndarray]  # whose attention, and its maps [layer, head, grid_h, grid_w]


def heads(
    trace: Trace,
    photo: Image.Image,
    evidence: Sequence[Evidence] = (),
    image: int = 0,
    budget: int | None = None,
) -> Picture:
    """A small map per layer and head: mean over queries at each look, and each query's own.

    Args:
        evidence: queries whose embedding's maps are added; of base-size models all others are
            left out, and the caption says so.
        budget: bytes of HTML; choices that do not fit are left out too, the last ones first.
    """
    sources = _head_sources(trace, evidence, image)
    asked = len(sources)
    picture = _heads(trace, photo, sources, asked)
    while budget and len(sources) > 1 and (size := len(picture.markup)) > budget:
        fit = min(int(len(sources) * budget / size), len(sources) - 1)
        sources = sources[: max(fit, 1)]
        picture = _heads(trace, photo, sources, asked)
    return picture


def _head_sources(trace: Trace, evidence: Sequence[Evidence], image: int) -> list[Source]:
    """The choices of `heads`: each look's mean, then each embedding that a text is assigned."""
    attention = times_even(explain.cross_attention(trace, image).numpy())
    sources = [
        (f"mean of all {attention.shape[3]} queries, look {t}", look.mean(2))
        for t, look in enumerate(attention)
    ]
    for (step, query), rows in _by_embedding(evidence).items():
        names = "”, “".join(row.text for row in rows)
        name = f"“{names}”: query {query} at look {step}"
        sources.append((name, attention[step, :, :, query]))
    return sources


def _heads(trace: Trace, photo: Image.Image, sources: Sequence[Source], asked: int) -> Picture:
    maps = np.stack([one for _, one in sources])  # [source, layer, head, grid_h, grid_w]
    scale = Scale.of(maps)
    sprite = sprites.map_sprite(maps.reshape(-1, *maps.shape[-2:]), scale)
    n_heads = maps.shape[2]
    cells = ["<span></span>"] + [f'<span class="mv-head">head {h}</span>' for h in range(n_heads)]
    for row, layer in enumerate(explain.cross_layers(trace)):
        cells.append(f'<span class="mv-head mv-layer">layer {layer}</span>')
        for head in range(n_heads):
            name = f"Layer {layer}, head {head}"
            layers = [
                markup.map_layer(
                    sprite,
                    int(np.ravel_multi_index((source, row, head), maps.shape[:3])),
                    f"{name}, {label}; highest {maps[source, row, head].max():.1f} × even.",
                    f'data-when="source:{source}"' + (" hidden" if source else ""),
                )
                for source, (label, _) in enumerate(sources)
            ]
            stack = markup.stack(markup.photo_layer(grey=True), *layers)
            cells.append(markup.pick(f"{name}.", stack))
    options = {str(i): name for i, (name, _) in enumerate(sources)}
    left_out = _queries(trace) * (trace.steps + 1) - (asked - trace.steps - 1)
    caption = (
        "One small map for each head of each layer that looks at the image, all in one colour "
        "range: a bright spot is a head that looks there and nowhere else; choose whose attention "
        f"to see, and press a map to enlarge it. {left_out} embeddings that no text has are in the "
        "means only."
    )
    if len(sources) < asked:
        caption += f" To keep the page small, {asked - len(sources)} more choices are left out."
    body = markup.figure(
        "Layer by layer, head by head",
        caption,
        markup.controls(
            markup.select("Whose attention", "source", options),
            markup.cover_slider(),
        )
        + '<div class="mv-plate"><div class="mv-scroll"><div class="mv-heads" style="'
        f'grid-template-columns:max-content repeat({n_heads},minmax(56px,220px))">{"".join(cells)}'
        f"</div></div>{markup.bar(scale)}</div>{markup.DIALOG}",
    )
    return over(photo, body, longest=400, map=sprite.uri)


def _queries(trace: Trace) -> int:
    name = next(n for n in trace if n.endswith(".cross_attention") and n.startswith("pve."))
    return trace[name].shape[2]


def _by_embedding(evidence: Sequence[Evidence]) -> dict[tuple[int, int], list[Evidence]]:
    groups: dict[tuple[int, int], list[Evidence]] = {}
    for row in evidence:
        if row.kind != "none":
            groups.setdefault((row.step, row.query), []).append(row)
    return groups
