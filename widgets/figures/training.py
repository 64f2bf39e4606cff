"""The training monitor: losses, learning rate and scores as curves, and what the model looks at."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .. import sprites
from ..chart import Chart, Panel, Series, chart, path
from ..sprites import Scale
from ..tables import Block, Table
from .parts import times_even

Points = Sequence[tuple[float, float]]  # (step, value)
_WIDTH, _HEIGHT, _MOST = 300, 90, 300
_SIZE = {"width": _WIDTH, "height": _HEIGHT}


def training(
    curves: Mapping[str, Points],
    said: str,
    photos: Sequence[Image.Image] = (),
    probes: Sequence[tuple[int, np.ndarray]] = (),
) -> Chart:
    """How a training run is going.

    The state: `probe`, which of the recorded moments of `probes` is shown.

    Args:
        curves: name -> points, each drawn on a scale of its own; of many, 300 evenly chosen.
        said: where the run is, in a sentence.
        photos: the probe images.
        probes: (step, maps [photos, grid_h, grid_w] of the first look), oldest first.
    """
    panels = [_panel(name, points) for name, points in curves.items() if len(points)]
    values = {"said": said, "curves": list(map(_curve, panels)), **_SIZE}
    if not probes:
        return Chart(chart("training.html", panels, moments=[], **values), panels=panels)
    maps = times_even(np.stack([maps for _, maps in probes]))  # [moment, photo, h, w]
    flat = maps.reshape(-1, *maps.shape[-2:])
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    sizes = {"probe": len(probes), "photo": len(photos)}
    by = {key: [str(i) for i in range(size)] for key, size in sizes.items()}
    says = [f"highest {m.max():.1f} × even" for m in flat]
    tables, start = {"map": Table([Block(by)], says, sprite)}, {"probe": by["probe"][-1]}
    # all in the shape of the first, as one box holds map and photograph
    ratio = photos[0].width / photos[0].height
    sheet = sprites.sheet([photo.resize(photos[0].size) for photo in photos], side=128, ratio=ratio)
    moments = [f"after {step:,} steps" for step, _ in probes]
    body = chart(
        "training.html", panels, scale=scale, sheet=sheet, photos=len(photos),
        moments=moments, tables=tables, start=start, **values,
    )  # fmt: skip
    images = {"map": sprite.uri, "thumb": sheet.uri}
    return Chart(body, images, ratio, tables, start, panels=panels)


def _panel(name: str, points: Points) -> Panel:
    values = np.array(points, float)
    kept = values[np.unique(np.linspace(0, len(values) - 1, _MOST).astype(int))]
    return Panel(name, [Series(name, *kept.T.tolist(), is_line=True)], "step", "value")


def _curve(panel: Panel) -> dict[str, str]:
    name, (series,) = panel.name, panel.series
    x, y = np.array(series.x), np.array(series.y)
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    span = (high - low) or 1.0
    across = (x - x[0]) / ((x[-1] - x[0]) or 1.0) * _WIDTH
    down = _HEIGHT - (y - low) / span * _HEIGHT
    return {
        "name": name,
        "said": f"{name}: {y[-1]:.4g} at step {x[-1]:,.0f}, between {low:.4g} and {high:.4g}.",
        "path": path(across, down),
        "last": f"{y[-1]:.4g}",
        "range": f"{low:.4g} – {high:.4g}",
        "begin": f"{x[0]:,.0f}",
        "end": f"{x[-1]:,.0f}",
    }
