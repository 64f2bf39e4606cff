"""From a trace to a picture: what the model looked at, head by head, word by word.

Each function takes a `Trace` (or plain values of `mstar.explain`) and returns a `Picture`; none
displays anything. Attention is drawn in multiples of even attention: 1 = as if the model looked
everywhere alike. All maps of one picture share one colour range.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from PIL import Image

from mstar import explain
from mstar.explain import Evidence, Rank
from mstar.trace import Trace

from . import markup, sprites
from .picture import Picture, text
from .sprites import Scale, Sprite


def looks(trace: Trace, photo: Image.Image, image: int = 0) -> Picture:
    """What the model looked at in each step: map, σ's region and mask, with a slider over t."""
    maps = _times_even(trace.stack("pve.*.attention_map")[:, image].float().numpy())
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
        shown = f'data-step="{t}"' + (" hidden" if t else "")
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
            "hatched = attended so far, hidden from a next look",
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
    return _over(photo, body, map=sprite.uri)


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
    picture = _heads(trace, photo, sources, len(sources))
    while budget and len(sources) > 1 and (size := len(picture.markup)) > budget:
        fit = min(int(len(sources) * budget / size), len(sources) - 1)
        picture = _heads(trace, photo, sources[: max(fit, 1)], len(sources))
        sources = sources[: max(fit, 1)]
    return picture


def words(
    trace: Trace, photo: Image.Image, evidence: Sequence[Evidence], image: int = 0
) -> Picture:
    """The queries, each with the vision embedding it rests on and where that one looked."""
    found = [row for row in evidence if row.kind != "none"]
    if not found:
        return Picture(
            markup.figure("What each text rests on", "No text was assigned an embedding.", "")
        )
    maps = np.stack([explain.query_map(trace, r.step, r.query, image).numpy() for r in found])
    maps = _times_even(maps)
    scale = Scale.of(maps)
    sprite = sprites.map_sprite(maps, scale)
    parts = []
    assigned = [row for row in evidence if row.kind != "weighted"]
    if assigned:
        caption = (
            "Each word is assigned one vision embedding of its own; the map shows where that one "
            "looked, the margin how far its cosine lies above the next best embedding’s (below "
            "zero: another word took the better one)."
        )
        parts.append(_cards(assigned, found, sprite, maps, ("Cosine", "Margin"), caption))
    weighted = [row for row in evidence if row.kind == "weighted"]
    if weighted:
        caption = (
            "Texts of several words draw on all embeddings at once; shown is the one with the "
            "largest weight, its share of the attention over embeddings, where it looked, and how "
            "far its weight lies above the next."
        )
        parts.append(_cards(weighted, found, sprite, maps, ("Weight", "Lead"), caption))
    body = markup.figure(
        "What each text rests on",
        "",
        markup.controls(markup.cover_slider())
        + "".join(parts)
        + f'<div class="mv-plate mv-legend">{markup.bar(scale)}</div>'
        + markup.DIALOG,
    )
    return _over(photo, body, map=sprite.uri)


def ranks(
    queries: Sequence[tuple[str, str]],
    places: Sequence[Rank],
    thumbnails: Sequence[Image.Image],
    own: int,
    answers: Mapping[tuple[str, str], Collection[int]],
    top: int = 5,
) -> Picture:
    """Where an image stands in a gallery, for each query.

    Args:
        queries: (text, style).
        places: one `Rank` a query.
        thumbnails: every image of the gallery.
        own: index of the image the report is about.
        answers: query -> indices of the images that are known to show it.
        top: thumbnails a query.
    """
    shown: dict[int, int] = {}  # gallery index -> cell of the sheet
    rows = []
    for query, place in zip(queries, places, strict=True):
        best = list(place.order[:top])
        indices = best if own in best else [*best[: top - 1], own]
        items = []
        for index in indices:
            cell = shown.setdefault(index, len(shown))
            rank = place.order.index(index) + 1
            if rank > top:
                items.append('<li class="mv-gap" aria-hidden="true">…</li>')
            items.append((index, cell, rank, index in answers.get(query, ())))
        rows.append((query, place, items))
    sheet = sprites.sheet([thumbnails[index] for index in shown])
    total = places[0].total
    lines = []
    for (query, style), place, items in rows:
        strip = "".join(i if isinstance(i, str) else _thumb(sheet, own, *i) for i in items)
        ordinal = f"{place.rank} of {place.total}"
        lines.append(
            f'<tr role="row"><td role="cell"><span class="mv-query"><bdi>{text(query)}</bdi></span>'
            f'<br><span class="mv-quiet">{text(style)}</span></td>'
            f'<td role="cell" class="mv-number" data-label="Rank"><b>{ordinal}</b><br>'
            f'<span class="mv-quiet">score {place.score:.3f}</span></td>'
            f'<td role="cell"><div class="mv-plate" style="padding:8px">'
            f'<ol class="mv-strip">{strip}</ol></div></td></tr>'
        )
    head = "".join(f'<th role="columnheader">{n}</th>' for n in ("Text", "Rank", f"Best {top}"))
    body = markup.figure(
        "Where it ranks in the sample gallery",
        f"For each text the {total} images of the gallery are sorted by score, best first; this "
        "image is framed and named, and ✓ marks images known to show the text, so good ranking "
        "has its ✓ in front.",
        f'<table class="mv-table" role="table"><thead><tr role="row">{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>",
    )
    return Picture(body, {"thumb": sheet.uri})


def note(title: str, *paragraphs: str) -> Picture:
    """A warning to read first. Backticks in a paragraph set a command."""
    body = "".join(f"<p>{markup.with_code(paragraph)}</p>" for paragraph in paragraphs)
    return Picture(f'<aside class="mv-note" role="note"><b>⚠ {text(title)}</b>{body}</aside>')


def heading(title: str, subtitle: str = "") -> Picture:
    """The start of an image's section."""
    return Picture(
        f'<h2 class="mv-section"><bdi>{text(title)}</bdi></h2>'
        + (f'<p class="mv-caption">{text(subtitle)}</p>' if subtitle else "")
    )


def facts(title: str, values: Mapping[str, object]) -> Picture:
    """Names and values, for where a report came from."""
    rows = "".join(
        f'<tr role="row"><th role="rowheader">{text(name)}</th><td role="cell" class="mv-query" '
        f'style="font-weight:400">{text(value)}</td></tr>'
        for name, value in values.items()
    )
    return Picture(
        f'<h3 class="mv-title">{text(title)}</h3>'
        f'<table class="mv-table" role="table"><tbody>{rows}</tbody></table>'
    )


# Parts of one picture.

Source = tuple[str, np.ndarray]  # whose attention, and its maps [layer, head, grid_h, grid_w]


def _head_sources(trace: Trace, evidence: Sequence[Evidence], image: int) -> list[Source]:
    """The choices of `heads`: each look's mean, then each embedding that a text rests on."""
    sources = [
        (f"mean of all {_queries(trace)} queries, look {t}", (t, None))
        for t in range(trace.steps + 1)
    ]
    for (step, query), rows in _by_embedding(evidence).items():
        names = "”, “".join(row.text for row in rows)
        sources.append((f"“{names}”: query {query} at look {step}", (step, query)))
    return [
        (name, _times_even(explain.head_maps(trace, *which, image).numpy()))
        for name, which in sources
    ]


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
                    f'data-source="{source}"' + (" hidden" if source else ""),
                )
                for source, (label, _) in enumerate(sources)
            ]
            stack = markup.stack(markup.photo_layer(grey=True), *layers)
            cells.append(markup.pick(f"{name}.", stack))
    options = "".join(f'<option value="{i}">{text(n)}</option>' for i, (n, _) in enumerate(sources))
    left_out = _queries(trace) * (trace.steps + 1) - (asked - trace.steps - 1)
    caption = (
        "One small map for each head of each layer that looks at the image, all in one colour "
        "range: a bright spot is a head that looks there and nowhere else; choose whose attention "
        f"to see, and press a map to enlarge it. The {left_out} queries that no text rests on are "
        "in the means only."
    )
    if len(sources) < asked:
        caption += f" To keep the page small, {asked - len(sources)} more choices are left out."
    body = markup.figure(
        "Layer by layer, head by head",
        caption,
        markup.controls(
            '<label class="mv-control">Whose attention '
            f'<select data-chooses="source">{options}</select></label>',
            markup.cover_slider(),
        )
        + '<div class="mv-plate"><div class="mv-scroll"><div class="mv-heads" style="'
        f'grid-template-columns:max-content repeat({n_heads},minmax(56px,220px))">{"".join(cells)}'
        f"</div></div>{markup.bar(scale)}</div>{markup.DIALOG}",
    )
    return _over(photo, body, longest=400, map=sprite.uri)


def _look_facts(summary: explain.LookSummary, tokens: int) -> str:
    rows = {
        "Salient in this look": f"{summary.salient:.0%} of the image",
        "Still neglected after it": f"{summary.neglected:.0%} of the image",
        "Entropy of the map": f"{summary.entropy:.2f} bits",
        "Attention is as if spread over": f"{summary.spread:.0f} of {tokens} tokens",
    }
    items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in rows.items())
    hidden = " hidden" if summary.step else ""
    return f'<dl class="mv-facts" data-step="{summary.step}"{hidden}>{items}</dl>'


def _cards(
    rows: Sequence[Evidence],
    found: Sequence[Evidence],
    sprite: Sprite,
    maps: np.ndarray,
    names: tuple[str, str],
    caption: str,
) -> str:
    cards = []
    for row in rows:
        name = (
            f'<p class="mv-query"><bdi>{text(row.text)}</bdi> '
            f'<span class="mv-quiet">{text(row.style)}</span></p>'
        )
        if row.kind == "none":
            cards.append(
                f'<li>{name}<p class="mv-quiet">None left: the image has fewer vision embeddings '
                "than words.</p></li>"
            )
            continue
        index = found.index(row)
        where = f"“{row.text}” rests on query {row.query} of look {row.step}"
        alt = f"{where}; highest {maps[index].max():.1f} × even."
        picture = markup.pick(
            f"{where}.",
            markup.stack(markup.photo_layer(grey=True), markup.map_layer(sprite, index, alt)),
        )
        meter = f'<i style="width:{100 * min(max(row.value, 0), 1):.0f}%"></i>'
        shown = {
            "Embedding": f"look {row.step}, query {row.query}",
            names[0]: f'{row.value:.3f} <span class="mv-meter" aria-hidden="true">{meter}</span>',
            names[1]: f"{row.margin:+.3f}".replace("-", "−"),
        }
        items = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in shown.items())
        cards.append(
            f'<li><div class="mv-plate">{picture}</div>{name}<dl class="mv-rows">{items}</dl></li>'
        )
    return f'<p class="mv-caption">{text(caption)}</p><ul class="mv-cards">{"".join(cards)}</ul>'


def _thumb(sheet: Sprite, own: int, index: int, cell: int, rank: int, answers: bool) -> str:
    about = f"Rank {rank}" + ", this image" * (index == own) + ", shows the text" * answers
    return (
        f'<li{" class=mv-own" * (index == own)}><span class="mv-thumb" role="img" '
        f'aria-label="{about}." style="{sheet.style(cell)}"></span>'
        f"<b>{rank}{' ✓' * answers}</b>{'this image' * (index == own)}</li>"
    )


# Arithmetic of drawing.


def _times_even(maps: np.ndarray) -> np.ndarray:
    """Attention that sums to 1 per map [..., grid_h, grid_w] -> multiples of even attention."""
    return maps * (maps.shape[-1] * maps.shape[-2])


def _queries(trace: Trace) -> int:
    name = next(n for n in trace if n.endswith(".cross_attention") and n.startswith("pve."))
    return trace[name].shape[2]


def _by_embedding(evidence: Sequence[Evidence]) -> dict[tuple[int, int], list[Evidence]]:
    groups: dict[tuple[int, int], list[Evidence]] = {}
    for row in evidence:
        if row.kind != "none":
            groups.setdefault((row.step, row.query), []).append(row)
    return groups


def _over(photo: Image.Image, body: str, longest: int = 640, **images: str) -> Picture:
    uri = sprites.photo_uri(photo, longest)
    return Picture(body, {"photo": uri, **images}, photo.width / photo.height)
