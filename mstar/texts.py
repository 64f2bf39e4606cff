"""Styles of query, their instructions, and how a text is cleaned. Imports no torch."""

import re
from types import MappingProxyType

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
