"""The parameters of the report on many photographs, `folder`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstar.data.lists.annotations import texts_by_name, words_of
from mstar.errors import UserError
from mstar.io import embedded
from mstar.search.folders import look_through
from mstar.search.store import opened_with, read_about
from mstar.texts import Query, parse_queries

from .options import asked
from .parameters import (
    Parameters,
    check_of_gallery,
    check_pve_steps,
    checkpoint_folder,
    is_embedded,
    named,
)

#: Texts; with three photographs each the page stays under 10 MB.
MAX_TEXTS = 1000


@dataclass(frozen=True)
class FolderReport(Parameters):
    """What `reports/folder.ipynb` is run with. An empty value means the default."""

    report = "folder"

    images: str = asked("a folder of photographs; none: the gallery's, or the embedded samples", "")
    texts: list[str] = asked("what to look for, commas between; none: all words that are known", [])
    known: str = asked("a list of what is written on them, as mstar labels begins it", "")
    gallery: str = asked("one that mstar index made of them; none: they are embedded here", "")
    checkpoint: str = asked("a checkpoint folder; none: the gallery's, or the embedded one", "")
    pve_steps: int | None = asked("T, looks after the first, 0 to 15; none: as above", None)
    out: str = asked("the folder of the report", "out/folder")

    @property
    def checkpoints(self) -> dict[str, Path]:
        return {"checkpoint": checkpoint_folder(named(self.checkpoint, self.gallery))}

    @property
    def uses_embedded(self) -> bool:
        """Whether the weights are the embedded ones, which are small."""
        return is_embedded(self.checkpoints["checkpoint"])

    @property
    def folder(self) -> Path:
        """Of the photographs."""
        if self.images or not self.gallery:
            return Path(self.images or embedded.ASSETS / "samples")
        return Path(self.gallery, read_about(self.gallery).folder)

    def texts_known(self) -> Mapping[str, Sequence[Query]] | None:
        """Photograph, by its path in the folder -> its texts; None = nothing is known."""
        if self.known:
            return texts_by_name(self.known, str(self.folder))
        if self.images or self.gallery:
            return None
        return {s.path.name: list(map(Query, s.texts, s.styles)) for s in embedded.gallery()}

    def queries(self) -> list[Query]:
        """What is asked, each once."""
        return parse_queries(self.texts) or words_of(self.texts_known() or {})

    def _check(self) -> None:
        check_pve_steps(self.pve_steps)
        if self.gallery:
            opened_with(self.gallery, self.checkpoint)
            check_of_gallery(self.gallery, pve_steps=self.pve_steps)
        if not self.gallery:
            look_through(self.folder)
        elif not self.folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder of images {self.folder}: say with --images where they are now."
            )
        count = len(self.queries())
        if not count:
            raise UserError(
                "no texts: say what to look for, as in --texts exit,platform, or with --known LIST "
                "what is written on the photographs."
            )
        if count > MAX_TEXTS:
            raise UserError(
                f"a report takes at most {MAX_TEXTS} texts; got {count}: name some of them with "
                "--texts."
            )
