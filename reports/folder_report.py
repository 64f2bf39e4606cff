"""What `folder.ipynb` does, so that its cells stay a line or two: look through, save."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mstar.search.gallery import Gallery
from mstar.search.index import index_folder
from mstar.search.presence import Presence
from mstar.search.store import read_about
from mstar.texts import Query
from mstar.widgets import LookThrough
from mstar.widgets.picture import Picture

from . import rankings
from .folder_parameters import FolderReport
from .provenance import provenance, write_metrics


@dataclass(frozen=True)
class Looked:
    """A folder that was looked through.

    Attributes:
        shown: the answers, with the page that shows them.
        images: how many there are.
        pve_steps, tiles: what they were embedded with.
        unreadable: name -> why it was left out.
        known: photograph -> its texts; None = nothing is known.
    """

    shown: LookThrough
    images: int
    pve_steps: int
    tiles: tuple[int, ...]
    unreadable: Mapping[str, str]
    known: Mapping[str, Sequence[Query]] | None

    def right(self, row: int) -> bool | None:
        """Whether the first photograph of a query is known to show it; None = nothing is known."""
        query, hits = self.shown.answers[row]
        if self.known is None:
            return None
        return query.text.lower() in {one.text for one in self.known.get(hits[0].name, ())}


def look_through(settings: FolderReport) -> Looked:
    """Rank the folder's photographs for every text.

    Embeddings lie on disk, and one photograph at a time is open: how many there are does not
    change how much memory it takes.
    """
    (checkpoint,) = settings.checkpoints.values()
    known = settings.texts_known()
    with ExitStack() as held:
        gallery = settings.gallery
        if not gallery:
            gallery = Path(held.enter_context(TemporaryDirectory()), "gallery")
            index_folder(settings.folder, gallery, checkpoint, settings.pve_steps)
        opened = Gallery.open(gallery, checkpoint, settings.folder)
        texts = known and {name: {one.text for one in texts} for name, texts in known.items()}
        shown = LookThrough(opened, settings.queries(), texts, Presence.of(checkpoint))
        looked = opened.pve_steps, opened.tiles
        return Looked(shown, len(opened), *looked, read_about(gallery).unreadable, known)


def left_out(found: Looked) -> list[Picture]:
    """Which photographs could not be read, for their reader."""
    whys = list(found.unreadable.values())
    title = f"{len(whys)} photographs could not be read and are left out"
    if len(whys) == 1:
        title = "1 photograph could not be read and is left out"
    return rankings.named(title, whys) if whys else []


def headline(found: Looked) -> dict[str, str]:
    """How many photographs and texts, how often the first answer is right, how large the page."""
    count = len(found.shown.answers)
    right = sum(bool(found.right(row)) for row in range(count))
    size = len(found.shown.page.encode()) / 1e6
    return {
        "photographs": f"{found.images:,}",
        "texts": f"{count:,}",
        **({"first is right": f"{right} of {count} texts"} if found.known is not None else {}),
        "what is shown": f"three photographs a text, twenty texts at a time, {size:.1f} MB",
    }


def save(settings: FolderReport, found: Looked) -> dict[str, Any]:
    """Write `metrics.json` into the report's folder.

    Returns:
        where the page comes from.
    """
    facts = {
        "gallery": settings.gallery or "embedded for this page",
        "photographs": f"{found.images:,} of {settings.folder}",
        "T": found.pve_steps,
        "tiles": ", ".join(map(str, found.tiles)),
    }
    rows = [
        {**query._asdict(), "right": found.right(row), "hits": [asdict(hit) for hit in hits]}
        for row, (query, hits) in enumerate(found.shown.answers)
    ]
    made = provenance(settings, **facts)
    unreadable = dict(found.unreadable)
    write_metrics(settings, made, headline(found), queries=rows, unreadable=unreadable)
    return made
