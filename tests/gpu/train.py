"""Train on photographs for some minutes, and keep what was learnt as it goes.

    OUT/curve.jsonl      a line a step
    OUT/checkpoint.tar   `checkpoint/`: the weights so far, in half precision

The run itself lies elsewhere: its states are large. One file, moved into its place when it is
whole, is never half a checkpoint.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .report import Results

CURVE, CHECKPOINT = "curve.jsonl", "checkpoint.tar"
#: Seconds between two copies, and those that saving may take after the time is up.
EVERY, GRACE = 15, 40
_MAIN = "import sys; from mstar.cli.__main__ import main; sys.exit(main())"


def command(
    data: Path, init: Path, out: Path, minutes: float, workers: int, precision: str
) -> list[str]:
    """`mstar train` on a folder that `pack_data` packed, without the program.

    Raises:
        ValueError: the folder has no list of photographs.
    """
    options = [
        ("--real", "photographs.json", True),
        ("--incomplete", "incomplete.json", True),
        ("--crops", "words.json", True),
        ("--backgrounds", "backgrounds", False),
    ]
    if not (data / "photographs.json").is_file():
        raise ValueError(f"{data} has no photographs.json: pack it with pack_data.py.")
    given = ["train", "--recipe", "photographs", "--init", str(init)]
    for option, name, is_list in options:
        if (data / name).exists():
            given += [option, str(data / name), *([str(data)] if is_list else [])]
    given += ["--minutes", f"{minutes:g}", "--workers", str(workers), "--precision", precision]
    return [*given, "--out", str(out)]


def keep(run: Path, out: Path) -> str:
    """Copy what a run has so far; says what the weights are."""
    if (run / CURVE).is_file():
        _placed(out / CURVE, lambda part: shutil.copyfile(run / CURVE, part))
    if (run / "checkpoint" / "config.json").is_file():
        _packed(run / "checkpoint", out)
        return "the run's own checkpoint"
    return "none"


def _packed(checkpoint: Path, out: Path) -> None:
    def write(part: Path) -> None:
        with tarfile.open(part, "w") as archive:
            archive.add(checkpoint, "checkpoint")

    _placed(out / CHECKPOINT, write)


def _placed(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}")
    write(part)
    os.replace(part, path)


def train(
    program: Sequence[str], given: list[str], run: Path, out: Path, seconds: float
) -> tuple[int, str]:
    """Run the command, copying as it goes; its exit code, and what the weights are.

    When its time and the grace are up it is interrupted as from the keyboard.
    """
    process = subprocess.Popen([*program, *given])
    end, kept, stopped = time.monotonic() + seconds, "none", False
    while process.poll() is None:
        try:
            process.wait(min(EVERY, max(0.1, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            kept = _kept(run, out, kept)
        if process.poll() is None and time.monotonic() > end:
            if stopped:
                process.kill()
                process.wait()
                break
            process.send_signal(signal.SIGINT)
            end, stopped = time.monotonic() + 10, True
    return process.returncode, _kept(run, out, kept)


def _kept(run: Path, out: Path, before: str) -> str:
    """A checkpoint that is just being replaced is copied the next time."""
    try:
        return keep(run, out)
    except (OSError, ValueError, RuntimeError, KeyError) as problem:
        print(f"not copied: {problem}", file=sys.stderr)
        return before


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="start.py train", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--init", type=Path, default=root / "mstar/assets/checkpoint")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--tiny", action="store_true", help="no worker, no bf16")
    args = parser.parse_args()
    results = Results(args.out, "train")
    workers, precision = (0, "no") if args.tiny else (args.workers, "bf16")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        began = time.monotonic()
        given = command(args.data, args.init, run, args.minutes, workers, precision)
        print("mstar", *given, flush=True)
        # another program stands in where the path is tried
        program = os.environ.get("MSTAR_GPU_PROGRAM")
        program = [sys.executable, program] if program else [sys.executable, "-c", _MAIN]
        code, kept = train(program, given, run, args.out, 60 * args.minutes + GRACE)
    minutes = (time.monotonic() - began) / 60
    note = f"exit code {code}; {args.minutes:g} asked for; {CHECKPOINT}: {kept}"
    ok = code == 0 and kept != "none"
    results.add("training on photographs", minutes, "min", ok, note)
    if (args.out / CURVE).is_file():
        steps = len((args.out / CURVE).read_text(encoding="utf-8").splitlines())
        results.add("steps", steps, "", note=f"losses in {CURVE}")


if __name__ == "__main__":
    main()
