"""LookThrough: what a gallery answers to many texts, to be filtered, sorted and paged."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

from markupsafe import Markup

from mstar import files
from mstar.search.gallery import Gallery
from mstar.search.presence import Presence, page_of
from mstar.texts import Query, as_query

from .markup import draw

#: Texts whose scores of the whole gallery are in memory at once.
_AT_ONCE = 64


class LookThrough:
    """A gallery's answers to many texts, with regions and doubts, twenty texts at a time.

    It is a page within the page, as `mstar search --page` writes it; no kernel is needed. Filters:
    wrong answers, small leads, photographs with many words, small text, a name.

    >>> LookThrough(gallery, known={"12.jpg": ["exit", "way out"]})

    Args:
        texts: what is asked; none = all words of `known`.
        known: name of a photograph -> what is written there: answers are then right or wrong.
        presence: of the gallery's checkpoint, `Presence.of(bench.checkpoint)`.
        top: photographs a text.

    Attributes:
        answers: each query with its hits, best first.
        page: the page, some 6 MB at most for a thousand texts: the more photographs it shows, the
            smaller they are, and each is in it once.
    """

    def __init__(
        self,
        gallery: Gallery,
        texts: Sequence[str | Query] = (),
        known: Mapping[str, Collection[str]] | None = None,
        presence: Presence | None = None,
        top: int = 3,
    ):
        if known is not None:
            known = {name: [text.lower() for text in texts] for name, texts in known.items()}
        every = {text for texts in (known or {}).values() for text in texts}
        words = sorted(text for text in every if " " not in text)
        queries = [as_query(text) for text in texts] or [Query(word, "word") for word in words]
        parts = [queries[i : i + _AT_ONCE] for i in range(0, len(queries), _AT_ONCE)]
        hits = chain.from_iterable(gallery.search_many(part, top) for part in parts)
        self.answers = list(zip(queries, hits, strict=True))
        self.page = page_of(gallery, self.answers, presence, known)

    def save(self, path: str | Path) -> Path:
        """The page as a file, .html."""
        with files.replacing(path) as whole:
            whole.write_text(self.page, encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> Markup:
        return draw("look_through.html", page=self.page)
