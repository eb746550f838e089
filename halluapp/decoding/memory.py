"""Short memory: the methods are decoded in smaller groups, one group after another."""

from __future__ import annotations

import gc

import torch

from halluapp.methods.base import Method

Group = list[list[Method]]  # methods by job


def is_short(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def release() -> None:
    """Frees the memory of a failed attempt."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halves(group: Group) -> list[Group]:
    """The methods of a group in two groups of about as many; one group of one method stays as it is."""
    pairs = [(job, method) for job, methods in enumerate(group) for method in methods]
    middle = (len(pairs) + 1) // 2
    halves = [half for half in (pairs[:middle], pairs[middle:]) if half]
    return [[[method for index, method in half if index == job] for job in range(len(group))] for half in halves]
