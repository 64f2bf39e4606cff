"""Text around pictures: warnings, headings, facts."""

from collections.abc import Mapping

from .. import markup
from ..picture import Picture, text


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
