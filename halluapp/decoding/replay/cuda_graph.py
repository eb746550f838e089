"""A decode step as a CUDA graph: recorded once, replayed as one launch instead of a thousand. Only for CUDA devices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from halluapp.decoding.batch import StepOutput

# PyTorch's own check at every replay that no tensor which the graph reads was freed. Costs seconds a recording: tests.
CHECK_INPUTS = False
_recording_lock = threading.Lock()  # a process records one graph at a time, of whatever model


class Recording:
    """One recorded step. `step_context` as `FixedRows.step_context`; its input tensors must keep their addresses.

    Raises RuntimeError where CUDA refuses: something in the forward waits for the GPU or allocates outside the pool.
    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, step_context: Callable[[], AbstractContextManager]):
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        checks: dict[str, Any] = {"check_input_liveness": True} if CHECK_INPUTS else {}
        with _recording_lock, step_context() as (forward, hooks):
            side.wait_stream(current)
            with torch.cuda.stream(side):
                forward()  # libraries set themselves up at their first call on a stream, which cannot be recorded
            current.wait_stream(side)
            # thread_local: allocations of other requests meanwhile do not disturb this recording.
            with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local", **checks):
                self._output = forward()
        self._hooks = hooks  # they own tensors that the graph reads

    def replay(self) -> StepOutput:
        """The step over the present values of its inputs. The caller holds the model's lock."""
        self._graph.replay()
        logits, early = self._output
        return logits.clone(), {key: hidden.clone() for key, hidden in early.items()}


def time_run(run: Callable[[], StepOutput]) -> tuple[StepOutput, float]:
    """(output of a run, milliseconds between two GPU events around it, gaps between kernels included)."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    output = run()
    end.record()
    end.synchronize()
    return output, begin.elapsed_time(end)
