"""Broken files of every kind that is read: a sentence or an answer, never a traceback, no hang, and
nothing lost.

`MSTAR_HOSTILE=20` makes twenty times as many cases, `MSTAR_HOSTILE_SEED=7` others.
"""

import os
import random
import shutil
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

from mstar.errors import UserError
from tests.hostile.subjects import SUBJECTS, Subject

TIMES, SEED = float(os.environ.get("MSTAR_HOSTILE", 1)), os.environ.get("MSTAR_HOSTILE_SEED", "0")
#: Cases of a subject of share 1, and the most seconds that one may take.
CASES, SECONDS = 17, 20


class Hung(BaseException):
    """No `except Exception` of the product's may take it for a fault of the file."""


@contextmanager
def at_most(seconds: float):
    def hung(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def wrong(subject: Subject, folder: Path, capsys) -> str | None:
    """What reading did that it may not; None = an answer, or a sentence."""
    try:
        with at_most(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = subject.read(folder)
    except UserError as error:
        said = str(error)
        return None if said and "\n" not in said else f"no sentence: {said!r}"
    except OSError as error:
        named = error.filename is not None or isinstance(error, FileNotFoundError)
        return None if named else f"an OSError without a file: {error!r}"
    except (Exception, Hung) as error:
        return f"{type(error).__name__}: {str(error)[:200]!r}"
    except BaseException as error:  # of a library that is no Python
        return f"a panic: {type(error).__name__}: {str(error)[:200]!r}"
    printed = capsys.readouterr()
    if code not in (0, 2, None) or "Traceback" in printed.err:
        return f"exit code {code}: {printed.err[-200:]!r}"
    if code == 2 and printed.err.count("mstar: error: ") != 1:
        return f"no sentence: {printed.err!r}"
    if code == 2 and subject.writes and (folder / subject.writes).exists():
        return f"{subject.writes} was left behind"
    return None


@pytest.mark.parametrize("name", SUBJECTS)
def test_broken_files(name, tmp_path, capsys):
    if name == "nearest":
        pytest.importorskip("faiss", reason="an extra, `faiss`, of 19 MB")
    subject, folder = SUBJECTS[name], tmp_path / "whole"
    folder.mkdir()
    subject.make(folder)
    assert wrong(subject, folder, capsys) is None, "it can be read while it is whole"
    if subject.writes:
        shutil.rmtree(folder / subject.writes)
    whole, failed = contents(folder), []
    for number in range(round(CASES * subject.share * TIMES)):
        rng = random.Random(f"{SEED} {name} {number}")
        file = rng.choice(list(subject.files))
        broken = subject.files[file](whole[file], rng)
        (folder / file).write_bytes(broken)
        if problem := wrong(subject, folder, capsys):
            failed.append(f"case {number}, {file}: {problem}")
        if subject.writes:
            shutil.rmtree(folder / subject.writes, ignore_errors=True)
        if contents(folder) != whole | {file: broken}:
            failed.append(f"case {number}, {file}: files were changed, lost or left behind")
        (folder / file).write_bytes(whole[file])
    assert failed == [], "\n".join(failed)


def test_there_are_enough_cases():
    assert sum(round(CASES * one.share) for one in SUBJECTS.values()) >= 500
