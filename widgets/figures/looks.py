"""What the model looked at in each look."""

from mstar.explain import looks as explain
from mstar.hooks.trace import Trace

from .. import markup, sprites
from ..picture import Picture
from ..sprites import Scale
from .parts import joined, over, region_layers, times_even


def looks(trace: Trace, image: int = 0) -> Picture:
    """What the model looked at in each look: map, σ's region and mask, with a slider over t."""
    attention = trace.stack("pve.*.attention_map")[:, image].float().numpy()
    maps = times_even(joined(trace, attention, image))
    scale = Scale.of(maps, quantile=1)
    sprite = sprites.map_sprite(maps, scale)
    panels = [
        markup.panel(
            "The image",
            "",
            markup.stack(markup.photo_layer("The image as the model was given it.")),
        )
    ]
    layers: dict[str, list[str]] = {"map": [], "salient": [], "mask": []}
    for summary in explain.summarise_looks(trace, image):
        t = summary.look
        shown = f'data-when="look:{t}"' + (" hidden" if t else "")
        layers["map"].append(
            markup.map_layer(
                sprite, t, f"Attention map of look {t}; highest {summary.peak:.1f} × even.", shown
            )
        )
        salient, mask = region_layers(trace, image, summary, shown, shown)
        layers["salient"].append(salient)
        layers["mask"].append(mask)
    panels += [
        markup.panel(
            "Attention C<sub>t</sub>",
            "brighter = more attention",
            markup.stack(markup.photo_layer(grey=True), *layers["map"]),
        ),
        markup.panel(
            "Salient region σ(C<sub>t</sub>)",
            "outlined = what this look attended",
            markup.stack(markup.photo_layer(), *layers["salient"]),
        ),
        markup.panel(
            "Mask M<sub>t</sub>",
            "hatched = attended so far, not read from in S",
            markup.stack(markup.photo_layer(), *layers["mask"]),
        ),
    ]
    tiles, tokens = explain.tile_count(trace), attention[0].size
    facts = "".join(_look_facts(s, tokens, tiles) for s in explain.summarise_looks(trace, image))
    body = markup.figure(
        "What it looked at, look by look",
        "Left to right: the image, where the model looked (mean over layers, heads, query tokens), "
        "the part it counts as seen, and what is left for the next look; move the slider through "
        "the looks."
        + f" The maps of all {tiles} tiles are laid back onto the photograph: where tiles overlap, "
        "the mean of what they have there, and of regions what most of them have." * (tiles > 1),
        markup.controls(markup.look_slider(trace.pve_steps), markup.cover_slider())
        + f'<div class="mv-plate"><div class="mv-panels">{"".join(panels)}</div>'
        + f"{markup.bar(scale)}</div>"
        + facts,
    )
    return over(explain.photo_of(trace, image), body, tiles=tiles, map=sprite.uri)


def _look_facts(summary: explain.LookSummary, tokens: int, tiles: int) -> str:
    whole = "the image" if tiles == 1 else f"the tokens of {tiles} tiles"
    rows = {
        "Salient in this look": f"{summary.salient:.0%} of {whole}",
        "Still neglected after it": f"{summary.neglected:.0%} of {whole}",
        "Entropy of the map": f"{summary.entropy:.2f} bits",
        "Attention is as if spread over": f"{summary.spread:.0f} of {tokens} tokens",
    }
    items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in rows.items())
    hidden = " hidden" if summary.look else ""
    return f'<dl class="mv-facts" data-when="look:{summary.look}"{hidden}>{items}</dl>'
