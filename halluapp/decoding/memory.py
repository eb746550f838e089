"""What to do when memory is short: decode the methods in smaller groups, one group after another."""

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
    """Gives back what a failed attempt held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halves(group: Group) -> list[Group]:
    """The methods of a group in two groups of about as many; one group of one method stays as it is."""
    places = [(job, method) for job, methods in enumerate(group) for method in methods]
    middle = (len(places) + 1) // 2
    parts = [part for part in (places[:middle], places[middle:]) if part]
    return [[[method for place, method in part if place == job] for job in range(len(group))] for part in parts]
