"""Picture: a piece of HTML that needs nothing but itself."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path

from .tables import Table, script

_HERE = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """The text of a file beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


#: Every picture brings these along; a page of several needs the style once, and the script once
#: after the last.
STYLE = f"<style>{asset('view.css')}</style>"
SCRIPT = (
    f"<script>(() => {{{asset('view.js')}"
    "for (const root of document.querySelectorAll('.mstar-view:not([data-live])')) {"
    "mstarView(root);}})();</script>"
)


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

    body: str
    images: Mapping[str, str] = field(default_factory=dict)
    ratio: float = 1.0
    tables: Mapping[str, Table] = field(default_factory=dict)
    start: Mapping[str, str] = field(default_factory=dict)

    @property
    def markup(self) -> str:
        """The view without style and script; a live widget brings its own."""
        # One style rule an image: a browser then reads each URI once. (A variable in every element
        # took half a minute at base size.) Equal pictures share their class, which does no harm.
        scope = "mv-" + hashlib.sha256("".join(self.images.values()).encode()).hexdigest()[:16]
        rules = "".join(
            f".{scope} .mv-{name}{{background-image:url({uri})}}"
            for name, uri in self.images.items()
        )
        begin = f' data-start="{text(json.dumps(dict(self.start)))}"' if self.start else ""
        return (
            f'<div class="mstar-view {scope}" style="--ratio:{self.ratio:.5g}"{begin}>'
            f"<style>{rules}</style>{self.body}{script(self.tables) if self.tables else ''}</div>"
        )

    @property
    def html(self) -> str:
        """A fragment for any page, with no request to anywhere."""
        return STYLE + self.markup + SCRIPT

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Picture({len(self.html) / 1024:.0f} KiB of HTML)"


def text(value: object) -> str:
    """Any text from outside, safe in an element or a quoted attribute."""
    return escape(str(value), quote=True)
