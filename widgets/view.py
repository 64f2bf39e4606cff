"""View: a picture whose controls are traits, live in Jupyter and still a picture elsewhere."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import display, update_display

from .markup import draw
from .picture import Picture, asset


class View(anywidget.AnyWidget):
    """Base of all widgets here. A subclass names its controls in `KEYS` and has a trait for each.

    In JupyterLab the picture is live: its controls and these traits follow each other. Before it a
    cell has a still picture, of the state that the traits had, where all that needs no kernel still
    works. It gives way to the live one, and is what is left in a notebook that is opened again, an
    exported page and a report.
    """

    KEYS: tuple[str, ...] = ()

    _esm = asset("view.js") + asset("live.js")
    _css = asset("view.css")
    markup = traitlets.Unicode().tag(sync=True)
    bound = traitlets.List(traitlets.Unicode()).tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)  # names the still picture, which the live one hides

    def __init__(self, picture: Picture, **state: Any):
        self._picture, self._is_displayed = picture, False
        super().__init__(
            markup=picture.markup, bound=list(self.KEYS), still=uuid.uuid4().hex, **state
        )
        self.on_msg(self._received)

    @property
    def picture(self) -> Picture:
        """What is shown, in the present state, for any page."""
        state = {key: _said(getattr(self, key)) for key in self.KEYS}
        return replace(self._picture, start={**self._picture.start, **state})

    def save(self, path: str | Path, width: int = 900, dpi: int = 150) -> Path:
        """The present state as .svg, .pdf or .png; see `still.save`."""
        return self.picture.save(path, width, dpi)

    def known(self, proposal: traitlets.Bunch) -> Any:
        """For `traitlets.validate`: a value that the picture has.

        Raises:
            TraitError: it has no such value.
        """
        key = proposal.trait.name
        blocks = [block for table in self._picture.tables.values() for block in table.blocks]
        values = [v for block in blocks for v in (*block.by.get(key, ()), *block.when.get(key, ()))]
        if values and _said(proposal.value) not in values:
            listed = ", ".join(dict.fromkeys(values))
            raise traitlets.TraitError(f"{key} can be {listed}; got {proposal.value}.")
        return proposal.value

    def show(self, picture: Picture) -> None:
        """Replace the picture; the state stays."""
        self._picture = picture
        self.markup = picture.markup
        self.renew()

    def pictures(self) -> Sequence[Picture]:
        """What the still picture consists of."""
        return [self.picture]

    def renew(self) -> None:
        """Bring the still picture, wherever it is displayed, to the present state."""
        if self._is_displayed:
            update_display(self._still(), raw=True, display_id=self.still)

    def display(self, live: Any) -> None:
        """Put the still picture into a cell's outputs, and a widget after it.

        Args:
            live: what the widget's `_repr_mimebundle_` returned.
        """
        display(self._still(), raw=True, display_id=self.still)
        self._is_displayed = True
        data, metadata = live if isinstance(live, tuple) else (live, {})
        display(data, metadata=metadata, raw=True)

    def asked(self, name: str) -> None:
        """A button that needs the kernel was pressed; `name` is its `data-sends`."""

    def _received(self, _: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and "ask" in content:
            self.asked(content["ask"])

    def _still(self) -> dict[str, str]:
        still = draw("without_kernel.html", name=self.still, pictures=self.pictures())
        return {"text/html": still, "text/plain": repr(self)}

    def _ipython_display_(self, **kwargs: Any) -> None:
        self.display(super()._repr_mimebundle_(**kwargs))


class Mean(traitlets.Union):
    """A number, or `mean` (or another name for what is not one of them)."""

    def __init__(self, name: str = "mean") -> None:
        super().__init__([traitlets.Int(min=0), traitlets.Enum([name])], default_value=name)


def _said(value: object) -> str:
    """A trait's value as a control says it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)
