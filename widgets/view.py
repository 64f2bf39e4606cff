"""View: a picture whose controls are traits, live in Jupyter and still a picture elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from .picture import Picture, asset


class View(anywidget.AnyWidget):
    """Base of all widgets here. A subclass names its controls in `KEYS` and has a trait for each.

    In JupyterLab the picture is live: its controls and these traits follow each other. Anywhere
    else (an exported page, a report) `text/html` carries the same picture in the state that the
    traits had, where all that needs no kernel still works.
    """

    KEYS: tuple[str, ...] = ()

    _esm = asset("view.js") + asset("live.js")
    _css = asset("view.css")
    markup = traitlets.Unicode().tag(sync=True)
    bound = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, picture: Picture, **state: Any):
        self._picture = picture
        super().__init__(markup=picture.markup, bound=list(self.KEYS), **state)
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

    def asked(self, name: str) -> None:
        """A button that needs the kernel was pressed; `name` is its `data-sends`."""

    def _received(self, _: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and "ask" in content:
            self.asked(content["ask"])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": self.picture.html}, metadata


class Mean(traitlets.Union):
    """A number, or `mean` (or another name for what is not one of them)."""

    def __init__(self, name: str = "mean") -> None:
        super().__init__([traitlets.Int(min=0), traitlets.Enum([name])], default_value=name)


def _said(value: object) -> str:
    """A trait's value as a control says it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)
