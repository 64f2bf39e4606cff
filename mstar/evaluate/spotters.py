"""Another way to find images by their text, as a yardstick: spot all words, compare spellings.

The protocol is that of the paper's spotting baselines (formats.md, last part).
"""

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from tqdm.auto import tqdm

from mstar.errors import UserError

_OTHER = re.compile(r"[^a-z0-9]+")


class Spotter(Protocol):
    """Reads the text in an image; `name` is that of its column in a table."""

    name: ClassVar[str]

    def spot(self, image: NDArray[np.uint8]) -> list[str]:
        """The lines of text in an RGB image, uint8 [H, W, 3]."""


class RapidOcr:
    """RapidOCR's detector and recogniser, as they come (`pip install rapidocr-onnxruntime`).

    Raises:
        ImportError: it is not installed.
    """

    name = "RapidOCR"

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as problem:
            raise ImportError(
                "RapidOCR is not installed: pip install -e '.[peers]' in this repository, or leave "
                "this peer out."
            ) from problem
        self._spot = RapidOCR()

    def spot(self, image: NDArray[np.uint8]) -> list[str]:
        found, _ = self._spot(image[:, :, ::-1])  # it takes OpenCV's order of colours
        return [text for _, text, _ in found or ()]


class Tesseract:
    """Tesseract as it comes, English, looking for sparse text (its mode 11).

    Raises:
        ImportError: there is no program `tesseract`.
    """

    name = "Tesseract"

    def __init__(self) -> None:
        if shutil.which("tesseract") is None:
            raise ImportError(
                "Tesseract is not installed: install the package tesseract-ocr of your system, or "
                "leave this peer out."
            )

    def spot(self, image: NDArray[np.uint8]) -> list[str]:
        encoded = BytesIO()
        Image.fromarray(image).save(encoded, format="PPM")
        command = ["tesseract", "stdin", "stdout", "--psm", "11", "-l", "eng"]
        done = subprocess.run(command, input=encoded.getvalue(), capture_output=True)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise OSError(f"tesseract failed: {said}.")
        lines = done.stdout.decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()]


#: Name on the command line -> spotter.
SPOTTERS = {"rapidocr": RapidOcr, "tesseract": Tesseract}


def make_spotters(names: Iterable[str]) -> list[Spotter]:
    """Those of `SPOTTERS` that are named, once each; other names are passed over.

    Raises:
        ImportError: one is not installed.
    """
    return [SPOTTERS[name]() for name in dict.fromkeys(names) if name in SPOTTERS]


#: What can be ranked beside the model.
PEERS = ("random", *SPOTTERS, "parts")


def check_peers(peers: Sequence[str]) -> None:
    """Raises UserError if one of them is none of `PEERS`."""
    if unknown := [name for name in peers if name not in PEERS]:
        raise UserError(f"unknown peer {unknown[0]!r}: expected some of {', '.join(PEERS)}.")


def check_kept(kept: Path | None) -> None:
    """Raise UserError where a file to keep what was read in cannot be, or holds something else."""
    if kept is None:
        return
    if kept.is_dir() or not kept.absolute().parent.is_dir():
        raise UserError(f"{kept} cannot be written: expected a file in a folder that is there.")
    _known(kept)


def spot_all(
    spotter: Spotter, images: Sequence[Any], kept: Path | None = None
) -> tuple[list[list[str]], float | None]:
    """Read all images, about one a second.

    Args:
        images: PIL images or uint8 arrays [H, W, 3].
        kept: a file of JSON lines in which what was read is kept, by the image's pixels, so that a
            run that was stopped goes on.

    Returns:
        the lines of each of B images; and images/s, opened and read, of those that were read just
        now, None = all were kept.
    """
    known = _known(kept)
    lines, seconds, read = [], 0.0, 0
    for number in tqdm(range(len(images)), desc=spotter.name, unit="image"):
        clock = time.perf_counter()
        pixels = np.asarray(images[number])
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        key = (spotter.name, digest)
        if key not in known:
            known[key] = spotter.spot(pixels)
            seconds += time.perf_counter() - clock
            read += 1
            if kept is not None:
                entry = {"peer": spotter.name, "image": digest, "lines": known[key]}
                with kept.open("a", encoding="utf-8") as file:
                    # in front, as the last line of a run that was killed may have no end
                    file.write("\n" + json.dumps(entry))
        lines.append(known[key])
    return lines, read / seconds if read else None


def _known(kept: Path | None) -> dict[tuple[str, str], list[str]]:
    """(peer, image) -> lines; a line that is half written is passed over."""
    if kept is None or not kept.is_file():
        return {}
    known: dict[tuple[str, str], list[str]] = {}
    try:
        written = kept.read_text(encoding="utf-8").splitlines()
    except ValueError:
        raise UserError(f"{kept} is no text: name an earlier run's file or a new one.") from None
    for line in written:
        try:
            entry = json.loads(line)
            key, lines = (str(entry["peer"]), str(entry["image"])), entry["lines"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(lines, list) and all(isinstance(one, str) for one in lines):
            known[key] = lines
    return known


def spotting_scores(
    queries: Sequence[Sequence[str]], lines: Sequence[Sequence[str]], joined: bool = False
) -> NDArray[np.float32]:
    """How well each image's spotted text spells each query, [Q, B], from 0 to 1.

    A word scores 1 − edit distance / length of the longer, at its best spotted word; a query is
    the mean of its words. Both sides keep a-z and 0-9 alone; words of which that leaves nothing
    do not count, and a query of such words scores 0 everywhere.

    Args:
        queries: the words of each of Q queries.
        lines: the spotted lines of each of B images.
        joined: a word that stands within a line without its spaces counts as found; spotters glue
            neighbours together.
    """
    plain = [[kept for word in words if (kept := _plain(word))] for words in queries]
    wanted = sorted({word for words in plain for word in words})
    place = {word: i for i, word in enumerate(wanted)}
    best = np.zeros((len(wanted), len(lines)), dtype=np.float32)
    for image, spotted in enumerate(lines):
        words = [kept for line in spotted for part in line.split() if (kept := _plain(part))]
        if words and wanted:
            best[:, image] = cdist(wanted, words, scorer=Levenshtein.normalized_similarity).max(1)
        if joined:
            glued = [_plain(line) for line in spotted]
            best[[any(word in line for line in glued) for word in wanted], image] = 1
    nothing = np.zeros(len(lines), dtype=np.float32)
    return np.stack(
        [best[[place[w] for w in words]].mean(0) if words else nothing for words in plain]
    )


def _plain(text: str) -> str:
    return _OTHER.sub("", text.lower())
