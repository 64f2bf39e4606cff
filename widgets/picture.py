"""Picture: a piece of HTML that needs nothing but itself."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .markup import Markup, draw
from .tables import Table

_HERE = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """The text of a file beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


#: Every picture brings these along; a page of several needs the style once, and the script once
#: after the last.
STYLE = Markup("<style>{}</style>").format(Markup(asset("view.css")))
SCRIPT = draw("script.html", view=Markup(asset("view.js")))


@dataclass(frozen=True)
class Picture:
    """What a function of `mstar.widgets.figures` returns; a notebook shows it as its cell's result.

    The markup is complete without a script, which only connects the controls. It has no element
    ids, so a picture may be shown twice on a page.

    Attributes:
        body: the markup inside the view.
        images: what it is (`photo`, `map`, `thumb`) -> data URI: the background of the elements of
            that class, embedded once however often it is drawn.
        ratio: width over height of the photograph that maps are laid over.
        tables: what its parts show by the state of its controls, see `tables`.
        start: key -> value, the state that it opens with.
    """

    body: Markup
    images: Mapping[str, str] = field(default_factory=dict)
    ratio: float = 1.0
    tables: Mapping[str, Table] = field(default_factory=dict)
    start: Mapping[str, str] = field(default_factory=dict)

    @property
    def markup(self) -> Markup:
        """The view without style and script; a live widget brings its own."""
        # One style rule an image: a browser then reads each URI once. (A variable in every element
        # took half a minute at base size.) Equal pictures share their class, which does no harm.
        scope = "mv-" + hashlib.sha256("".join(self.images.values()).encode()).hexdigest()[:16]
        tables = {name: table.plain() for name, table in self.tables.items()}
        return draw("view.html", picture=self, scope=scope, tables=tables)

    @property
    def html(self) -> Markup:
        """A fragment for any page, with no request to anywhere."""
        return STYLE + self.markup + SCRIPT

    def save(self, path: str | Path, width: int = 900, dpi: int = 150) -> Path:
        """As a file to print or to send: .svg, .pdf or .png; see `still.save`."""
        from .still import save

        return save(self, path, width, dpi)

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Picture({len(self.html) / 1024:.0f} KiB of HTML)"
