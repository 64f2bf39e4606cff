"""Folders that take the place of others: whatever happens in between, one of the two is there."""

import os
import signal
import subprocess
import sys
import unicodedata

import pytest

from mstar.files import as_stored, replacing_files, replacing_folder, restored


@pytest.fixture
def old(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result/a").write_text("old")
    return tmp_path / "result"


def left(folder):
    return {path.name for path in folder.parent.iterdir()}


def test_a_new_folder_takes_the_place_of_the_old_one(old):
    with replacing_folder(old) as made:
        (made / "b").write_text("new")
        assert (old / "a").read_text() == "old"
    assert [path.name for path in old.iterdir()] == ["b"] and left(old) == {"result"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("full"), MemoryError])
@pytest.mark.parametrize("when", ["in the block", 1, 2, "after 1", "after 2"])
def test_after_an_exception_the_old_one_is_there(old, monkeypatch, error, when):
    replace, calls = os.replace, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == when:
            raise error
        replace(*arguments)
        if f"after {len(calls)}" == when:
            raise error

    monkeypatch.setattr(os, "replace", failing)
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind), replacing_folder(old) as made:
        (made / "a").write_text("new")
        if when == "in the block":
            raise error
    assert (old / "a").read_text() == "old" and left(old) == {"result"}


#: A process that is killed before its n-th rename: the place and n are its arguments.
KILLED = """
import os, signal, sys
from pathlib import Path
from mstar.files import replacing_files, replacing_folder
replace, calls = os.replace, []
def killed(*arguments):
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(replace(*arguments))
os.replace = killed
"""
FOLDER = """
with replacing_folder(sys.argv[1]) as made:
    (made / "a").write_text("new")
"""


@pytest.mark.parametrize("moves", [0, 1])
def test_after_a_kill_the_next_start_restores_the_old_one(old, moves):
    done = subprocess.run([sys.executable, "-c", KILLED + FOLDER, str(old), str(moves)])
    assert done.returncode == -signal.SIGKILL and old.exists() == (moves == 0)
    assert len(left(old)) == 2 - moves
    with pytest.raises(ValueError, match="stopped"), replacing_folder(old):
        assert (old / "a").read_text() == "old"
        raise ValueError("stopped")
    assert (old / "a").read_text() == "old" and left(old) == {"result"}


def test_what_others_have_in_hand_stays(old):
    own = old.parent / ".result.backup12"
    (own / "mine").mkdir(parents=True)
    with replacing_folder(old) as made:
        (made / "a").write_text("new")
        assert restored(old) == old and made.is_dir()
        assert len(left(old)) == 3
    assert (old / "a").read_text() == "new" and left(old) == {"result", ".result.backup12"}


PAGE, PARTS = "page", ("notebook", "numbers", "trace")
MOVED = """
with replacing_files(Path(sys.argv[1]), "page") as made:
    (made / "trace").mkdir()
    for name in ("page", "notebook", "numbers", "trace/0", "new"):
        (made / name).write_text("new")
"""


@pytest.fixture
def page(tmp_path):
    """A page and what belongs to it, of a day ago, and something of the user's."""
    folder = tmp_path / "out"
    (folder / "trace").mkdir(parents=True)
    for name in (PAGE, *PARTS[:2], "trace/0", "mine"):
        (folder / name).write_text("old")
    return folder


def held(folder):
    """What each file says; of a folder what is in it does."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".making" not in path.parts
    }


@pytest.mark.parametrize("moves", range(10))
def test_files_that_belong_together_move_together(page, moves):
    """Killed before each move, and the next start stopped too; the last has none left to wait."""
    before = held(page)
    after = dict.fromkeys((*before, "new"), "new") | {"mine": "old"}
    done = subprocess.run([sys.executable, "-c", KILLED + MOVED, str(page), str(moves)])
    assert done.returncode == (-signal.SIGKILL if moves < 9 else 0)
    now = held(page)
    if PAGE in now:  # never beside those of another time
        assert now in (before, after)
    with pytest.raises(KeyboardInterrupt), replacing_files(page, PAGE) as made:
        (made / PAGE).write_text("newer")
        raise KeyboardInterrupt
    now = held(page)
    now.pop("new", None)
    assert now == (before if moves < 9 else {name: after[name] for name in before})
    assert not (page / ".making").exists()


@pytest.mark.parametrize("moves", range(9))
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("full")])
def test_files_that_could_not_all_move_have_not_moved(page, monkeypatch, error, moves):
    before, replace, calls = held(page), os.replace, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == moves + 1:
            raise error
        replace(*arguments)

    monkeypatch.setattr(os, "replace", failing)
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind), replacing_files(page, PAGE) as made:
        (made / "trace").mkdir()
        for name in (PAGE, *PARTS[:2], "trace/0", "new"):
            (made / name).write_text("new")
    now = held(page)
    now.pop("new", None)
    assert now == before and not (page / ".making").exists()


def test_a_folder_that_nothing_came_of_is_not_left(tmp_path):
    folder = tmp_path / "a" / "b"
    with pytest.raises(KeyboardInterrupt), replacing_files(folder, PAGE) as made:
        (made / "trace").mkdir()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with replacing_files(folder, PAGE) as made:
        (made / PAGE).write_text("new")
        script = (
            f"from mstar.files import *; replacing_files(Path({str(folder)!r}), 'x').__enter__()"
        )
        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert "is being written by another run" in second.stderr
    assert held(folder) == {PAGE: "new"} and [path.name for path in folder.iterdir()] == [PAGE]


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("named", ["NFC", "NFD"])
def test_letters_with_accents_in_both_ways(tmp_path, stored, named):
    name = "straße/café ñ.jpg"
    path = tmp_path / unicodedata.normalize(stored, name)
    path.parent.mkdir()
    path.write_text("")
    assert as_stored(tmp_path, unicodedata.normalize(named, name)) == path
    missing = unicodedata.normalize(named, "thé.jpg")
    assert as_stored(tmp_path, missing) == tmp_path / missing
