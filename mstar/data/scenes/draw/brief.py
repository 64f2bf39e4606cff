"""What an image is drawn from, whether flat or to look like a photograph."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstar.data.scenes.difficulty import Difficulty
from mstar.data.scenes.draw import fonts
from mstar.data.scenes.lexicon import WordSource

CASES = {"upper": str.upper, "lower": str.lower, "capitalised": str.capitalize}
_UNSEEN_FONT_SHARE = 0.2  # of what is written on an evaluation image


@dataclass(frozen=True)
class Text:
    """Words that are to stand on one line, perhaps on a thing; no words: an empty thing."""

    words: tuple[str, ...]
    thing: str | None = None


@dataclass(frozen=True)
class Brief:
    """What an image is to be, but for its size and the texts that it has to have.

    Attributes:
        rng: the image's own.
        unseen_fonts: whether held-out fonts may be used too.
        source: of the words.
        backgrounds: a folder of photographs for STREET; see `scenes.scene`.
    """

    rng: np.random.Generator
    difficulty: Difficulty
    unseen_fonts: bool
    source: WordSource
    backgrounds: str | Path | None = None

    def font_names(self) -> tuple[str, ...]:
        """The faces that the next text or board may be drawn in."""
        held_out = self.unseen_fonts and self.rng.random() < _UNSEEN_FONT_SHARE
        return fonts.font_names(fonts.UNSEEN if held_out else self.difficulty.font_role)
