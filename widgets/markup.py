"""Pieces of markup that pictures are put together from; see `view.js` for what connects them."""

import json

import numpy as np

from . import sprites
from .picture import text
from .sprites import Scale, Sprite

#: Where a button's picture is shown large; one a view.
DIALOG = (
    '<dialog><div class="mv-stage"></div><p class="mv-says"></p>'
    '<button type="button" data-close>Close</button></dialog>'
)


def figure(title: str, caption: str, content: str) -> str:
    described = f'<p class="mv-caption">{text(caption)}</p>' if caption else ""
    return (
        f'<figure><figcaption><h3 class="mv-title">{text(title)}</h3>{described}</figcaption>'
        f"{content}</figure>"
    )


def panel(name: str, hint: str, content: str) -> str:
    return (
        f'<div class="mv-panel"><p class="mv-name">{name}<br><small>{hint}</small></p>'
        f"{content}</div>"
    )


def stack(*layers: str) -> str:
    return f'<span class="mv-stack">{"".join(layers)}</span>'


def photo_layer(alt: str = "", grey: bool = False) -> str:
    named = f'role="img" aria-label="{text(alt)}"' if alt else 'aria-hidden="true"'
    return f'<span class="mv-photo{" mv-grey" * grey}" {named}></span>'


def map_layer(sprite: Sprite, index: int, alt: str, attributes: str = "") -> str:
    return (
        f'<span class="mv-map" role="img" aria-label="{text(alt)}" {attributes} '
        f'style="{sprite.style(index)}"></span>'
    )


def svg_layer(region: np.ndarray, alt: str, attributes: str, paths: str) -> str:
    height, width = region.shape
    return (
        f'<svg role="img" aria-label="{text(alt)}" {attributes} viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none">{paths}</svg>'
    )


def region_layer(region: np.ndarray, attributes: str, t: int, share: float) -> str:
    border = sprites.outline(region)
    paths = (
        f'<path class="mv-veil" d="{sprites.filling(~region)}"/>'
        f'<path class="mv-casing" d="{border}"/><path class="mv-border" d="{border}"/>'
    )
    alt = f"Salient region of look {t}: {share:.0%} of the image."
    return svg_layer(region, alt, attributes, paths)


def mask_layer(attended: np.ndarray, attributes: str, t: int, share: float) -> str:
    paths = (
        f'<path class="mv-shade" d="{sprites.filling(attended)}"/>'
        f'<path class="mv-strokes" d="{sprites.hatching(attended)}"/>'
    )
    alt = f"Mask after look {t}: {share:.0%} of the image is still neglected."
    return svg_layer(attended, alt, attributes, paths)


def pick(name: str, stack: str) -> str:
    return (
        f'<button type="button" class="mv-pick" data-enlarge '
        f'aria-label="{text(name)} Enlarge">{stack}</button>'
    )


def controls(*controls: str) -> str:
    return f'<div class="mv-controls">{"".join(controls)}</div>'


def step_slider(last: int) -> str:
    says = [f"look {t} of {last}" + " (the first)" * (t == 0) for t in range(last + 1)]
    return (
        '<label class="mv-control">Step t <input type="range" min="0" '
        f'max="{last}" step="1" value="0" data-chooses="step" data-says="{text(json.dumps(says))}" '
        f'aria-valuetext="{says[0]}"{" disabled" * (last == 0)}><output>{says[0]}</output></label>'
    )


def cover_slider() -> str:
    return (
        '<label class="mv-control">Strength of the maps <input type="range" min="0" max="100" '
        'step="5" value="65" data-sets="cover"></label>'
    )


def bar(scale: Scale) -> str:
    *ticks, (_, top) = scale.ticks()
    numbers = [f'<s style="left:{100 * at:.3g}%">{value:.2g}</s>' for at, value in ticks]
    numbers.append(f'<s style="left:100%">{"≥ " * scale.clipped}{top:.3g}</s>')
    return (
        '<div class="mv-scale"><div class="mv-bar" role="img" '
        f'aria-label="Colour scale from 0, dark, to {top:.3g} times even attention, bright.">'
        f'<i style="background:{sprites.gradient()}"></i><b>{"".join(numbers)}</b></div>'
        "<span>attention of an image token, × even attention "
        "(1 = looks everywhere alike; square-root scale)</span></div>"
    )


def with_code(paragraph: str) -> str:
    parts = text(paragraph).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
