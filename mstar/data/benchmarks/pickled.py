"""Lists of texts from a pickled .npy file, read without running anything of the file's choosing.

A pickle is a program: it names functions and calls them. Here the few names that numpy needs for
arrays of texts stand for classes of this module, which keep what they are given and do nothing;
any other name is refused before anything is called.
"""

import pickle
import pickletools
import re
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from mstar.errors import UserError


def read_lists(file: Path) -> dict[str, list[str]]:
    """The dict from texts to lists of texts that `np.save` has written, with any version of numpy.

    Raises:
        UserError: it is no such file, holds anything else, or asks for anything to be run.
    """
    with file.open("rb") as stream:
        try:
            found = _only(stream)
        except Exception as problem:  # a broken pickle can raise anything
            raise UserError(
                f"{file} cannot be read as a dict from texts to lists of texts: {problem}."
            ) from None
    lists = {}
    if not isinstance(found, dict):
        raise UserError(f"{file} should hold a dict; got {_kind(found)}.")
    for text, listed in found.items():
        listed = listed.items if isinstance(listed, _Array) else listed
        if not isinstance(text, str) or not isinstance(listed, list):
            raise UserError(
                f"{file} should have a text and a list of texts in each entry; got {_kind(text)} "
                f"and {_kind(listed)}."
            )
        if not all(isinstance(name, str) for name in listed):
            raise UserError(f"{file} should list texts alone for {text!r}.")
        lists[text] = listed
    return lists


def _only(stream: BinaryIO) -> Any:
    """What an array of one object holds."""
    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(stream)
    except ValueError:  # numpy's advice is to trust the file
        raise UserError("it has no header of an .npy file") from None
    if shape not in ((), (1,)) or dtype != np.dtype(object):
        raise UserError(f"one object was expected, got {dtype} of shape {shape}")
    content = stream.read()
    for code, number, _ in pickletools.genops(content):
        if code.name == "LONG_BINPUT" and number > len(content):
            raise UserError("it keeps room for more objects than it has bytes")
    array = _Reader(BytesIO(content)).load()
    if not isinstance(array, _Array) or len(array.items) != 1:
        raise UserError("an array with one object was expected")
    return array.items[0]


def _kind(value: Any) -> str:
    return "an array" if isinstance(value, _Array) else type(value).__name__


class _Inert:
    """A stand-in. Without `__setstate__` a pickle could set attributes, also of the class."""

    def __setstate__(self, state: Any) -> None:
        raise UserError("a state was given to what has none")


class _Bytes(_Inert):
    """For `_codecs.encode`: what pickles before Python 3 write for bytes."""

    def __new__(cls, text: str, encoding: str) -> bytes:
        return text.encode("latin-1")


class _Dtype(_Inert):
    """For `numpy.dtype`."""

    def __init__(self, code: str, *_: Any):
        self.code, self.order = code, ""

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def texts(self, content: bytes) -> list[str]:
        """Texts of fixed length, four bytes a character."""
        if not re.fullmatch(r"U\d{1,6}", self.code) or self.order not in ("<", ">"):
            raise UserError(f"an array of texts was expected, got one of {self.code!r}")
        return np.frombuffer(content, np.dtype(self.order + self.code)).tolist()


class _Array(_Inert):
    """For `numpy.ndarray`, and for the function that makes an empty one, to be filled later."""

    def __init__(self, *_: Any):
        self.items: list = []

    def __setstate__(self, state: Any) -> None:
        _, _, dtype, _, content = state
        self.items = content if isinstance(content, list) else dtype.texts(content)


class _FilledArray(_Array):
    """For the function that makes an array from its bytes."""

    def __init__(self, content: bytes, dtype: _Dtype, *_: Any):
        self.items = dtype.texts(content)


class _Scalar(_Inert):
    """For the function that makes a single text of numpy's."""

    def __new__(cls, dtype: _Dtype, content: bytes) -> str:
        return dtype.texts(content)[0]


_STAND_INS = {
    ("_codecs", "encode"): _Bytes,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    _STAND_INS[f"{_core}.multiarray", "_reconstruct"] = _Array
    _STAND_INS[f"{_core}.multiarray", "scalar"] = _Scalar
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _FilledArray


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """A stand-in for a name; UserError for all others."""
        if (module, name) not in _STAND_INS:
            raise UserError(f"it asks for {module}.{name}, which is not needed for texts")
        return _STAND_INS[module, name]
