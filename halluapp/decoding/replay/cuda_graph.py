"""A decode step as a CUDA graph: recorded once, replayed as one launch instead of a thousand. Only for CUDA devices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from halluapp.decoding.replay.fixed_cache import StepOutput

# PyTorch's own check at every replay that no tensor which the graph reads was freed. Costs seconds a recording: tests.
CHECK_INPUTS = False
_one_at_a_time = threading.Lock()  # a process records one graph at a time, of whatever model


class Recording:
    """One step, recorded. `ready` as `FixedRows.ready`; what the step reads must stay where it is.

    Raises RuntimeError where CUDA refuses: something in the forward waits for the GPU or allocates outside the pool.
    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, step_context: Callable[[], AbstractContextManager]):
        here, side = torch.cuda.current_stream(), torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        checks = {"check_input_liveness": True} if CHECK_INPUTS else {}
        with _one_at_a_time, step_context() as (forward, kept):
            side.wait_stream(here)
            with torch.cuda.stream(side):
                forward()  # libraries set themselves up at their first call on a stream, which cannot be recorded
            here.wait_stream(side)
            # thread_local: what other requests allocate meanwhile is none of this recording's business.
            with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local", **checks):
                self._made = forward()
        self._kept = kept

    def replay(self) -> StepOutput:
        """The step over what lies in its inputs now. The caller holds the model's lock."""
        self._graph.replay()
        logits, places = self._made
        return logits.clone(), {place: hidden.clone() for place, hidden in places.items()}


def time_run(run: Callable[[], StepOutput]) -> tuple[StepOutput, float]:
    """What a run gives, and the milliseconds between two events on the GPU around it, gaps between kernels included."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    made = run()
    end.record()
    end.synchronize()
    return made, begin.elapsed_time(end)
