"""Short memory: the methods are decoded in smaller groups, one group after another."""

from __future__ import annotations

import gc

import torch

from halluapp.decoding.events import Decoded, MethodEvent
from halluapp.methods.base import Method

Group = list[list[Method]]  # methods by job
# Words of errors that torch raises as other ones than OutOfMemoryError: of the CPU, of CUDA's runtime, and of cuBLAS
# and cuDNN, which ask for workspace of their own.
SHORT_MEMORY = ("allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class EventLog:
    """The events that were yielded: a group that is decoded again in parts yields none twice and changes no token."""

    def __init__(self) -> None:
        self._answers: dict[tuple[int, str], list[int]] = {}
        self._ended: set[tuple[int, str]] = set()

    def is_new(self, job: int, event: MethodEvent) -> bool:
        """Whether an event was not yielded before; it counts as yielded from now on."""
        if not isinstance(event, Decoded):
            self._ended.add((job, event.method))
            return True
        answer = self._answers.setdefault((job, event.method), [])
        if event.index < len(answer):
            return False
        answer.append(event.token.id)
        return True

    def answer(self, job: int, method: str) -> tuple[int, ...]:
        """The tokens of an answer that were yielded."""
        return tuple(self._answers.get((job, method), ()))

    def unfinished(self, group: Group) -> Group:
        """The methods of a group that have not ended."""
        return [[one for one in methods if (job, one.name) not in self._ended] for job, methods in enumerate(group)]


def is_short(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT_MEMORY)
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
