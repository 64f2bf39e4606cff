"""The training monitor: losses, learning rate and scores as curves, and what the model looks at.

The curves are SVG of our own: a live plotly figure puts 5 MB of script into every notebook.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale
from ..tables import Block, Table
from .parts import times_even

Points = Sequence[tuple[float, float]]  # (step, value)
_WIDTH, _HEIGHT, _MOST = 300, 90, 300


def training(
    curves: Mapping[str, Points],
    said: str,
    photos: Sequence[Image.Image] = (),
    probes: Sequence[tuple[int, np.ndarray]] = (),
) -> Picture:
    """How a training run is going.

    The state: `probe`, which of the recorded moments of `probes` is shown.

    Args:
        curves: name -> points, each drawn on a scale of its own.
        said: where the run is, in a sentence.
        photos: the probe images.
        probes: (step, maps [photos, grid_h, grid_w] of the first look), oldest first.
    """
    panels = "".join(_curve(name, points) for name, points in curves.items() if len(points))
    body = f'<p class="mv-said">{text(said)}</p><div class="mv-curves">{panels}</div>'
    tables, images, ratio = {}, {}, 1.0
    if probes:
        maps = times_even(np.stack([maps for _, maps in probes]))  # [moment, photo, h, w]
        flat = maps.reshape(-1, *maps.shape[-2:])
        scale = Scale.of(flat)
        sprite = sprites.map_sprite(flat, scale)
        moments = [str(i) for i in range(len(probes))]
        cells = [str(i) for i in range(len(photos))]
        says = [f"highest {m.max():.1f} × even" for m in flat]
        tables["map"] = Table([Block({"probe": moments, "photo": cells})], says, sprite)
        # all in the shape of the first, as one box holds map and photograph
        ratio = photos[0].width / photos[0].height
        alike = [photo.resize(photos[0].size) for photo in photos]
        sheet = sprites.sheet(alike, side=128, ratio=ratio)
        images = {"map": sprite.uri, "thumb": sheet.uri}
        names = [f"after {step:,} steps" for step, _ in probes]
        last = {"probe": moments[-1]}
        stacks = "".join(
            markup.panel(
                f"Probe {i}",
                "",
                markup.stack(
                    f'<span class="mv-thumb mv-fill mv-grey" style="{sheet.style(i)}" '
                    'aria-hidden="true"></span>',
                    markup.chosen_map("map", tables["map"], last, f"Probe {i}; ", f"photo:{i}"),
                ),
            )
            for i in range(len(photos))
        )
        body += (
            markup.controls(
                markup.slider("Look at the probes", "probe", names, at=len(names) - 1),
                markup.cover_slider(),
            )
            + f'<div class="mv-plate"><div class="mv-panels">{stacks}</div>'
            + f"{markup.bar(scale)}</div>"
        )
    return Picture(
        markup.figure(
            "Training",
            "Each curve has its own scale; the number is the last value. The probe images were "
            "never trained on: their maps show where the first look goes, and the slider goes "
            "back in time.",
            body,
        ),
        images,
        ratio,
        tables,
        {"probe": str(len(probes) - 1)} if probes else {},
    )


def _curve(name: str, points: Points) -> str:
    values = np.array(points, float)
    kept = values[np.unique(np.linspace(0, len(values) - 1, _MOST).astype(int))]
    x, y = kept[:, 0], kept[:, 1]
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    span = (high - low) or 1.0
    across = (x - x[0]) / ((x[-1] - x[0]) or 1.0) * _WIDTH
    down = _HEIGHT - (y - low) / span * _HEIGHT
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, down, strict=True) if b == b)
    said = f"{name}: {y[-1]:.4g} at step {x[-1]:,.0f}, between {low:.4g} and {high:.4g}."
    return (
        f'<div class="mv-curve"><p><b>{text(name)}</b> <output>{y[-1]:.4g}</output></p>'
        f'<svg role="img" aria-label="{text(said)}" viewBox="0 -4 {_WIDTH} {_HEIGHT + 8}" '
        f'preserveAspectRatio="none"><path d="M{path}"/></svg>'
        f"<p class=mv-quiet><span>step {x[0]:,.0f}</span><span>{low:.4g} – {high:.4g}</span>"
        f"<span>{x[-1]:,.0f}</span></p></div>"
    )
