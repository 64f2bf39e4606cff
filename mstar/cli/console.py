"""What the command line prints: whole, plain, and to the end."""

import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mstar.errors import UserError


def printable(name: str) -> str:
    """A file name as a terminal may have it: on Linux it can hold any bytes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def flush() -> None:
    """What was printed, written: raises what stands against it, once."""
    if sys.stdout is None or sys.stdout.closed:
        return
    try:
        sys.stdout.flush()
    except OSError:
        close_output()
        raise


def close_output() -> None:
    """Print no more: what is left would be tried again while Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr) if _broken(sys.stderr) else (sys.stdout,):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _broken(stream: object) -> bool:
    try:
        stream.flush()
        return False
    except (OSError, ValueError, AttributeError):
        return True


@contextmanager
def plain_output() -> Iterator[None]:
    """What a terminal cannot show is replaced in the block, and a warning is one line, once."""
    before, seen, show = getattr(sys.stdout, "errors", None), set(), warnings.showwarning
    stream = sys.stdout

    def one_line(message, category, *where) -> None:
        if not issubclass(category, UserWarning):
            show(message, category, *where)
        elif str(message) not in seen:
            seen.add(str(message))
            print(f"mstar: {printable(str(message))}", file=sys.stderr)

    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    warnings.showwarning = one_line
    try:
        yield
    finally:
        warnings.showwarning = show
        if hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors=before)


@contextmanager
def first_speaks() -> Iterator[bool]:
    """The processes that `accelerate launch` started, in one group; whether this is the first.

    It alone prints and shows progress: what ends all of them is said once.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:  # by itself: no torch is needed
        yield True
        return
    if os.environ.get("RANK", "0") != "0":
        os.environ["TQDM_DISABLE"] = "1"  # before it is loaded
    from mstar.distributed import joined

    with joined() as rank:
        try:
            yield rank == 0
        except (UserError, OSError, KeyboardInterrupt) as error:
            if rank == 0:
                raise
            with suppress(KeyboardInterrupt):
                time.sleep(10)  # the launcher ends all with the first to end: it has to say why
            sys.exit(130 if isinstance(error, KeyboardInterrupt) else 2)
