"""What the model looked at in each look."""

from mstar.explain import looks as explain
from mstar.hooks.trace import Trace

from .. import sprites
from ..markup import draw
from ..picture import Picture
from ..sprites import Scale
from .parts import areas_of, joined, look_names, over, times_even


def looks(trace: Trace, image: int = 0) -> Picture:
    """What the model looked at in each look: map, σ's region and mask, with a slider over t."""
    attention = trace.stack("pve.*.attention_map")[:, image].float().numpy()
    maps = times_even(joined(trace, attention, image))
    scale = Scale.of(maps, quantile=1)
    sprite = sprites.map_sprite(maps, scale)
    tiles, shown = explain.tile_count(trace), []
    for summary in explain.summarise_looks(trace, image):
        t, when = summary.look, f"look:{summary.look}"
        salient, mask = areas_of(trace, image, summary, when, when)
        said = f"Attention map of look {t}; highest {summary.peak:.1f} × even."
        facts = _facts(summary, attention[0].size, tiles)
        shown.append(dict(when=when, said=said, salient=salient, mask=mask, facts=facts))
    caption = (
        "Left to right: the image, where the model looked (mean over layers, heads, query tokens), "
        "the part it counts as seen, and what is left for the next look; move the slider through "
        "the looks."
        + f" The maps of all {tiles} tiles are laid back onto the photograph: where tiles overlap, "
        "the mean of what they have there, and of regions what most of them have." * (tiles > 1)
    )
    names = look_names(trace.pve_steps)
    body = draw("looks.html", caption=caption, names=names, sprite=sprite, looks=shown, scale=scale)
    return over(explain.photo_of(trace, image), body, tiles=tiles, map=sprite.uri)


def _facts(summary: explain.LookSummary, tokens: int, tiles: int) -> dict[str, str]:
    whole = "the image" if tiles == 1 else f"the tokens of {tiles} tiles"
    return {
        "Salient in this look": f"{summary.salient:.0%} of {whole}",
        "Still neglected after it": f"{summary.neglected:.0%} of {whole}",
        "Entropy of the map": f"{summary.entropy:.2f} bits",
        "Attention is as if spread over": f"{summary.spread:.0f} of {tokens} tokens",
    }
