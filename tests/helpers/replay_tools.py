"""Stand-ins for `cuda_graph` on machines without a GPU: recordings that are exact, wrong, slow or impossible."""

from __future__ import annotations

import torch
from replay_modes import (
    GraphHazards,
)

from halluapp.decoding.replay import policy


class StepAgain:
    """Stands in for `cuda_graph` where there is no GPU: a recording is the step itself, taken again."""

    replay_milliseconds = 1.0

    def __init__(self):
        self.recordings = self.replays = 0

    def time_run(self, run):
        return run(), self.replay_milliseconds if run.__name__ == "replay" else 2.0

    def Recording(self, step_context):
        self.recordings += 1
        return _StepRecording(step_context, self)

    def replay(self, step_context):
        with step_context() as (forward, _):
            return forward()


class _StepRecording:
    """Holds the references of `cuda_graph.Recording`, and fails where a graph would read freed memory."""

    def __init__(self, step_context, tools):
        self.step_context, self.tools = step_context, tools
        with step_context() as (forward, self.hooks), GraphHazards() as self.hazards:
            forward()

    def replay(self):
        if self.hazards.freed() or self.hazards.hazards:
            raise RuntimeError("the recording reads what was freed, or waits")
        self.tools.replays += 1
        return self.tools.replay(self.step_context)


class NotRecordable(StepAgain):
    def Recording(self, step_context):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing.\nCUDA kernel errors might")


class OutOfMemory(StepAgain):
    def Recording(self, step_context):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class FailingReplay(StepAgain):
    """Fails after some replays."""

    def replay(self, step_context):
        if self.replays > policy.ROUNDS + 1:
            raise RuntimeError("CUDA graph replay detected 1 dead tensor(s).")
        return super().replay(step_context)


class WrongReplay(StepAgain):
    def replay(self, step_context):
        logits, places = super().replay(step_context)
        return logits.roll(1, -1), places


class NanReplay(StepAgain):
    def replay(self, step_context):
        logits, places = super().replay(step_context)
        return logits * torch.nan, places


class FrozenReplay(StepAgain):
    """Repeats the recorded step's output: right for that step, stale for the next."""

    def Recording(self, step_context):
        self.output = super().replay(step_context)
        return super().Recording(step_context)

    def replay(self, step_context):
        return self.output


class SlowReplay(StepAgain):
    replay_milliseconds = 3.0
