"""MSTAR-Training: real or synthetic images, listed in one JSON file with their texts and styles.

    [{"image": "mlt5k/tr_1.jpg", "text": ["bistro", "open daily"], "type": ["word", "phrase"]}]

The layout is that of the released code; keys it does not need are passed over. Without `type` each
text's style is guessed, as where one is typed.
"""

import json
import os
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mstar.errors import UserError
from mstar.files import as_stored
from mstar.texts import STYLES, Query, clean_caption, composed, guess_style

_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class Annotation:
    """One image with the texts it shows; texts and styles in parallel."""

    image: Path
    texts: tuple[str, ...]
    styles: tuple[str, ...]


class Annotations(Sequence):
    """The entries of one list, each read when asked for.

    Of each entry only its place in the file is kept, so a list of 100,000 takes a few megabytes and
    is not copied into every loader worker.

    Args:
        file: the JSON list.
        root: the folder that the images' paths start from, and may not leave.

    Raises:
        FileNotFoundError: there is no such file or folder.
        UserError: an entry is not as it should be; names file, line and what was expected.
    """

    def __init__(self, file: str | Path, root: str | Path):
        self.file, self.root = Path(file), Path(root).resolve()
        if not self.file.is_file():
            raise FileNotFoundError(f"there is no annotation file {self.file}.")
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no image folder {self.root}.")
        self._places = array("q")  # begin and end of each entry, in bytes
        try:
            text = self.file.read_bytes().decode("utf-8")  # as it lies there, with its line ends
        except UnicodeDecodeError as problem:
            raise UserError(f"{self.file} should be UTF-8 text: {problem}.") from None
        line, at, byte = 1, 0, 0
        for start, end, entry in tqdm(
            _entries(text, self.file), desc=self.file.name, unit=" images"
        ):
            line += text.count("\n", at, start)
            byte += len(text[at:start].encode())
            try:
                found = _checked(entry, self.root)
                if not found.image.is_file():
                    raise UserError(f"there is no image {entry['image']!r} in {self.root}.")
            except (ValueError, OSError) as problem:  # the system refuses some names of files
                raise UserError(f"{self.file}, line {line}: {problem}") from None
            length = len(text[start:end].encode())
            self._places.extend((byte, byte + length))
            line += text.count("\n", start, end)
            at, byte = end, byte + length
        if not self._places:
            raise UserError(f"{self.file} lists no image.")

    def __len__(self) -> int:
        return len(self._places) // 2

    def __getitem__(self, index: int) -> Annotation:
        """One entry; its image is not opened."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} entries; got {index}.")
        begin, end = self._places[2 * index : 2 * index + 2]
        with self.file.open("rb") as file:
            file.seek(begin)
            return _checked(json.loads(file.read(end - begin)), self.root)


def annotations(file: str, root: str) -> Annotations:
    """Read and checked once, however many stages use it, and again where the file has changed."""
    about = os.stat(file) if os.path.exists(file) else None
    return _read(file, root, about and (about.st_mtime_ns, about.st_size))


def texts_by_name(file: str, root: str) -> dict[str, list[Query]]:
    """Of each photograph of a list, by its path in the folder, its texts in lower case."""
    listed = annotations(file, root)
    return {
        entry.image.relative_to(listed.root).as_posix(): [
            Query(text.lower(), style)
            for text, style in zip(entry.texts, entry.styles, strict=True)
        ]
        for entry in listed
    }


def words_of(known: Mapping[str, Sequence[Query]]) -> list[Query]:
    """All single words of `texts_by_name`, each once, in the order of the alphabet."""
    return sorted({one for texts in known.values() for one in texts if one.style == "word"})


@cache
def _read(file: str, root: str, version: tuple[int, int] | None) -> Annotations:
    return Annotations(file, root)


def _entries(text: str, file: Path) -> Iterator[tuple[int, int, Any]]:
    """(begin, end, value) of each element of a JSON list; the list itself is never built."""
    decoder = json.JSONDecoder()

    def expected(what: str, at: int) -> UserError:
        line = text.count("\n", 0, at) + 1
        return UserError(f"{file}, line {line}: expected {what}, got {text[at : at + 20]!r}.")

    at = _SPACE.match(text).end()
    if text[at : at + 1] != "[":
        raise expected("a JSON list, [{…}, …]", at)
    at = _SPACE.match(text, at + 1).end()
    listed = text[at : at + 1] == "]"
    while not listed:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as problem:
            raise expected(f"valid JSON ({problem.msg})", problem.pos) from None
        except (RecursionError, ValueError):  # too deep, or a number of thousands of digits
            raise expected("an object with image, text and type", at) from None
        yield at, end, value
        at = _SPACE.match(text, end).end()
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise expected("a comma or the end of the list", at)
        at = _SPACE.match(text, at + 1).end()
    at = _SPACE.match(text, at + 1).end()
    if at < len(text):
        raise expected("nothing after the list", at)


def _checked(entry: Any, root: Path) -> Annotation:
    """An entry as it should be; UserError with what was expected and what came."""
    if not isinstance(entry, dict):
        raise UserError(f"expected an object with image, text and type; got {_short(entry)}.")
    missing = [key for key in ("image", "text") if key not in entry]
    if missing:
        raise UserError(f"the entry has no {' and no '.join(missing)}.")
    name, texts = entry["image"], entry["text"]
    if not isinstance(name, str) or not name:
        raise UserError(f"image should be a path; got {_short(name)}.")
    path = as_stored(root, name).resolve()
    if not path.is_relative_to(root):
        raise UserError(f"the image {name!r} lies outside {root}.")
    if not isinstance(texts, list) or not texts:
        raise UserError(
            f"text of {_short(name)} should be a list with at least one text; got {_short(texts)}."
        )
    styles = entry.get("type", [guess_style(str(text))[0] for text in texts])
    if not isinstance(styles, list) or len(styles) != len(texts):
        raise UserError(
            f"type should list one style for each of {len(texts)} texts; got {_short(styles)}."
        )
    for text, style in zip(texts, styles, strict=True):
        if not isinstance(text, str) or not clean_caption(text):
            raise UserError(f"a text should have letters or digits; got {_short(text)}.")
        if style not in STYLES:
            raise UserError(f"unknown style {_short(style)}: expected one of {', '.join(STYLES)}.")
    return Annotation(path, tuple(map(composed, texts)), tuple(styles))


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:57] + "…"
