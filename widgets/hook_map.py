"""The picture of the model with every hook point where it is: `python -m mstar.widgets.hook_map`.

Drawn from the table of hook points (`mstar.hooks.points.POINTS`), so that it cannot say anything
else.
"""

import argparse
from dataclasses import dataclass
from html import escape
from pathlib import Path

from mstar import files
from mstar.hooks.points import POINTS

WHERE = Path(__file__).resolve().parents[1] / "notebooks/hook_points.svg"
_LINE, _HEAD, _PAD = 19, 46, 12
_SIZE = (1010, 610)


@dataclass(frozen=True)
class Box:
    """A part of the model.

    Attributes:
        title, about: what it is, and what it does.
        starts: its hook points are those whose names start so.
        x, y, width: in the picture.
    """

    title: str
    about: str
    starts: tuple[str, ...]
    x: int
    y: int
    width: int

    @property
    def points(self) -> list[str]:
        return [name for name in POINTS if box_of(name) is self]

    @property
    def height(self) -> int:
        return _HEAD + _LINE * len(self.points) + _PAD


BOXES = (
    Box("φ", "image → tokens f₀", ("vision.",), 20, 60, 270),
    Box("ψ looks at the tokens", "query tokens × tokens → E_V, once a look t",
        ("pve.{t}.layers", "pve.{t}.embeddings"), 340, 60, 340),
    Box("projection", "unit vectors to compare", ("pve.{t}.features",), 730, 60, 260),
    Box("C and σ", "attention map → mask of what was seen",
        ("pve.{t}.attention_map", "pve.{t}.salient", "pve.{t}.mask"), 340, 260, 340),
    Box("S", "attention away from what was seen", ("pve.{t}.sas_attention", "pve.{t}.tokens"),
        20, 260, 270),
    Box("ψ reads the text", "instruction and query → E_T", ("text.",), 20, 440, 270),
    Box("MIM", "words by Hungarian, longer texts by attention", ("mim.", "scores"), 340, 440, 340),
    Box("ψ matches", "text and image together, to re-rank", ("itm.",), 730, 440, 260),
)  # fmt: skip

_ARROWS = (
    ((290, 100), (340, 100), "f₀"),
    ((100, 156), (100, 260), "f₀"),
    ((680, 100), (730, 100), "E_V"),
    ((510, 194), (510, 260), "C"),
    ((340, 310), (290, 310), "M"),
    ((200, 260), (360, 194), "f"),
    ((290, 490), (340, 490), "E_T"),
    ((860, 137), (640, 440), ""),
    ((680, 490), (730, 490), "best"),
)


def box_of(name: str) -> Box:
    """The part of the model that a hook point belongs to.

    Raises:
        LookupError: none; say in `BOXES` where the point is.
    """
    for box in BOXES:
        if name.startswith(box.starts):
            return box
    raise LookupError(f"no box holds the hook point {name!r}.")


def draw() -> str:
    """The picture, as SVG; it follows the reader's light or dark theme."""
    width, height = _SIZE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="title">',
        '<title id="title">The model\'s parts as boxes, with the names of their hook points: '
        f"{escape(', '.join(POINTS))}.</title>",
        "<style>svg{--ink:#1b1f24;--quiet:#57606a;--paper:#fff;--box:#f3f5f8;--edge:#8c959f;"
        "--name:#0a4a8f}@media (prefers-color-scheme:dark){svg{--ink:#e6edf3;--quiet:#9da7b1;"
        "--paper:#0d1117;--box:#161b22;--edge:#6e7681;--name:#79b8ff}}"
        "text{font:14px system-ui,sans-serif;fill:var(--ink)}.quiet{fill:var(--quiet);"
        "font-size:13px}.title{font-weight:600;font-size:16px}.name{font:12.5px ui-monospace,"
        "monospace;fill:var(--name)}rect{fill:var(--box);stroke:var(--edge)}"
        ".paper{fill:var(--paper);stroke:none}path{stroke:var(--edge);stroke-width:1.6;fill:none}"
        "</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8" /></marker></defs>',
        f'<rect class="paper" width="{width}" height="{height}"/>',
        '<text x="20" y="32" class="title">Hook points of MSTAR</text>',
        '<text x="20" y="50" class="quiet">{t}: look, 0 to T; {l}: layer. Above the texts what '
        "happens to the image, look by look.</text>",
    ]
    for (x0, y0), (x1, y1), said in _ARROWS:
        parts.append(f'<path d="M{x0} {y0}L{x1} {y1}" marker-end="url(#tip)"/>')
        if said:  # beside the middle of an upright arrow, above that of any other
            right = 10 if x0 == x1 else 0
            parts.append(
                f'<text class="quiet" x="{(x0 + x1) / 2 + right:.0f}" '
                f'y="{(y0 + y1) / 2 + (5 if right else -9):.0f}" '
                f'text-anchor="{"start" if right else "middle"}">{escape(said)}</text>'
            )
    for box in BOXES:
        left = box.x + _PAD
        parts += [
            f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="8"/>',
            f'<text class="title" x="{left}" y="{box.y + 22}">{escape(box.title)}</text>',
            f'<text class="quiet" x="{left}" y="{box.y + 40}">{escape(box.about)}</text>',
        ]
        parts += [
            f'<text class="name" x="{left}" y="{box.y + _HEAD + _LINE * (n + 1) - 5}">'
            f"{escape(name)}</text>"
            for n, name in enumerate(box.points)
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with files.replacing(WHERE) as path:
        path.write_text(draw(), encoding="utf-8")
    print(WHERE)
