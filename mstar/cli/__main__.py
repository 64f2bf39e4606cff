"""`mstar …`: thin. Each subcommand adds its arguments and runs; heavy imports stay inside it."""

# ruff: noqa: E402 - Ctrl-C is seen to before anything else is loaded
import _thread
import gc
import os
import signal
import sys
import threading

#: Whether this is the command `mstar`, and not a module that somebody imports.
_COMMAND = __name__ == "__main__" or os.path.basename(sys.argv[0]).partition(".")[0] == "mstar"
if _COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main` listens: Ctrl-C simply ends it
if _COMMAND:  # imports make objects by the million that stay: looking for garbage among them
    gc.set_threshold(10_000, 50)  # again and again took 0.6 of 4.3 CPU-seconds of a search
    # Idle OpenMP threads spin: beside other work a step of training took four times the CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
#: What stops a command, from the keyboard or from a program: it then puts things in order.
_STOPS = (signal.SIGINT, signal.SIGTERM)

import argparse
import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import distribution
from typing import Any

from mstar import __version__
from mstar.cli.console import close_output, flush, plain_output, printable
from mstar.cli.convert import convert
from mstar.cli.evaluate import evaluate
from mstar.cli.galleries import calibrate, gallery, index, search
from mstar.cli.sandbox import sandbox
from mstar.cli.trace import trace
from mstar.cli.train import labels, train
from mstar.errors import UserError
from mstar.files import said

Command = Callable[[argparse.ArgumentParser], Callable[[argparse.Namespace], None]]

#: A subcommand is a function: its docstring is the help, it adds its arguments to a parser and
#: returns what runs.
_COMMANDS = (
    calibrate, convert, evaluate, gallery, index, labels, sandbox, search, trace, train,
)  # fmt: skip
#: Of the system's errors these are the user's also where they name no file: a full disk.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_A_FILE = (
    FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError,
)  # fmt: skip


def commands() -> Iterator[Command]:
    """The subcommands, those of other packages too, which declare them as entry points."""
    declared = distribution("mstar-workbench").entry_points.select(group="mstar.commands")
    found = [*_COMMANDS, *(point.load() for point in declared)]
    yield from sorted(found, key=lambda command: command.__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        0 = done; 2 = bad input, said in one sentence on stderr; 130 = stopped from the keyboard,
        or by SIGTERM.
    """
    try:
        for stop in _STOPS if _COMMAND else ():
            if signal.getsignal(stop) is signal.SIG_DFL:
                signal.signal(stop, signal.default_int_handler)
                sys.unraisablehook = _stop_again
        with plain_output():
            try:
                return _run(argv)
            finally:
                flush()
    except KeyboardInterrupt:
        with suppress(OSError):
            print("mstar: stopped; what was finished is kept.", file=sys.stderr)
        return 130  # as shells count it
    except BrokenPipeError:  # `| head -1` has what it wanted
        close_output()
        return 0
    except OSError as error:  # what was printed cannot be written, or `--traceback` raised it
        if "--traceback" in (sys.argv if argv is None else argv):
            raise
        return _told(error)


def _stop_again(lost: Any) -> None:
    """What a finaliser raises is lost, and imports run thousands: a stop that came there is made
    again, a moment later."""
    if lost.exc_type is KeyboardInterrupt:
        threading.Timer(0.1, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="mstar", description="The MSTAR workbench.")
    parser.add_argument("--version", action="version", version=f"mstar {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=lambda args: parser.print_help())
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for command in commands():
        subparser = subparsers.add_parser(
            command.__name__.replace("_", "-"), help=command.__doc__, description=command.__doc__
        )
        subparser.set_defaults(run=command(subparser))
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="mstar: %(message)s")
    logging.getLogger("mstar").setLevel(logging.INFO)
    try:
        args.run(args)
        flush()  # a full disk is said here, not while Python ends
    except BrokenPipeError:
        raise
    except (UserError, OSError) as error:
        if args.traceback:
            raise
        return _told(error)
    return 0


def _told(error: UserError | OSError) -> int:
    """The sentence of an error that the user can mend, and the exit code; others are raised."""
    why = str(error)
    if isinstance(error, OSError):
        named = error.filename is not None or isinstance(error, _OF_A_FILE)
        if not named and error.errno not in _FULL:
            raise error
        why = said(error)
    print(f"mstar: error: {printable(why)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
