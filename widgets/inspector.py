"""AssignmentInspector and MultiWordView: which vision embedding answers to which text, live."""

from collections.abc import Callable
from typing import Any

import traitlets

from mstar.hooks.trace import Trace

from . import figures
from .picture import Picture
from .view import Mean, View


class _OfTexts(View):
    """A view of what one run says about its texts; opens where its picture does."""

    figure: Callable[..., Picture]

    def __init__(self, trace: Trace, image: int = 0, **state: Any):
        picture = self.figure(trace, image)
        start = {key: int(value) for key, value in picture.start.items()}
        super().__init__(picture, **{**start, **state})


class AssignmentInspector(_OfTexts):
    """Words against vision embeddings, the Hungarian picks, their margins, and greedy beside them.

    See `figures.assignment`. Traits: `word` (row) and `embedding` (column; look = embedding // Q)
    of the chosen cell.
    """

    KEYS = ("word", "embedding")
    figure = staticmethod(figures.assignment)

    word = traitlets.Int(0, min=0).tag(sync=True)
    embedding = traitlets.Int(0, min=0).tag(sync=True)
    known = traitlets.validate("word", "embedding")(View.known)


class MultiWordView(_OfTexts):
    """What a phrase, combined or semantic text draws on, carried back to the image.

    See `figures.multi_word`. Traits: `text` (which of them) and `head` of the multi-word branch.
    """

    KEYS = ("text", "head")
    figure = staticmethod(figures.multi_word)

    text = traitlets.Int(0, min=0).tag(sync=True)
    head = Mean().tag(sync=True)
    known = traitlets.validate("text", "head")(View.known)
