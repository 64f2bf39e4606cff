"""Text around pictures: warnings, headings, facts, tables."""

from collections.abc import Mapping, Sequence

from .markup import draw
from .picture import Picture

_LONGEST_NUMBER = len("+10.0 [−10.0, +10.0]") + 4


def note(title: str, *paragraphs: str) -> Picture:
    """A warning to read first. Backticks in a paragraph set a command."""
    return Picture(draw("note.html", title=title, paragraphs=paragraphs))


def heading(title: str, subtitle: str = "") -> Picture:
    """The start of an image's section."""
    return Picture(draw("heading.html", title=title, subtitle=subtitle))


def facts(title: str, values: Mapping[str, object]) -> Picture:
    """Names and values, for where a report came from."""
    return Picture(draw("facts.html", title=title, facts=values))


def table(
    title: str, caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]
) -> Picture:
    """A table of texts, the first of each row its name.

    Args:
        heads: a name for every column.
    """
    shown = [
        (name, [(head, v, _kind(v)) for head, v in zip(heads[1:], values, strict=True)])
        for name, *values in rows
    ]
    return Picture(draw("table.html", title=title, caption=caption, heads=heads, rows=shown))


def _kind(value: object) -> str:
    """Numbers stand on one line, texts may have several."""
    return "mv-number" if len(str(value)) <= _LONGEST_NUMBER else "mv-words"
