"""What the model looked at in each step."""

from PIL import Image

from mstar import explain
from mstar.trace import Trace

from .. import markup, sprites
from ..picture import Picture
from ..sprites import Scale
from .parts import over, times_even


def looks(trace: Trace, photo: Image.Image, image: int = 0) -> Picture:
    """What the model looked at in each step: map, σ's region and mask, with a slider over t."""
    maps = times_even(trace.stack("pve.*.attention_map")[:, image].float().numpy())
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
        t = summary.step
        shown = f'data-when="step:{t}"' + (" hidden" if t else "")
        layers["map"].append(
            markup.map_layer(
                sprite, t, f"Attention map of look {t}; highest {summary.peak:.1f} × even.", shown
            )
        )
        salient = trace[f"pve.{t}.salient"][image].numpy()
        mask = trace[f"pve.{t}.mask"][image].numpy()
        layers["salient"].append(markup.region_layer(salient, shown, t, summary.salient))
        layers["mask"].append(markup.mask_layer(mask < 0.5, shown, t, summary.neglected))
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
    facts = "".join(_look_facts(s, maps[0].size) for s in explain.summarise_looks(trace, image))
    body = markup.figure(
        "What it looked at, look by look",
        "Left to right: the image, where the model looked (mean over layers, heads and queries), "
        "the part it counts as seen, and what is left for the next look; move the slider through "
        "the looks.",
        markup.controls(markup.step_slider(trace.steps), markup.cover_slider())
        + f'<div class="mv-plate"><div class="mv-panels">{"".join(panels)}</div>'
        + f"{markup.bar(scale)}</div>"
        + facts,
    )
    return over(photo, body, map=sprite.uri)


def _look_facts(summary: explain.LookSummary, tokens: int) -> str:
    rows = {
        "Salient in this look": f"{summary.salient:.0%} of the image",
        "Still neglected after it": f"{summary.neglected:.0%} of the image",
        "Entropy of the map": f"{summary.entropy:.2f} bits",
        "Attention is as if spread over": f"{summary.spread:.0f} of {tokens} tokens",
    }
    items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in rows.items())
    hidden = " hidden" if summary.step else ""
    return f'<dl class="mv-facts" data-when="step:{summary.step}"{hidden}>{items}</dl>'
