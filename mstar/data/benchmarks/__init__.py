"""The benchmarks of scene text retrieval, each in the layout that its publishers gave it.

Which words are asked follows the released code, where that decides the numbers: texts in lower
case without . # ! & $, and where only the most frequent words are asked, those longer than two
characters that most images show. Its loaders take equally frequent words in the order in which the
system lists a folder; here they come in alphabetical order, so that a list of queries is one list.
Files that belong to no data set are passed over. Every loader raises FileNotFoundError where a
folder, a file, an image that is named, an image's words or the image of words is not there, and
UserError where a file is not as its docstring shows, or a name or link leads out of the folder.

In reading order: `base` (what a loader returns), `places` (files and folders), `texts` (what may
be asked), then the loaders by what the annotations look like: `rectangles`, `by_image`, `by_query`
with `pickled`, and `rendered_scenes`. None of it knows a model: an evaluation asks it, not the
other way round.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mstar.data.benchmarks.base import Benchmark, Photographs, asked_of, readable, said_of
from mstar.data.benchmarks.by_image import ctr, ctw1500, icdar2015, total_text
from mstar.data.benchmarks.by_query import csvtr, iiit_str, mqtr, pstr
from mstar.data.benchmarks.rectangles import icdar2003, svt
from mstar.data.benchmarks.rendered_scenes import rendered
from mstar.errors import UserError
from mstar.texts import STYLES

__all__ = [
    "LOADERS",
    "RENDERED",
    "Benchmark",
    "Photographs",
    "asked_of",
    "load",
    "readable",
    "rendered",
    "said_of",
]

LOADERS: Mapping[str, Callable[[str | Path], Benchmark]] = MappingProxyType(
    {
        "svt": svt,
        "iiit-str": iiit_str,
        "ctr": ctr,
        "total-text": total_text,
        "ctw1500": ctw1500,
        "icdar2015": icdar2015,
        "icdar2003": icdar2003,
        "pstr": pstr,
        "csvtr": csvtr,
        **{f"mqtr-{style}": partial(mqtr, style=style) for style in STYLES},
    }
)
"""The name of every benchmark on the command line, with what reads it."""


#: The name of every rendered benchmark -> its difficulty.
RENDERED = MappingProxyType(
    {f"sandbox-{level}": level for level in ("easy", "hard", "crowd", "street")}
)


def load(
    name: str, folder: str | Path | None = None, seed: int = 0, scenes: int | None = None
) -> Benchmark:
    """Read a benchmark, or render one.

    Args:
        name: one of `LOADERS` or of `RENDERED`.
        folder: the data set's own; for MQTR the one with word, phrase, combined and semantic. None
            for a rendered one.
        seed: of a rendered one.
        scenes: of a rendered one; None = 1000.

    Raises:
        FileNotFoundError: something of the data set is not there.
        UserError: an unknown name, a folder or a number of scenes where there is no use for it,
            no folder where one is needed, or a file of the data set is not as it should be.
    """
    known = (*LOADERS, *RENDERED)
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known)
        names = ", ".join(dict.fromkeys((*near, *known)))
        raise UserError(f"unknown benchmark {name!r}: expected one of {names}.")
    if name in RENDERED:
        if folder is not None:
            raise UserError(f"{name} is rendered and has no folder; got {folder}.")
        return rendered(RENDERED[name], seed, 1000 if scenes is None else scenes)
    if folder is None:
        raise UserError(f"{name} needs the folder of its data set.")
    if scenes is not None:
        raise UserError(f"{name} is not rendered: leave out the number of scenes, {scenes}.")
    return LOADERS[name](folder)
