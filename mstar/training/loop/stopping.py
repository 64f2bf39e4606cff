"""Ctrl-C while training: the step that runs is finished, and what was learnt is saved."""

import os
import signal
import threading
from types import FrameType
from typing import Any

_STOPS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Inside the block a stop only sets `asked`, once: pressed again, it stops at once.

    Of several processes, and in other threads than the first, nothing is different.

    Attributes:
        asked: whether it came.
    """

    def __init__(self, processes: int = 1):
        self.asked, self._process = False, os.getpid()
        self._before: dict[int, Any] = {}
        self._alone = processes == 1 and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Stopping":
        for stop in _STOPS if self._alone else ():
            if signal.getsignal(stop) is signal.default_int_handler:
                self._before[stop] = signal.signal(stop, self._hear)
        return self

    def __exit__(self, *raised: object) -> None:
        for stop, handler in self._before.items():
            signal.signal(stop, handler)

    def _hear(self, stop: int, frame: FrameType | None) -> None:
        if self.asked or os.getpid() != self._process:  # a loader is to end at once
            raise KeyboardInterrupt
        self.asked = True
