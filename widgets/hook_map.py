"""The picture of the model with every hook point where it is: `python -m mstar.widgets.hook_map`.

Drawn from the table of hook points (`mstar.hooks.points.POINTS`), so that it cannot say anything
else.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from mstar import files
from mstar.hooks.points import POINTS

from . import markup

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
    return markup.draw(
        "hook_points.svg", width=width, height=height, points=POINTS, arrows=_ARROWS, boxes=BOXES,
        pad=_PAD, head=_HEAD, line=_LINE,
    ) + "\n"  # fmt: skip


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with files.replacing(WHERE) as path:
        path.write_text(draw(), encoding="utf-8")
    print(WHERE)
