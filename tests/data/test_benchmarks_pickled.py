"""A pickle of lists of texts: what numpy writes is read, and nothing else is called."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from mstar.data.benchmarks import pickled
from mstar.data.benchmarks.pickled import read_lists

LISTS = {"happy birthday": ["1.jpg", "2.jpg"], "été": ["3.jpg"]}
HEADER = {"descr": "|O", "fortran_order": False, "shape": ()}


def saved(path, content, protocol):
    """As `np.save`, with a protocol of choice; `content` may be a pickle already."""
    array = np.empty((), dtype=object)
    array[()] = content
    with path.open("wb") as stream:
        npy.write_array_header_1_0(stream, HEADER)
        stream.write(content if protocol is None else pickle.dumps(array, protocol))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "lists.npy"


def test_what_numpy_saves(file):
    np.save(file, LISTS)
    assert read_lists(file) == LISTS
    np.save(file, np.array([LISTS], dtype=object))
    assert read_lists(file) == LISTS


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_and_every_kind_of_text(file, protocol):
    lists = {
        "list": ["1.jpg", "été.jpg"],
        np.str_("of numpy's"): [np.str_("1.jpg"), "2.jpg"],
        "array": np.array(["1.jpg", "été.jpg"]),
        "other order": np.array(["1.jpg", "22.jpg"], dtype=">U6"),
        "objects": np.array(["1.jpg", "2.jpg"], dtype=object),
    }
    found = read_lists(saved(file, lists, protocol))
    assert found == {str(text): [str(name) for name in names] for text, names in lists.items()}
    assert all(type(name) is str for names in (found, *found.values()) for name in names)


def test_names_before_and_since_numpy_2(file):
    content = pickle.dumps(np.array(LISTS, dtype=object), 2)
    assert b"numpy._core.multiarray\n" in content
    saved(file, content.replace(b"numpy._core.", b"numpy.core."), None)
    assert read_lists(file) == LISTS


class Hostile:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.system, "system"),
        (eval, "eval"),
        (np.load, "load"),
        (np.fromfile, "fromfile"),
        (np.memmap, "memmap"),
        (getattr, "getattr"),
        (Path, "Path"),
    ],
)
def test_nothing_is_called(file, tmp_path, protocol, function, named):
    target = tmp_path / "made"
    argument = f"touch {target}" if function is os.system else str(target)
    for content in (Hostile(function, argument), {"a": [Hostile(function, argument)]}):
        saved(file, content, protocol)
        with pytest.raises(ValueError, match=rf"it asks for [\w.]+\.{named}, which is not needed"):
            read_lists(file)
        assert not target.exists()


@pytest.mark.parametrize(
    "name", [b"numpy.core.multiarray\nfromfile", b"numpy\nload", b"numpy._core.multiarray\narray"]
)
def test_a_name_of_numpys_that_is_not_on_the_list(file, name):
    saved(file, b"\x80\x02c" + name + b"\n(S'/etc/hostname'\ntR.", None)
    with pytest.raises(ValueError, match="which is not needed for texts"):
        read_lists(file)


def test_a_pickle_cannot_change_the_stand_ins(file):
    before = {kind: dict(vars(kind)) for kind in set(pickled._STAND_INS.values())}
    for module, name in pickled._STAND_INS:
        # the name itself, then BUILD with an attribute to set
        content = f"\x80\x02c{module}\n{name}\nN}}X\x05\x00\x00\x00itemsK\x01s\x86b.".encode(
            "latin-1"
        )
        saved(file, content, None)
        with pytest.raises(ValueError, match="cannot be read as a dict"):
            read_lists(file)
    assert before == {kind: dict(vars(kind)) for kind in before}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (["1.jpg"], "should hold a dict; got list"),
        (np.array(["1.jpg"]), "should hold a dict; got an array"),
        ({1: ["1.jpg"]}, "a text and a list of texts in each entry; got int and list"),
        ({"a": "1.jpg"}, "got str and str"),
        ({"a": ("1.jpg",)}, "got str and tuple"),
        ({"a": {"b": ["1.jpg"]}}, "got str and dict"),
        ({"a": [1]}, "should list texts alone for 'a'"),
        ({"a": [["1.jpg"]]}, "should list texts alone for 'a'"),
        ({"a": np.array([1, 2])}, "an array of texts was expected, got one of 'i8'"),
        ({"a": np.array([1.5, "b"], dtype=object)}, "should list texts alone for 'a'"),
    ],
)
def test_another_content_is_refused(file, content, problem):
    with pytest.raises(ValueError, match=rf"lists\.npy .*{problem}"):
        read_lists(saved(file, content, 4))


def test_a_file_of_another_kind_is_refused(file):
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"lists\.npy .* no header of an \.npy file"):
        read_lists(file)
    np.save(file, np.arange(3))
    with pytest.raises(ValueError, match=r"one object was expected, got int64 of shape \(3,\)"):
        read_lists(file)
    np.save(file, np.array([LISTS, LISTS]))
    with pytest.raises(ValueError, match="one object was expected, got object of shape"):
        read_lists(file)
    saved(file, pickle.dumps(LISTS), None)
    with pytest.raises(ValueError, match="an array with one object was expected"):
        read_lists(file)
    content = np.array(LISTS, dtype=object)
    for cut in (0, 1, 40):
        saved(file, pickle.dumps(content)[:cut], None)
        with pytest.raises(ValueError, match=r"lists\.npy cannot be read"):
            read_lists(file)
