"""Files are written beside their place and then moved into it: nothing is ever half written."""

import glob
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mstar.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: what a killed run leaves beside a folder stays there
    fcntl = None

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


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, moved to it if the block ends without an error.

    Raises:
        UserError: something that is not an empty folder is already there.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already: give a new or an empty folder.")
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
    made, old, lock = scratch / _NEW, scratch / _OLD, _held(scratch)
    try:
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
        if not os.path.lexists(old) or os.path.lexists(path):  # else it is all that is left
            shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def restored(path: str | Path) -> Path:
    """The path of a folder, put back where a run that was killed had moved it out of the way.

    What else such a run left beside it is deleted.
    """
    path = Path(path)
    if not path.parent.is_dir():
        return path
    left = [one for one in path.parent.glob(f".{glob.escape(path.name)}.*") if _is_left(one)]
    for scratch in sorted(left, key=lambda one: one.stat().st_mtime_ns, reverse=True):
        lock = _held(scratch)
        try:
            if lock is None and fcntl is not None:
                continue  # another run is at it
            if not os.path.lexists(path) and os.path.lexists(scratch / _OLD):
                os.replace(scratch / _OLD, path)
            if fcntl is not None:
                shutil.rmtree(scratch, ignore_errors=True)
        finally:
            if lock is not None:
                os.close(lock)
    return path


def _is_left(scratch: Path) -> bool:
    """Whether it is a temporary folder of `replacing_folder`."""
    if scratch.is_symlink() or not scratch.is_dir() or len(scratch.suffix) != 9:
        return False
    return {path.name for path in scratch.iterdir()} in ({_OLD}, {_NEW}, {_OLD, _NEW})


def _held(folder: Path) -> int | None:
    """The folder locked for this process, until what is returned is closed; None = it is not."""
    if fcntl is None:
        return None
    opened = None
    try:
        opened = os.open(folder, os.O_RDONLY)
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return opened
    except OSError:  # another has it, or the file system has no locks
        if opened is not None:
            os.close(opened)
        return None


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
