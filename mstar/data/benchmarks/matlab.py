"""Texts from a MATLAB file, read here: SciPy's reader brings the process down at some broken files.

A file of version 5 (`save -v6` and `-v7`) has elements, a tag with kind and size and then the
content; an array is an element whose parts are elements.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mstar.errors import UserError

_ARRAY, _COMPRESSED = 14, 15
_CELLS, _STRUCTS, _TEXT = 1, 2, 4  # classes of arrays
_ENCODINGS = {1: "latin-1", 2: "latin-1", 16: "utf-8", 4: "utf-16", 17: "utf-16", 18: "utf-32"}
#: Bytes unpacked, and arrays within arrays.
_MOST, _DEEPEST = 2**28, 8


def read_entries(file: Path, name: str) -> list[list[Any]]:
    """The fields of each entry of an array of structs: texts, and lists of them for cell arrays.

    Raises:
        UserError: it is broken, or there is no such array.
    """
    try:
        found = dict(_arrays(file.read_bytes()))
    except (ValueError, IndexError, struct.error, zlib.error) as problem:
        raise UserError(
            f"{file} has no MATLAB array `{name}` that can be read: {problem}."
        ) from None
    if name not in found:
        there = ", ".join(found) or "none"
        raise UserError(f"{file} has no MATLAB array `{name}`; it has {there}.")
    return found[name] if isinstance(found[name], list) else [found[name]]


def _arrays(content: bytes) -> Iterator[tuple[str, Any]]:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no file of MATLAB's version 5")
    for kind, part in _elements(content[128:], order):
        if kind == _COMPRESSED:
            unpacking = zlib.decompressobj()
            part = unpacking.decompress(part, _MOST)
            if not unpacking.eof:
                raise ValueError("an array is cut off, or too large")
            ((kind, part),) = _elements(part, order)
        if kind == _ARRAY:
            yield _array(part, order)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of each element."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        begin = at + 8
        if kind >> 16:  # small: the content stands in the tag
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
        end = begin + size
        if end > len(content) or (begin == at + 4 and size > 4):
            raise ValueError("an element is longer than the file")
        yield kind, content[begin:end]
        at = end if kind == _COMPRESSED else max(at + 8, end + -end % 8)


def _array(content: bytes, order: str, depth: int = 0) -> tuple[str, Any]:
    """Name and value of an array: a text, or a list; None where it is one of numbers."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    (_, flags), (_, sizes), (_, name), *parts = _elements(content, order)
    kind = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    value: Any = None
    if kind == _TEXT:
        rows = struct.unpack_from(f"{order}i", sizes)[0]
        value = "".join(_decoded(*part, order) for part in parts)
        if rows > 1:  # a text a row, which are stored column by column
            value = [value[row::rows].rstrip() for row in range(min(rows, len(value)))]
    elif kind == _CELLS:
        value = [_array(part, order, depth + 1)[1] for _, part in parts]
    elif kind == _STRUCTS:
        (_, length), (_, names), *parts = parts
        fields = len(names) // max(1, *struct.unpack(f"{order}i", length))
        values = [_array(part, order, depth + 1)[1] for _, part in parts]
        value = [values[i : i + fields] for i in range(0, len(values), fields)]
    return name.decode("latin-1"), value


def _decoded(kind: int, content: bytes, order: str) -> str:
    if kind not in _ENCODINGS:
        raise ValueError(f"texts of kind {kind} are not known")
    wide = {"<": "-le", ">": "-be"}[order] if _ENCODINGS[kind][:5] in ("utf-1", "utf-3") else ""
    return content.decode(_ENCODINGS[kind] + wide)
