"""What the parts share: their arguments, the device, one fact after another, and a clock."""

import argparse
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .report import Results


class LargestWeight:
    """Stands in for `torch.multinomial`, so that two devices draw the same."""

    def __call__(self, weights: torch.Tensor, count: int) -> torch.Tensor:
        return weights.argmax(dim=1, keepdim=True)


def hurry() -> None:
    """For a tiny run: nothing is judged, and no word knows what it may be taken for."""
    from mstar.training import batching
    from mstar.training.loop import trainer

    trainer.judge = lambda *_: {}
    batching.similar = lambda lexicon: {}


class Part:
    """One part of a run, in a process of its own.

    Attributes:
        tiny: whether sizes are as small as can be, to try the whole path without a GPU.
        device: `cuda`, or `cpu` in a tiny run without one.
        results: where facts go.
    """

    def __init__(self, name: str):
        parser = argparse.ArgumentParser(prog=f"start.py {name}")
        parser.add_argument("out", type=Path)
        parser.add_argument("--tiny", action="store_true")
        parser.add_argument("--seconds", type=float, default=600, help="nothing begins after them")
        args = parser.parse_args()
        self.tiny, self.results = args.tiny, Results(args.out, name)
        self.deadline = time.monotonic() + args.seconds
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cpu" and not self.tiny:
            sys.exit("no CUDA device here: use --tiny to try the path without one.")
        # fp32 is fp32: TF32 would hide errors and flatter the rate
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def run(self, *facts: Callable[["Part"], None]) -> None:
        """One after the other; what raises or comes too late leaves a row that says so."""
        for fact in facts:
            name = fact.__doc__.splitlines()[0].rstrip(".")
            if time.monotonic() > self.deadline:
                self.results.add(name, ok=False, note="left out: no time was left")
                continue
            with self.recorded(name):
                fact(self)

    @contextmanager
    def recorded(self, name: str) -> Iterator[None]:
        """What raises inside is a fact, too."""
        try:
            yield
        except Exception as problem:
            traceback.print_exc()
            why = str(problem).strip().splitlines() or [""]
            self.results.add(name, ok=False, note=f"{type(problem).__name__}: {why[0][:300]}")
        finally:
            if self.device == "cuda":
                torch.cuda.empty_cache()

    def seconds(self, call: Callable[[], object], least: float = 1.0, most: int = 20) -> float:
        """Of a call, the median: one that warms up, then until `least` seconds are over."""
        call()
        self.wait()
        times: list[float] = []
        while len(times) < (1 if self.tiny else 3) or (sum(times) < least and len(times) < most):
            began = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - began)
            if self.tiny:
                break
        return statistics.median(times)

    def wait(self) -> None:
        """Until the device has done what it was asked to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def fitting(self, batch: int, call: Callable[[int], object]) -> int:
        """The largest of batch, batch / 2, … for which the call has memory enough."""
        while True:
            try:
                call(batch)
                self.wait()
                return batch
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
            batch //= 2  # outside: the error holds on to what was allocated
            torch.cuda.empty_cache()
