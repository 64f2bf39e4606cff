"""Pieces of markup that pictures are put together from; see `view.js` for what connects them."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from . import sprites
from .picture import text
from .sprites import Scale, Signed, Sprite
from .tables import Table

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


def map_layer(
    sprite: Sprite, index: int, alt: str, attributes: str = "", box: str = "", css: str = ""
) -> str:
    """A map; `box` is CSS of the part of the photograph that it is of."""
    drawn = (
        f'<span class="mv-map{css and " " + css}" role="img" aria-label="{text(alt)}" '
        f'{attributes} style="{sprite.style(index)}"></span>'
    )
    return place(drawn, box, attributes) if box else drawn


def place(layer: str, style: str, attributes: str = "") -> str:
    """A layer that lies on a part of the photograph, with a frame; around it is dark.

    Args:
        style: CSS of the part, see `parts.tile_styles`.
    """
    return f'<span class="mv-place" {attributes} style="{style}">{layer}</span>'


def chosen_map(
    table: str, content: Table, state: Mapping[str, str], name: str, fixed: str = "", css: str = ""
) -> str:
    """A map that follows the state, see `tables`; hidden where the table has none for it.

    Args:
        table, content: the table's name, and the table.
        state: that the markup shows.
        name: what is said before every entry's text.
        fixed: `key:value`, as if the state had it.
        css: a further class.
    """
    key, _, value = fixed.partition(":")
    try:
        at, hidden = content.at({**state, key: value}), ""
    except LookupError:
        at, hidden = 0, "hidden "
    bound = f' data-fixed="{text(fixed)}"' if fixed else ""
    drawn = (
        f'<span class="mv-map {css}" role="img" aria-label="{text(name + content.says[at])}" '
        f'{hidden}data-map="{table}" data-name="{text(name)}"{bound} '
        f'style="{content.sprite.style(at)}"></span>'
    )
    return place(drawn, content.boxes[at], hidden) if content.boxes else drawn


def filled(table: str, first: str, fixed: str = "") -> str:
    """A text that follows the state."""
    bound = f' data-fixed="{text(fixed)}"' if fixed else ""
    return f'<span data-fill="{table}"{bound}>{text(first)}</span>'


def select(label: str, key: str, options: Mapping[str, str], within: str = "") -> str:
    """A menu.

    Args:
        options: value -> what it is called; the first is chosen.
        within: tables, of which the first that has something for the state counts; the menu is
            switched off where it makes no difference to it.
    """
    bound = f' data-within="{within}"' if within else ""
    items = "".join(f'<option value="{text(v)}">{text(n)}</option>' for v, n in options.items())
    return (
        f'<label class="mv-control">{text(label)} <select data-chooses="{key}"{bound}>{items}'
        "</select></label>"
    )


def choices(label: str, key: str, options: Mapping[str, str]) -> str:
    """A row of buttons of which one is pressed, the first."""
    buttons = "".join(
        f'<button type="button" class="mv-choice" data-choose="{key}" data-value="{text(value)}" '
        f'aria-pressed="{"true" if i == 0 else "false"}">{text(name)}</button>'
        for i, (value, name) in enumerate(options.items())
    )
    return f'<div class="mv-choices" role="group" aria-label="{text(label)}">{buttons}</div>'


def play(key: str) -> str:
    return (
        f'<button type="button" class="mv-choice" data-plays="{key}" aria-pressed="false">'
        "▶ Play</button>"
    )


def svg_layer(region: np.ndarray, alt: str, attributes: str, paths: str) -> str:
    height, width = region.shape
    return (
        f'<svg role="img" aria-label="{text(alt)}" {attributes} viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none">{paths}</svg>'
    )


def region_layer(
    region: np.ndarray, attributes: str, t: int, share: float, where: str = "of the image"
) -> str:
    border = sprites.outline(region)
    paths = (
        f'<path class="mv-veil" d="{sprites.filling(~region)}"/>'
        f'<path class="mv-casing" d="{border}"/><path class="mv-border" d="{border}"/>'
    )
    alt = f"Salient region of look {t}: {share:.0%} {where}."
    return svg_layer(region, alt, attributes, paths)


def mask_layer(
    attended: np.ndarray, attributes: str, t: int, share: float, where: str = "of the image"
) -> str:
    paths = (
        f'<path class="mv-shade" d="{sprites.filling(attended)}"/>'
        f'<path class="mv-strokes" d="{sprites.hatching(attended)}"/>'
    )
    alt = f"Mask after look {t}: {share:.0%} {where} is still neglected."
    return svg_layer(attended, alt, attributes, paths)


def pick(name: str, stack: str) -> str:
    return (
        f'<button type="button" class="mv-pick" data-enlarge '
        f'aria-label="{text(name)} Enlarge">{stack}</button>'
    )


def controls(*controls: str) -> str:
    return f'<div class="mv-controls">{"".join(controls)}</div>'


def slider(label: str, key: str, says: Sequence[str], at: int = 0) -> str:
    """A range over 0 … len(says) − 1 that says in words where it stands."""
    last = len(says) - 1
    return (
        f'<label class="mv-control">{text(label)} <input type="range" min="0" max="{last}" '
        f'step="1" value="{at}" data-chooses="{key}" data-says="{text(json.dumps(list(says)))}" '
        f'aria-valuetext="{text(says[at])}"{" disabled" * (last == 0)}>'
        f"<output>{text(says[at])}</output></label>"
    )


def look_slider(last: int) -> str:
    says = [f"look {t} of {last}" + " (the first)" * (t == 0) for t in range(last + 1)]
    return slider("Look t", "look", says)


def cover_slider() -> str:
    return (
        '<label class="mv-control">Strength of the maps <input type="range" min="0" max="100" '
        'step="5" value="65" data-sets="cover"></label>'
    )


def signed_bar(scale: Signed) -> str:
    numbers = "".join(
        f'<s style="left:{left}%">{value:+.3g}</s>'.replace("-", "−")
        for left, value in ((0, -scale.top), (50, 0), (100, scale.top))
    ).replace("+0", "0")
    return (
        '<div class="mv-scale"><div class="mv-bar" role="img" aria-label="Colour scale from '
        f'{-scale.top:.3g}, blue, over 0, dark, to {scale.top:.3g}, orange.">'
        f'<i style="background:{sprites.signed_gradient()}"></i><b>{numbers}</b></div>'
        "<span>difference in attention, × even attention (blue = less, orange = more)</span></div>"
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
