"""Files are written beside their place and then moved into it: nothing is ever half written."""

import glob
import json
import os
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mstar.errors import UserError

#: Held in a folder by the run that writes there; the lock of a run that was killed is free.
LOCK = ".lock"
#: In the folder of a result, while it is being made.
MAKING = ".making"
_OLD, _NEW = "old", "new"  # within the temporary folder, while a new one takes its place


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder, moved to `path` if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; what a user keeps follows the umask like any other file
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Raises UserError if something that is not an empty folder is there."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already: give a new or an empty folder.")


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, moved to it if the block ends without an error.

    Raises:
        UserError: something that is not an empty folder is already there.
    """
    path = Path(path)
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes its place if the block ends without an error.

    For folders of results only: what was in `path` is deleted. Whatever is raised, the old one is
    in its place again; after a kill between the two moves `restored` puts it back, as this does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    restored(path)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    made, old, lock = scratch / _NEW, scratch / _OLD, FileLock(scratch / LOCK)
    try:
        lock.acquire()
        made.mkdir()
        yield made
        if os.path.lexists(path):
            os.replace(path, old)
        os.replace(made, path)
    except BaseException:
        if os.path.lexists(old):
            if os.path.lexists(path):
                os.replace(path, made)
            os.replace(old, path)
        raise
    finally:
        lock.release()
        if not os.path.lexists(old) or os.path.lexists(path):  # else it is all that is left
            shutil.rmtree(scratch, ignore_errors=True)


def restored(path: str | Path) -> Path:
    """The path of a folder, put back where a run that was killed had moved it out of the way.

    What else such a run left beside it is deleted.
    """
    path = Path(path)
    if not path.parent.is_dir():
        return path
    left = [one for one in path.parent.glob(f".{glob.escape(path.name)}.*") if _is_left(one)]
    for scratch in sorted(left, key=lambda one: one.stat().st_mtime_ns, reverse=True):
        with suppress(Timeout), FileLock(scratch / LOCK, timeout=0):  # else another run is at it
            if not os.path.lexists(path) and os.path.lexists(scratch / _OLD):
                os.replace(scratch / _OLD, path)
            shutil.rmtree(scratch, ignore_errors=True)
    return path


def _is_left(scratch: Path) -> bool:
    """Whether it is a temporary folder of `replacing_folder`."""
    if scratch.is_symlink() or not scratch.is_dir() or len(scratch.suffix) != 9:
        return False
    names = {path.name for path in scratch.iterdir()}
    return bool(names) and names <= {LOCK, _OLD, _NEW}


@contextmanager
def replacing_files(folder: Path, last: str) -> Iterator[Path]:
    """A temporary folder within `folder`; what is in it in the end moves there, all or nothing.

    Whatever is raised, what was there is there again; after a kill between two moves the next start
    sees to that.

    Args:
        last: the file that shows the others: it never stands beside those of another time.

    Raises:
        UserError: another run is making something there.
    """
    made = folder / MAKING
    with locked(made, "result"):
        try:
            if os.path.lexists(made / last):  # else the last one that was stopped had moved all
                _put_back(made, folder)
            _empty(made)
            yield made
            names = sorted(_names(made), key=lambda name: name == last)
            (made / _OLD).mkdir()
            try:
                for name in reversed(names):
                    if os.path.lexists(folder / name):
                        os.replace(folder / name, made / _OLD / name)
                for name in names:
                    os.replace(made / name, folder / name)
            except BaseException:
                _put_back(made, folder)
                raise
        finally:
            _empty(made)
            (made / LOCK).unlink()  # while it is held
            with suppress(OSError):
                made.rmdir()


def _names(made: Path) -> list[str]:
    return [path.name for path in made.iterdir() if path.name != LOCK]


def _put_back(made: Path, folder: Path) -> None:
    """Undo what was moved."""
    old = made / _OLD
    for kept in [*old.iterdir()] if old.is_dir() else ():
        if os.path.lexists(folder / kept.name):
            os.replace(folder / kept.name, made / kept.name)
        os.replace(kept, folder / kept.name)


def _empty(made: Path) -> None:
    for name in _names(made):
        path = made / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """A folder, made if it is not there, for one run alone.

    Where nothing came of it, no folder is left that was not there.

    Args:
        what: it is, in a word.

    Raises:
        UserError: another run has it.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    check_regular(folder / LOCK, what)  # a pipe would wait for ever, a link lead elsewhere
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"the {what} {folder} is being written by another run: wait for it, or give another "
            "folder."
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            if made and [one.name for one in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()  # while it is held
        lock.release()
        for one in made:  # those that are empty
            with suppress(OSError):
                one.rmdir()


def check_regular(path: Path, what: str) -> None:
    """See that a file of a folder is one, if it is there, and no link: none leads out of it.

    Args:
        what: the folder is, in a word.

    Raises:
        UserError: it is something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"))
        kind = next((said for is_kind, said in kinds if is_kind(mode)), "no regular file")
        raise UserError(
            f"{path} is {kind}: a {what} has regular files alone; put the file itself there, or "
            f"take it out of the {what}."
        )


def read_json(path: str | Path, kind: type = dict, **options: Any) -> Any:
    """What a JSON file holds: an object, or a list.

    Args:
        kind: dict or list.
        options: of `json.loads`.

    Raises:
        UserError: it is broken, or holds something else.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8-sig"), **options)
    except UserError as error:  # of a hook among the options
        raise UserError(f"{path}: {error}") from None
    except RecursionError:
        raise UserError(f"{path} is not valid JSON: it is nested too deeply.") from None
    except ValueError as error:  # no JSON, no UTF-8, a number of thousands of digits
        raise UserError(f"{path} is not valid JSON: {str(error).rstrip('.')}.") from None
    if not isinstance(found, kind):
        names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
        got = names.get(type(found), "nothing" if found is None else "a number")
        raise UserError(f"{path} should hold {names[kind]}; got {got}.")
    return found


def as_stored(folder: Path, name: str) -> Path:
    """The path of a file by its name, also where its letters with accents are written otherwise.

    macOS writes é as e and an accent (NFD), nearly everybody else as one character (NFC). If there
    is no such file, the path that the name says.
    """
    path = folder / name
    if name.isascii() or os.path.lexists(path):
        return path
    found = Path(folder)
    for part in Path(name).parts:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        there = next((one for one in forms if os.path.lexists(found / one)), None)
        if there is None:
            return path
        found /= there
    return found


def said(error: OSError) -> str:
    """What went wrong with which file, in a sentence, without the number that Python puts first."""
    if error.strerror is None:
        return str(error)
    return f"{error.strerror}: {error.filename}." if error.filename else f"{error.strerror}."
