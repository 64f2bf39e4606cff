"""Two runs side by side: two checkpoints, two T, two masks, before and after an intervention."""

import numpy as np

from mstar.errors import UserError
from mstar.explain import looks as explain
from mstar.explain.assignment import explain_words
from mstar.hooks.trace import Trace

from .. import markup, sprites
from ..picture import Picture, text
from ..sprites import Scale, Signed
from ..tables import Block, Table
from .explore import MEAN
from .parts import LONGEST, LONGEST_OF_TILES, joined, number, place_said, regions, times_even


def compare(traces: tuple[Trace, Trace], names: tuple[str, str], image: int = 0) -> Picture:
    """Maps, masks, assignment and scores of two runs on one colour range, with the difference.

    The state: `overlay` (`map`, `salient`, `mask`), `look`, `query_token` (a number, or `mean`).

    Args:
        traces: of the same queries. The photographs may differ: something was covered.

    Raises:
        UserError: the runs are of other queries, or have different grids, so their maps cannot be
            subtracted. (Runs of different tiles can: a map on the coarser canvas is laid on the
            finer one.)
    """
    if traces[0].queries != traces[1].queries:
        raise UserError(
            f"two runs are compared text by text; got {traces[0].queries} and {traces[1].queries}."
        )
    if traces[0].grid != traces[1].grid:
        raise UserError(
            f"two runs are compared token by token; got the grids {traces[0].grid} and "
            f"{traces[1].grid}: resize the images to one size."
        )
    last = max(trace.pve_steps for trace in traces)
    query_tokens = min(map(explain.query_token_count, traces))
    canvas = max(explain.canvas(trace, image) for trace in traces)
    maps = [  # [look, 1 + query_token, h, w]
        _maps(trace, image, last, query_tokens, canvas) for trace in traces
    ]
    flat = np.stack(maps).reshape(-1, *canvas)
    photos = [explain.photo_of(trace, image) for trace in traces]
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    change = (maps[1] - maps[0]).reshape(-1, *canvas)
    signed = Signed.of(change)
    changed = sprites.map_sprite(change, signed)

    looks = [str(t) for t in range(last + 1)]
    by = {"look": looks, "query_token": [MEAN, *map(str, range(query_tokens))]}
    peaks = [f"highest {m.max():.1f} × even" for m in flat]
    moved = [f"{0.5 * np.abs(m).mean():.0%} of the attention moved" for m in change]
    tables = {
        "map": Table([Block({"run": ["0", "1"]} | by)], peaks, sprite),
        "change": Table([Block(by)], moved, changed),
    }
    panels = [
        markup.panel(
            text(names[run]),
            "",
            _run(traces[run], image, run, last, tables["map"]),
        )
        for run in (0, 1)
    ]
    difference = markup.chosen_map(
        "change", tables["change"], _START, "Difference in attention; ", css="mv-change"
    )
    panels.append(
        markup.panel(
            "Difference",
            f"orange = more in “{text(names[1])}”",
            markup.stack(
                markup.photo_layer(grey=True),
                difference,
                _no_look(min(trace.pve_steps for trace in traces), last),
            ),
        )
    )
    overlays = {"map": "Attention", "salient": "Region σ", "mask": "Mask"}
    options = {MEAN: f"mean of all {query_tokens}"} | {
        str(q): f"query token {q}" for q in range(query_tokens)
    }
    body = markup.figure(
        f"{names[0]} against {names[1]}",
        "The same maps of both runs in one colour range, and what changed from the first to the "
        "second; the table says what that did to each text.",
        markup.controls(markup.choices("What lies over the images", "overlay", overlays))
        + markup.controls(
            markup.look_slider(last),
            markup.select("Query token", "query_token", options),
            markup.cover_slider(),
        )
        + f'<div class="mv-plate"><div class="mv-panels">{"".join(panels)}</div>'
        + f"{markup.bar(scale)}{markup.signed_bar(signed)}</div>"
        + _table(traces, names, image),
    )
    longest = LONGEST_OF_TILES if max(map(explain.tile_count, traces)) > 1 else LONGEST
    images = {
        "photo": sprites.photo_uri(photos[0], longest),
        "second": sprites.photo_uri(photos[1], longest),
        "map": sprite.uri,
        "change": changed.uri,
    }
    return Picture(body, images, photos[0].width / photos[0].height, tables)


def _maps(
    trace: Trace, image: int, last: int, query_tokens: int, canvas: tuple[int, int]
) -> np.ndarray:
    """[look, 1 + query_token, rows, columns]; a run that ended earlier has nothing later."""
    maps = np.zeros((last + 1, 1 + query_tokens, *canvas))
    by_tile = (
        explain.cross_attention(trace, image).mean((1, 3)).numpy()
    )  # [look, tile, query_token, …]
    by_tile = np.concatenate([by_tile.mean(2, keepdims=True), by_tile[:, :, :query_tokens]], 2)
    found = times_even(joined(trace, by_tile.swapaxes(1, 2), image))
    cells = [np.arange(n) * was // n for n, was in zip(canvas, found.shape[-2:], strict=True)]
    maps[: trace.pve_steps + 1] = found[..., cells[0][:, None], cells[1]]
    return maps


#: What the markup shows.
_START = {"look": "0", "query_token": MEAN}


def _no_look(pve_steps: int, last: int) -> str:
    """Over a picture at looks that a run of T = `pve_steps` did not take."""
    missing = "|".join(str(t) for t in range(pve_steps + 1, last + 1))
    if not missing:
        return ""
    return f'<span class="mv-none" data-when="look:{missing}" hidden>no such look</span>'


def _run(trace: Trace, image: int, run: int, last: int, table: Table) -> str:
    photo = markup.photo_layer("What this run saw.", grey=True)
    return markup.stack(
        photo.replace("mv-photo", "mv-photo mv-second") if run else photo,
        '<span class="mv-over" data-when="overlay:map">'
        + markup.chosen_map("map", table, _START, "Attention; ", f"run:{run}")
        + "</span>",
        *regions(trace, image, each=False),
        _no_look(trace.pve_steps, last),
    )


def _table(traces: tuple[Trace, Trace], names: tuple[str, str], image: int) -> str:
    if not traces[0].queries:
        return ""
    both = [explain_words(trace, image) for trace in traces]
    lines = []
    for one, two in zip(*both, strict=True):
        change = two.score - one.score
        cells = "".join(
            f'<td role="cell" class="mv-number" data-label="{text(name)}">'
            f"{number(row.score)}<br><span class=mv-quiet>"
            + (
                "none"
                if row.kind == "none"
                else place_said(row.look, row.tile, row.query_token, explain.tile_count(trace))
            )
            + "</span></td>"
            for name, row, trace in zip(names, (one, two), traces, strict=True)
        )
        sign = "▲ +" if change > 0 else "▼ " if change < 0 else ""
        lines.append(
            f'<tr role="row"><td role="cell"><span class="mv-query"><bdi>{text(one.text)}</bdi>'
            f'</span> <span class="mv-quiet">{text(one.style)}</span></td>{cells}'
            f'<td role="cell" class="mv-number" data-label="Change">{sign}{number(change)}</td>'
            "</tr>"
        )
    head = "".join(f'<th role="columnheader">{text(n)}</th>' for n in ("Text", *names, "Change"))
    return (
        '<h4 class="mv-title">Score of the image for each text, and the embedding it has</h4>'
        f'<table class="mv-table" role="table"><thead><tr role="row">{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
