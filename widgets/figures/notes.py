"""Text around pictures: warnings, headings, facts, tables."""

from collections.abc import Mapping, Sequence

from .. import markup
from ..picture import Picture, text

_LONGEST_NUMBER = len("+10.0 [−10.0, +10.0]") + 4


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


def table(
    title: str, caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]
) -> Picture:
    """A table of texts, the first of each row its name.

    Args:
        heads: a name for every column.
    """
    return framed_table(
        title,
        caption,
        heads,
        "".join(
            f'<tr role="row"><th role="rowheader" class="mv-query">{text(name)}</th>'
            + "".join(
                f'<td role="cell" class="{_kind(value)}" data-label="{text(head)}">'
                f"{text(value)}</td>"
                for head, value in zip(heads[1:], values, strict=True)
            )
            + "</tr>"
            for name, *values in rows
        ),
    )


def _kind(value: object) -> str:
    """Numbers stand on one line, texts may have several."""
    return "mv-number" if len(str(value)) <= _LONGEST_NUMBER else "mv-words"


def framed_table(title: str, caption: str, heads: Sequence[str], lines: str) -> Picture:
    """A table whose rows are markup already."""
    head = "".join(f'<th role="columnheader">{text(name)}</th>' for name in heads)
    return Picture(
        markup.figure(
            title,
            caption,
            f'<table class="mv-table" role="table"><thead><tr role="row">{head}'
            f"</tr></thead><tbody>{lines}</tbody></table>",
        )
    )
