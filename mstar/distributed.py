"""What several processes compute together, with gradients that add up to those of one process.

Every process computes the same loss from what all of them gathered. A gradient therefore comes
back to its owner as often as there are processes, and data-parallel training, which takes the mean
over the processes, gives what one process would have found for the joined batch. Without
`torch.distributed`, or with one process, everything here leaves its input as it is.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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
