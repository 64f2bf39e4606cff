"""Queries as a user types them: a text, or `style:text`."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from .processing import STYLES, clean_caption


class Query(NamedTuple):
    """What can be asked of a gallery: a text and its style."""

    text: str
    style: str


def guess_style(text: str) -> tuple[str, str]:
    """The style that a text most likely has, and why: (style, reason)."""
    if re.search(r"['\"‘“].+['\"’”]\s+(on|in|at|of)\b", text):
        return "semantic", "a text in quotation marks, and where it stands"
    if re.search(r"\S\s*[,+]\s*\S", text):
        return "combined", "texts separated by a comma or a plus"
    if len(text.split()) > 1:
        return "phrase", "several words in a row"
    return "word", "a single word"


def parse_query(entry: str) -> Query:
    """One query.

    `exit` is a word, `speed limit 25` a phrase; `combined:1888+celtic` asks for separate texts,
    `semantic:'dream big' on a shirt` for a text on a thing.

    Raises:
        ValueError: an unknown style, or no words.
    """
    named = re.match(r"\s*([A-Za-z]+)\s*:(.*)", entry, re.DOTALL)
    style, text = (named[1].lower(), named[2]) if named else (None, entry)
    text = " ".join(text.split())
    if style is None:
        style = guess_style(text)[0]
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}: expected one of {', '.join(STYLES)}.")
    if style == "combined":
        text = ", ".join(part.strip() for part in re.split("[+,]", text) if part.strip())
    if not clean_caption(text):
        raise ValueError(f"the query {entry!r} has no words.")
    return Query(text, style)


def as_query(query: str | Query, style: str = "auto") -> Query:
    """A query as it is; a text in the style named for it, or with `auto` see `parse_query`."""
    if isinstance(query, Query):
        return query
    return parse_query(query if style == "auto" else f"{style}:{query}")


def quoted(text: str) -> tuple[str, str] | None:
    """A semantic text in two: what is in quotation marks, and what follows; None without marks."""
    found = re.fullmatch(r"\s*['\"‘“](.+)['\"’”]\s*(.*?)\s*", text)
    return (found[1], found[2]) if found else None


def words_of(query: Query) -> tuple[str, ...]:
    """The single words that have to be written in an image, in their order.

    Of a semantic text these are the ones in quotation marks, all of them if it has none. A word
    query is one word, whatever it holds (`10,000`); signs by themselves are none.
    """
    if query.style == "word":
        return (query.text,)
    texts = [query.text]
    if query.style == "semantic" and (parts := quoted(query.text)):
        texts.insert(0, parts[0])
    for text in texts:
        words = tuple(word for word in re.split(r"[\s,]+", text) if clean_caption(word))
        if words:
            return words
    return ()


def parse_queries(entries: Iterable[str]) -> list[Query]:
    """Several queries, each once, in their order; empty entries are passed over."""
    return list(dict.fromkeys(parse_query(entry) for entry in entries if entry.strip()))
