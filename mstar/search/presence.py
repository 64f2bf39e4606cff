"""An answer's place and doubt: where in a photograph it stands, and how likely it is there at all.

The probability is measured, by `mstar calibrate`, on photographs whose texts are known, and lies
beside the weights: other weights have none.
"""

import json
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from math import exp, inf, isfinite, isnan, log, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from PIL import Image
from tqdm.auto import tqdm

from mstar import files
from mstar.errors import UserError
from mstar.texts import Query
from mstar.versions import checkpoint_hash

if TYPE_CHECKING:
    from mstar.explain.regions import Region
    from mstar.search.gallery import Gallery
    from mstar.search.ranking import Hit

#: In a checkpoint's folder.
PRESENCE = "presence.json"
#: A text is said to be there from this probability on.
SAID = 0.5
#: Pixels of the longer side of a photograph of a page, the first that fits into its share of the
#: bytes that a page's photographs may take together.
_SIDES, _BYTES = (480, 360, 270, 200, 150, 110, 80), 4_000_000
#: What a page calls a small lead of the first over the second, many words, and small text: the
#: share of the photograph's height that the region takes.
_LEAD, _WORDS, _LOW = 0.02, 5, 0.06


@dataclass(frozen=True)
class Presence:
    """How cosines become probabilities, for one checkpoint.

    Attributes:
        styles: style → (slope, intercept) of the log odds, where as many photographs show the text
            as do not.
        about: how it was measured, for people.
    """

    styles: Mapping[str, tuple[float, float]]
    about: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, cosine: float, style: str, images: int = 1) -> float | None:
        """That an image shows a text; None = this style was not measured.

        Args:
            images: of the gallery. Before it is looked at, one of them is expected to show the
                text, so that in a large gallery a good cosine says less: there are more that have
                it by chance.
        """
        if style not in self.styles:
            return None
        slope, intercept = self.styles[style]
        odds = slope * cosine + intercept - log(images)
        return 1 / (1 + exp(-max(-500.0, min(500.0, odds))))

    def tells(self, style: str, images: int) -> bool:
        """Whether the best of all cosines would say that a text is there: else none says that it is
        nowhere, however low."""
        return (self.probability(1.0, style, images) or 0.0) >= SAID

    @classmethod
    def of(cls, checkpoint: str | Path) -> "Presence | None":
        """What was measured of the weights in a folder; None = nothing, or of other weights.

        Raises:
            UserError: the file is broken.
        """
        path = Path(checkpoint, PRESENCE)
        files.check_regular(path, "checkpoint")
        if not path.is_file():
            return None
        found = files.read_json(path)
        try:
            styles = {name: (float(a), float(b)) for name, (a, b) in found["styles"].items()}
            if not all(isfinite(value) for pair in styles.values() for value in pair):
                raise ValueError("numbers that are none")
            about = dict(found["about"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} cannot be read ({error}): make it anew with `mstar calibrate`."
            ) from None
        return (
            cls(styles, about) if found.get("checkpoint") == checkpoint_hash(checkpoint) else None
        )

    def save(self, checkpoint: str | Path) -> Path:
        """Put it beside the weights that it is of; returns the file."""
        whole = {
            "checkpoint": checkpoint_hash(checkpoint),
            "styles": {name: list(pair) for name, pair in self.styles.items()},
            "about": dict(self.about),
        }
        path = Path(checkpoint, PRESENCE)
        with files.replacing(path) as part:
            part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        return path


@dataclass(frozen=True)
class Found:
    """A hit with its place and its doubt.

    Attributes:
        hit: of the search.
        photo: the photograph as a JPEG, at most 480 pixels a side; None = it is gone or has
            changed, and so have region and lead.
        region: what the vision embedding that counted most looked at.
        lead: of that embedding over the next, by cosine or weight.
        presence: probability that the text is there; None = not measured for this checkpoint and
            style.
    """

    hit: "Hit"
    photo: bytes | None
    region: "Region | None"
    lead: float
    presence: float | None


def locate(
    gallery: "Gallery", query: Query, hits: Sequence["Hit"], presence: Presence | None = None
) -> list[Found]:
    """Look at the photographs of some hits again, to say where the text stands in each."""
    return locate_each(gallery, [(query, hits)], presence)[0]


def locate_each(
    gallery: "Gallery",
    answers: Sequence[tuple[Query, Sequence["Hit"]]],
    presence: Presence | None = None,
) -> list[list[Found]]:
    """`locate` for several queries, with one run a photograph, however many of them it answers.

    One photograph at a time is open; what is kept of all of them takes about 4 MB.
    """
    from mstar.explain.looks import cross_attention
    from mstar.explain.regions import around
    from mstar.io.images import opened

    asked: dict[int, list[tuple[int, int]]] = {}  # image -> (answer, place in it)
    for number, (_, hits) in enumerate(answers):
        for place, hit in enumerate(hits):
            asked.setdefault(hit.image, []).append((number, place))
    found: list[list[Any]] = [[None] * len(hits) for _, hits in answers]
    names = ["pve.*.layers.*.cross_attention", "mim.evidence"]
    how = {"pve_steps": gallery.pve_steps, "tiles": gallery.tiles}
    for image, places in tqdm(asked.items(), desc="regions", unit="photo", leave=False, delay=1):
        try:
            (photo,) = opened([gallery.images[image]])
        except (OSError, UserError):
            photo = trace = None
        else:
            trace = gallery.bench.trace(photo, [answers[n][0] for n, _ in places], names, **how)
            photo = _small(photo, _BYTES // len(asked))
        for row, (number, place) in enumerate(places):
            query, hit = answers[number][0], answers[number][1][place]
            doubt = presence and presence.probability(hit.cosine, query.style, len(gallery))
            region, lead = None, nan
            if trace is not None:
                maps = cross_attention(trace)[hit.look, :, hit.tile, :, hit.query_token]
                region = around(maps.mean((0, 1)), trace.boxes[0, hit.tile].tolist())
                best, *others = trace["mim.evidence"][0, row].sort(descending=True).values.tolist()
                lead = best - others[0] if others else nan
            found[number][place] = Found(hit, photo, region, lead, doubt)
    return found


def absent(probabilities: Iterable[float | None]) -> bool | None:
    """Whether no photograph shows a text, by the best of these; None = not measured."""
    known = [one for one in probabilities if one is not None]
    return max(known) < SAID if known else None


def write_page(
    path: str | Path,
    gallery: "Gallery",
    answers: Sequence[tuple[Query, Sequence["Hit"]]],
    presence: Presence | None = None,
    known: Mapping[str, Collection[str]] | None = None,
) -> Path:
    """`page_of` as a file; returns its path."""
    whole = page_of(gallery, answers, presence, known)
    with files.replacing(path) as part:
        part.write_text(whole, encoding="utf-8")
    return Path(path)


def page_of(
    gallery: "Gallery",
    answers: Sequence[tuple[Query, Sequence["Hit"]]],
    presence: Presence | None = None,
    known: Mapping[str, Collection[str]] | None = None,
) -> str:
    """The answers of a search as one page that needs nothing else, to be looked through.

    Args:
        known: name of a photograph -> the texts that it shows, in lower case: then answers are
            right or wrong.
    """
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    located, count = locate_each(gallery, answers, presence), len(gallery)
    photos = {one.hit.image: one.photo for found in located for one in found if one.photo}
    shown = [
        _answer(query, found, known, presence is not None and presence.tells(query.style, count))
        for (query, _), found in zip(answers, located, strict=True)
        if found
    ]
    return page.get_template("page.html").render(
        answers=shown,
        photos=[_photo(image, photo) for image, photo in photos.items()],
        queries=[query.text for query, _ in answers[:3]] + ["…"] * (len(answers) > 3),
        images=count,
        about=presence and presence.about,
        said=round(100 * SAID),
        known=known is not None,
        few=_LEAD,
        many=_WORDS,
        low=round(100 * _LOW),
    )


def _answer(
    query: Query,
    found: Sequence[Found],
    known: Mapping[str, Collection[str]] | None,
    tells: bool,
) -> dict[str, Any]:
    shown = []
    for one in found:
        percent = "" if one.presence is None else f"{100 * one.presence:.0f}"
        right = None if known is None else query.text.lower() in known.get(one.hit.name, ())
        shown.append(
            {
                "rank": one.hit.rank,
                "name": one.hit.name.encode("utf-8", "replace").decode(),
                "cosine": f"{one.hit.cosine:.3f}",
                "lead": "–" if isnan(one.lead) else f"{one.lead:.3f}",
                "there": percent and f"{percent} %",
                "mark": {None: "", True: "✓", False: "✗"}[right],
                "photo": one.hit.image if one.photo else None,
                "style": "" if one.region is None else _css(one.region),
            }
        )
    best = max((one.presence for one in found if one.presence is not None), default=0.0)
    first, lead = found[0], found[0].hit.score - found[1].hit.score if len(found) > 1 else inf
    flags = {
        "wrong": shown[0]["mark"] == "✗",
        "lead": lead < _LEAD,
        "many": known is not None and len(known.get(first.hit.name, ())) >= _WORDS,
        "small": first.region is not None and first.region.bottom - first.region.top < _LOW,
    }
    return {
        "text": query.text,
        "style": query.style,
        "hits": shown,
        "best": f"{100 * best:.0f} %",
        "tells": tells,
        "absent": tells and absent(one.presence for one in found),
        "lead": f"{min(lead, 9):.4f}",
        "flags": " ".join(name for name, on in flags.items() if on),
    }


def _css(region: "Region") -> str:
    left, top, right, bottom = (100 * side for side in region.box)
    place = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return ";".join(f"{name}:{value:.4g}%" for name, value in place.items())


def _photo(image: int, jpeg: bytes) -> dict[str, Any]:
    """What the page's styles say of a photograph, once, however often it is shown."""
    width, height = Image.open(BytesIO(jpeg)).size
    uri = f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"
    return {"image": image, "width": width, "height": height, "uri": uri}


def _small(photo: Any, most: int) -> bytes:
    """A PIL image or an array as a JPEG of so many bytes, or of the smallest size there is."""
    photo = (photo if isinstance(photo, Image.Image) else Image.fromarray(photo)).convert("RGB")
    for side in _SIDES:
        photo.thumbnail((side, side))
        photo.save(buffer := BytesIO(), "JPEG", quality=82)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()
