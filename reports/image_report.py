"""What `image.ipynb` does, so that its cells stay a line or two: load, study, save."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm  # as text, which the runner passes on to the terminal

from mstar.errors import UserError
from mstar.explain import looks as explain
from mstar.explain.assignment import Evidence, explain_words
from mstar.explain.looks import LookSummary
from mstar.hooks.record import NEEDED
from mstar.hooks.trace import Trace
from mstar.io import embedded
from mstar.io.bench import Bench
from mstar.io.checkpoints import default_device, load_checkpoint
from mstar.io.images import open_image, opened
from mstar.search.gallery import Gallery
from mstar.search.ranking import Rank, rank
from mstar.texts import Query
from mstar.widgets import figures
from mstar.widgets.picture import Picture

from .folder_parameters import FolderReport
from .parameters import ImageReport, tiled
from .provenance import provenance, write_metrics

_BATCH = 8  # images at once: at the size of the released model more would fill the memory
#: Bytes for the pictures of all images together; the page stays under 10 MB.
_BUDGET = 7_000_000
#: Of an image's share, bytes that its small maps of all heads get in any case.
_HEADS = 150_000


@dataclass(frozen=True)
class Subject:
    """One image of the report.

    Attributes:
        name: of its file.
        photo: as opened.
        sha256: of its file.
        queries: what it is asked.
        place: its index in the sample gallery; None = it is the user's own.
    """

    name: str
    photo: Image.Image
    sha256: str
    queries: list[Query]
    place: int | None


@dataclass(frozen=True)
class Study:
    """What one run said about one image; ranks are among a gallery and this image."""

    subject: Subject
    trace: Trace
    looks: list[LookSummary]
    evidence: list[Evidence]
    ranks: list[Rank]
    gallery: "Ranked"
    own: int
    answers: dict[Query, list[int]]

    def pictures(self, images: int = 1) -> list[Picture]:
        """The section of this image, top to bottom, in a report on so many images.

        What does not fit into its share of the page is left out, and a sentence says so.
        """
        subject, left = self.subject, _BUDGET // images - _HEADS
        asked = "Asked: " + " · ".join(f"{text} ({style})" for text, style in subject.queries)
        looks = figures.looks(self.trace)
        words = figures.words(self.trace)
        photos = _Photographs(self.gallery.photos, subject.photo)
        ranked = subject.queries, self.ranks, photos, self.own, self.answers
        ranks = figures.ranks(*ranked, where=self.gallery.name)
        left -= sum(len(picture.markup) for picture in (looks, words, ranks))
        details = []
        for view in (figures.assignment, figures.multi_word):
            picture = view(self.trace)
            if not picture.images:
                continue  # none of these queries is its business
            if len(picture.markup) > left:
                name = view.__name__.replace("_", "-")
                picture = figures.note("Left out", f"The {name} view, to keep the page small.")
            left -= len(picture.markup)
            details.append(picture)
        heads = figures.heads(self.trace, self.evidence, budget=_HEADS + max(left, 0))
        return [figures.heading(subject.name, asked), looks, heads, words, *details, ranks]

    def metrics(self) -> dict[str, Any]:
        return {
            "image": self.subject.name,
            "sha256": self.subject.sha256,
            "looks": [asdict(look) for look in self.looks],
            "queries": [
                asdict(row) | {"rank": rank.rank, "of": rank.total}
                for row, rank in zip(self.evidence, self.ranks, strict=True)
            ],
        }


@dataclass(frozen=True)
class Ranked:
    """The gallery that the images are ranked in.

    Attributes:
        name, about: what the page calls it, and says of it.
        photos: its B images, or their files.
        queries, scores: what was asked, and the scores [N, B].
        answers: for each query the indices of the images that are known to show it.
        places: hash of a file -> its index, where the user's own images may be among them.
    """

    name: str
    about: str
    photos: Sequence[Any]
    queries: list[Query]
    scores: Tensor
    answers: list[list[int]]
    places: Mapping[str, int]


class _Photographs(Sequence[Image.Image]):
    """A gallery's and one more, opened when asked for; one that is gone or has changed is grey."""

    def __init__(self, photos: Sequence[Any], own: Image.Image):
        self.photos, self.own = photos, own

    def __len__(self) -> int:
        return len(self.photos) + 1

    def __getitem__(self, image: int) -> Image.Image:
        if image == len(self.photos):
            return self.own
        try:
            return opened([self.photos[image]])[0]
        except (OSError, UserError):
            return Image.new("RGB", (96, 96), "grey")


def subjects(settings: ImageReport) -> list[Subject]:
    """The images of the report, each with its queries."""
    words = settings.queries()
    if settings.images:
        chosen = [(path, words, None) for path in settings.files()]
    else:
        samples = embedded.samples()
        chosen = [(s.path, words or s.queries(), i) for i, s in enumerate(samples)]
    return [
        Subject(path.name, open_image(path), _sha256(path), queries, place)
        for path, queries, place in chosen
    ]


def load(settings: ImageReport) -> Bench:
    """The checkpoint, on the GPU where there is one, at the size that was asked for."""
    bench = load_checkpoint(settings.folder, default_device())
    tiled(bench.processor, settings.looked_with[1])
    if settings.size is not None:
        size = {"height": settings.size, "width": settings.size}
        bench.processor.image_processor.size = size
    return bench


def study(settings: ImageReport, bench: Bench, chosen: Sequence[Subject]) -> list[Study]:
    """Run the model on every image, and rank each in the gallery."""
    queries = list(dict.fromkeys(q for subject in chosen for q in subject.queries))
    gallery = (_own_gallery if settings.gallery else _samples)(settings, bench, queries)
    return [
        _study(settings, bench, subject, gallery)
        for subject in tqdm(chosen, desc="images", leave=False)
    ]


def _samples(settings: ImageReport, bench: Bench, queries: list[Query]) -> Ranked:
    samples = embedded.gallery()
    photos = [sample.path for sample in samples]
    scores = torch.from_numpy(bench.scores(photos, queries, settings.pve_steps, _BATCH))
    answers = [[i for i, s in enumerate(samples) if s.answers(*query)] for query in queries]
    about = f"{len(samples)} path-traced scenes, see mstar/assets/samples"
    return Ranked("the sample gallery", about, photos, queries, scores, answers, {})


def _own_gallery(settings: ImageReport, bench: Bench, queries: list[Query]) -> Ranked:
    gallery = Gallery.open(settings.gallery, settings.folder)
    places = {entry.sha256: i for i, entry in enumerate(gallery.images.entries)}
    name = f"the gallery {Path(settings.gallery).name}"
    about = f"{len(gallery):,} images in {settings.gallery}"
    scores, nothing = gallery.scores(queries), [[] for _ in queries]
    return Ranked(name, about, gallery.images, queries, scores, nothing, places)


def _study(settings: ImageReport, bench: Bench, subject: Subject, gallery: Ranked) -> Study:
    points, (pve_steps, _) = [*NEEDED, *settings.record], settings.looked_with
    trace = bench.trace(
        subject.photo, subject.queries, points, pve_steps=pve_steps, seed=settings.seed
    )
    trace.meta["files"] = [{"name": subject.name, "sha256": subject.sha256}]
    place = gallery.places.get(subject.sha256, subject.place)
    own = len(gallery.photos) if place is None else place
    ranks, answers = [], {}
    for n, query in enumerate(subject.queries):
        asked = gallery.queries.index(query)
        row = gallery.scores[asked]
        if place is None:
            row = torch.cat([row, trace["scores"][n].to(row)])
        ranks.append(rank(row, own))
        answers[query] = gallery.answers[asked]
    evidence = explain_words(trace)
    looks = explain.summarise_looks(trace)
    return Study(subject, trace, looks, evidence, ranks, gallery, own, answers)


def notes(settings: ImageReport | FolderReport) -> list[Picture]:
    """What must be read before the pictures of a user's own photographs."""
    if not ((settings.images or settings.gallery) and settings.uses_embedded):
        return []
    return [
        figures.note(
            "The embedded checkpoint is small",
            "It learned to read from rendered text and from 1,048 photographs with lists of their "
            "words. It finds many large words and few small ones: its card, "
            "`mstar/assets/checkpoint/README.md`, has the numbers. A rank or a lead on your "
            "photographs says more of these weights than of the method.",
            "To use the released weights, turn them into a checkpoint folder, "
            "`mstar convert RELEASED.pth FOLDER --tokenizer bert-base-uncased`, and run this "
            "report with `--checkpoint FOLDER`.",
        )
    ]


def save(settings: ImageReport, bench: Bench, studies: Sequence[Study]) -> dict[str, Any]:
    """Write `metrics.json` and, for each image, `trace/<n>/` into the report's folder.

    Returns:
        where the page comes from.
    """
    for number, one in enumerate(studies):
        one.trace.save(settings.place / "trace" / str(number))
    grid, patch = studies[0].trace.grid, bench.config.vision_config.patch_size
    tiles = explain.tile_count(studies[0].trace)
    facts = {
        "semantics": bench.config.semantics,
        "T": studies[0].trace.pve_steps,
        "image size": f"{grid[0] * patch} × {grid[1] * patch} pixels, {grid[0]} × {grid[1]} tokens",
        studies[0].gallery.name: studies[0].gallery.about,
        "device": str(bench.device),
        **({"tiles": f"{tiles}, each of that size"} if tiles > 1 else {}),
        **{f"sha256 of {n}: {s.subject.name}": s.subject.sha256 for n, s in enumerate(studies)},
    }
    made = provenance(settings, **facts)
    write_metrics(settings, made, headline(studies), images=[one.metrics() for one in studies])
    return made


def headline(studies: Sequence[Study]) -> dict[str, str]:
    """How well the images were found, and what no look attended to."""
    ranks = [rank.rank for one in studies for rank in one.ranks]
    total = studies[0].ranks[0].total
    neglected = fmean(one.looks[-1].neglected for one in studies)
    return {
        "ranked first": f"{ranks.count(1)} of {len(ranks)} queries",
        "median rank": f"{median(ranks):g} of {total}",
        "never attended": f"{neglected:.0%} of an image",
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
