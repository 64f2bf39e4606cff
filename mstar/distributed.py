"""What several processes do together, with gradients that add up to those of one process.

Every process computes the same loss from what all of them gathered. A gradient therefore comes
back to its owner as often as there are processes, and data-parallel training, which takes the mean
over the processes, gives what one process would have found for the joined batch. Without
`torch.distributed`, or with one process, everything here leaves its input as it is.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from mstar.errors import UserError

T = TypeVar("T")

#: A process may wait for the others: their shares of a large folder, or of a slow machine, take
#: long. One that is killed is seen at once.
_PATIENCE = timedelta(days=7)


@contextmanager
def joined() -> Iterator[int]:
    """The processes that `accelerate launch` or torchrun started, as a group; yields the rank.

    They tell each other little, over the CPU (gloo). Each has the GPU of its number, where there
    are some. A process that was started by itself is its own first.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield 0
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    dist.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()


def processes() -> tuple[int, int]:
    """This process's rank and how many there are."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


def total(value: Tensor) -> Tensor:
    """The sum over all processes, of tensors of one shape."""
    return value if processes()[1] == 1 else _Total.apply(value)


def gather(rows: Tensor) -> Tensor:
    """The rows [n, …] of all processes, process after process; n may differ between them.

    A plain all-gather aborts the process on different shapes and has no gradient. Here each
    process lays its rows into zeros at their place, and the sum puts them together.
    """
    rank, count = processes()
    if count == 1:
        return rows
    lengths = torch.zeros(count, dtype=torch.long, device=rows.device)
    lengths[rank] = len(rows)
    dist.all_reduce(lengths)
    ends = lengths.cumsum(0)
    before = rows.new_zeros(int(ends[rank]) - len(rows), *rows.shape[1:])
    after = rows.new_zeros(int(ends[-1] - ends[rank]), *rows.shape[1:])
    return total(torch.cat([before, rows, after]))


def share(count: int) -> slice:
    """This process's part of `count` things; parts differ by one at most, `gather` joins them."""
    rank, size = processes()
    return slice(count * rank // size, count * (rank + 1) // size)


def of_first(value: Tensor) -> Tensor:
    """The first process's tensor, on all of them; for what was drawn by lot. No gradient.

    The others' may have another length.
    """
    if processes()[1] == 1:
        return value
    values = [value.cpu()]
    dist.broadcast_object_list(values, 0)
    return values[0].to(value.device)


def gather_lists(own: list) -> list:
    """The entries of every process's list, of whatever kind, process after process."""
    count = processes()[1]
    if count == 1:
        return own
    lists: list[list] = [[]] * count
    dist.all_gather_object(lists, own)
    return [entry for entries in lists for entry in entries]


def together(work: Callable[[], T], waiting: Callable[[], None] = lambda: None) -> T:
    """What `work` returns here, when all processes are through with theirs.

    Args:
        waiting: called again and again until then.

    Raises:
        UserError, OSError: of `work` here, or else in another process; that one has ended.
    """
    if processes()[1] == 1:
        return work()
    try:
        value, error = work(), None
    except (UserError, OSError) as raised:
        value, error = None, raised
    try:
        others = dist.all_reduce(torch.zeros(1), async_op=True)
        while not others.is_completed():  # what blocks would not hear Ctrl-C
            waiting()
            time.sleep(0.1)
        others.wait()
        errors = [one for one in gather_lists([error]) if one]
    except RuntimeError as gone:
        raise UserError(
            "another process of this run has ended: what was finished is kept; run the command "
            "again."
        ) from gone
    if errors:
        raise error or errors[0]
    return value


def by_first(work: Callable[[], T]) -> T:
    """What `work` returns in the first process, in all of them; errors as of `together`."""
    values = [together(lambda: work() if processes()[0] == 0 else None)]
    if processes()[1] > 1:
        dist.broadcast_object_list(values, 0)
    return values[0]
