"""SearchExplorer: type a text, see the ranked gallery, open an image in the other views."""

import warnings
from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from mstar.hooks.trace import as_picture
from mstar.io.bench import Bench
from mstar.io.images import opened
from mstar.search.gallery import Gallery, Hit
from mstar.texts import Query, as_query, guess_style
from mstar.tiles import tile_count

from . import figures
from .explorer import PveExplorer
from .inspector import AssignmentInspector, MultiWordView
from .picture import Picture
from .view import View


class Search(View):
    """The search itself; `SearchExplorer` adds the views of the chosen image.

    Traits: `query`, `query_style` (`auto` or a style), `chosen` (index of an image, −1 = none).
    `hits` is the last ranking.
    """

    KEYS = ("query", "query_style", "chosen")

    query = traitlets.Unicode("").tag(sync=True)
    # not `style`: ipywidgets takes that for a widget of its own
    query_style = traitlets.Enum(list(figures.CHOICES), "auto").tag(sync=True)
    chosen = traitlets.Int(-1, min=-1).tag(sync=True)

    def __init__(
        self,
        bench: Bench,
        images: Sequence[Any],
        names: Sequence[str] | None = None,
        top: int = 12,
    ):
        self.images = list(map(as_picture, opened(images)))
        self.gallery = Gallery.embed(bench, self.images)
        self.names = [f"image {i}" for i in range(len(images))] if names is None else list(names)
        self.top, self.hits = top, []
        self.asked_for: Query | None = None  # of the last search
        self.below: Sequence[View] = ()  # what is shown of the chosen image
        super().__init__(figures.search(self.images, self.names))

    def search(self, query: str | None = None, style: str | None = None) -> list[Hit]:
        """Rank the gallery; without arguments for what the traits say."""
        if query is not None:
            self.query = query
        if style is not None:
            self.query_style = style
        try:
            asked = as_query(self.query, self.query_style)
            with warnings.catch_warnings(record=True) as remarks:
                warnings.simplefilter("always", UserWarning)
                self.hits, self.asked_for = self.gallery.search(asked, k=None), asked
        except ValueError as problem:
            self.hits, self.asked_for, self.chosen = [], None, -1
            self.show(figures.search(self.images, self.names, self.query, f"{problem}"))
            return []
        said = f"“{asked.text}”, searched as {asked.style}"
        if self.query_style == "auto" and ":" not in self.query:
            said += f": a guess from {guess_style(asked.text)[1]}"
        said = ". ".join([said, *(str(one.message).rstrip(".") for one in remarks)])
        self.chosen = -1
        found = figures.search(
            self.images,
            self.names,
            self.query,
            f"{said}.",
            self.hits,
            self.top,
            tile_count(self.gallery.tiles),
        )
        self.show(found)
        return self.hits

    def asked(self, name: str) -> None:
        self.search()

    def pictures(self) -> Sequence[Picture]:
        return [view.picture for view in (self, *self.below)]

    @traitlets.validate("chosen")
    def _there(self, proposal: traitlets.Bunch) -> int:
        if proposal.value >= len(self.images):
            raise traitlets.TraitError(
                f"the gallery has images 0 to {len(self.images) - 1}; got {proposal.value}."
            )
        return proposal.value


class SearchExplorer(ipywidgets.VBox):
    """A gallery ranked for what is typed; a click opens the image in the views of its looks.

    >>> explorer = SearchExplorer(bench, images, names)
    >>> explorer.search.search("exit")
    >>> explorer.search.chosen = 12
    """

    def __init__(
        self,
        bench: Bench,
        images: Sequence[Any],
        names: Sequence[str] | None = None,
        top: int = 12,
    ):
        self.bench = bench
        self.search = Search(bench, images, names, top)
        super().__init__(children=[self.search])
        self.search.observe(self._open, "chosen")

    def _open(self, change: traitlets.Bunch) -> None:
        for view in self.search.below:
            view.close()  # else the kernel keeps it, trace and all
        self.search.below = ()
        if change.new >= 0 and self.search.asked_for is not None:
            photo, asked = self.search.images[change.new], self.search.asked_for
            trace = self.bench.trace(photo, asked)
            second = AssignmentInspector if asked.style == "word" else MultiWordView
            self.search.below = PveExplorer(trace), second(trace)
        self.children = [self.search, *self.search.below]
        self.search.renew()

    def _ipython_display_(self, **kwargs: Any) -> None:
        self.search.display(super()._repr_mimebundle_(**kwargs))
