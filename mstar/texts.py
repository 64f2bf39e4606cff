"""Texts as people ask them: styles, the grammar of a query, instructions, captions.

A query is a text and its style, typed as a text alone or as `style:text`. Imports no torch.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from mstar.errors import UserError

STYLES = ("word", "phrase", "combined", "semantic")

#: How a query of each style is put to ψ. The paper does not print its instructions: these are
#: ours. The released scripts use one prompt for everything (official.md 2). `none` is for
#: ablations.
INSTRUCTIONS = MappingProxyType(
    {
        "paper": MappingProxyType({style: style + ": {}" for style in STYLES}),
        "released": MappingProxyType(dict.fromkeys(STYLES, "a photo of '{}'")),
        "none": MappingProxyType(dict.fromkeys(STYLES, "{}")),
    }
)


def clean_caption(text: str, max_words: int = 50) -> str:
    """Lower-case, some punctuation to spaces, at most `max_words` words (official.md 2)."""
    text = re.sub(r"[.!\"()*#:;~]", " ", text.lower())
    text = re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ")
    return " ".join(text.split(" ")[:max_words])


def composed(text: str) -> str:
    """A text with each letter and its accents as one character (NFC), as most people write it."""
    return unicodedata.normalize("NFC", text)


class Query(NamedTuple):
    """What can be asked of a gallery: a text and its style."""

    text: str
    style: str


def guess_style(text: str) -> tuple[str, str]:
    """The style that a text most likely has, and why: (style, reason)."""
    opened = re.search("['\"‘“]", text)
    # from the first mark on, once: to try every mark would be quadratic in a text of marks
    if opened and re.search(r"['\"’”]\s+(?:on|in|at|of)\b", text[opened.end() + 1 :]):
        return "semantic", "a text in quotation marks, and where it stands"
    number = re.fullmatch(r"\d+(,\d{3})+(\.\d+)?", text)
    if not number and re.search(r"[^\s,+]\s*[,+]\s*[^\s,+]", text):
        return "combined", "texts separated by a comma or a plus"
    if len(text.split()) > 1:
        return "phrase", "several words in a row"
    return "word", "a single word"


def parse_query(entry: str) -> Query:
    """One query.

    `exit` is a word, `speed limit 25` a phrase; `combined:1888+celtic` asks for separate texts,
    `semantic:'dream big' on a shirt` for a text on a thing, in whatever quotation marks.

    Raises:
        UserError: an unknown style, or no words.
    """
    named = re.match(r"\s*([A-Za-z]+)\s*:(.*)", entry, re.DOTALL)
    style, text = (named[1].lower(), named[2]) if named else (None, entry)
    text = composed(" ".join(text.split()))
    if style is None:
        style = guess_style(text)[0]
    if style not in STYLES:
        raise UserError(
            f"unknown style {style!r}: expected one of {', '.join(STYLES)}; before a text that has "
            f"a colon itself write its style, as in word:{entry.strip()}."
        )
    if style == "combined":
        text = ", ".join(part.strip() for part in re.split("[+,]", text) if part.strip())
    if style == "semantic" and (parts := quoted(text)):
        text = f"'{parts.text}' {parts.rest}".rstrip()
    if not clean_caption(text):
        raise UserError(f"the query {entry!r} has no words.")
    return Query(text, style)


#: One text or several: a str, a `Query`, or a sequence of them.
Texts: TypeAlias = str | Query | Sequence[str | Query]


def as_queries(texts: Texts) -> list[Query]:
    """One str or `Query` is one text, anything else several; a str is read by `parse_query`.

    Raises:
        UserError: no text at all, or see `parse_query`.
    """
    alone = isinstance(texts, (str, Query))
    queries = [as_query(text) for text in ([texts] if alone else texts)]
    if not queries:
        raise UserError("give at least one text.")
    return queries


def as_query(query: str | Query, style: str = "auto") -> Query:
    """A query in NFC; a text in the style named for it, or with `auto` see `parse_query`."""
    if isinstance(query, Query):
        return query._replace(text=composed(query.text))
    check_style(style)
    return parse_query(query if style == "auto" else f"{style}:{query}")


def check_style(style: str) -> None:
    """Raises UserError unless `style` is one of `STYLES`, or `auto`."""
    if style not in ("auto", *STYLES):
        raise UserError(f"unknown style {style!r}: expected auto or one of {', '.join(STYLES)}.")


class Quoted(NamedTuple):
    """A semantic text: what is in quotation marks, the marks, and what follows."""

    opening: str
    text: str
    closing: str
    rest: str

    def __str__(self) -> str:
        return f"{self.opening}{self.text}{self.closing} {self.rest}".rstrip()


def quoted(text: str) -> Quoted | None:
    """A semantic text in its parts; None without quotation marks.

    The first closing mark at the end of a word counts: `'it's open' on the baker's door`.
    """
    found = re.fullmatch(
        r"(?:(['‘])(.+?)(['’])|([\"“])(.+?)([\"”]))(?!\w)(.*)", text.strip(), re.DOTALL
    )
    if not found:
        return None
    opening, inside, closing = found.groups()[:3] if found[1] else found.groups()[3:6]
    return Quoted(opening, inside, closing, found[7].strip())


def words_of(query: Query) -> tuple[str, ...]:
    """The single words that have to be written in an image, in their order.

    Of a semantic text these are the ones in quotation marks, all of them if it has none. A word
    query keeps its commas (`10,000`), and has several words if somebody put a space into it. Signs
    by themselves are none.
    """
    between = r"\s+" if query.style == "word" else r"[\s,]+"
    texts = [query.text]
    if query.style == "semantic" and (parts := quoted(query.text)):
        texts.insert(0, parts.text)
    for text in texts:
        words = tuple(word for word in re.split(between, text) if clean_caption(word))
        if words:
            return words
    return ()


def parse_queries(entries: str | Iterable[str]) -> list[Query]:
    """Several queries, each once, in their order; empty entries are passed over.

    Args:
        entries: texts as typed, of which each may be several, with commas between them.
    """
    entries = [entries] if isinstance(entries, str) else entries
    typed = [one for entry in entries for one in entry.split(",")]
    return list(dict.fromkeys(parse_query(one) for one in typed if one.strip()))
