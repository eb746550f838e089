"""The choice of the decode step: with a growing cache, with a fixed one, or replayed from a CUDA graph, as measured.

On a CPU a small Llama's step goes without transformers' modules (`llama_step`), once it has proved equal.

A replayed step is taken only after its output has equalled that of the ordinary step, and only where it was faster;
whatever goes wrong with it, decoding goes on with the ordinary step, and a warning says so once.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from logging import getLogger
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding import memory
from halluapp.decoding.batch import RowBatch, StepOutput
from halluapp.decoding.replay import llama_step
from halluapp.decoding.replay.fixed_cache import FixedRows
from halluapp.decoding.replay.llama_rows import LlamaRows
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.weights.placement import is_spread

PATIENCE = 4  # ordinary steps of the same rows before a recording, which costs about four of them
LEAST_REMAINING = 16  # tokens still to come that make a recording worth while
ROUNDS = 3  # replays that are timed
CHECKS = 3  # further steps, with other tokens and positions, that are taken as ordinary ones too
# Largest difference of two logits, as a part of the largest logit: kernels sum in other orders.
ROUNDING = {torch.float32: 1e-4, torch.float16: 2**-8, torch.bfloat16: 2**-5}
ANY = 0  # the key of a verdict on every number of rows


@dataclass(frozen=True)
class ReplayVerdict:
    """Whether steps of a number of rows are replayed, and why, in words: a value of `LVLM.replay_verdicts`."""

    replay: bool
    why: str


def blocker(lvlm: LVLM) -> str:
    """Why this model's step cannot have a fixed size or be recorded, in words; "" if it can.

    No method is a blocker: interventions, early exits and PAI's attention act inside the step.
    """
    config = lvlm.attention_config
    if config._attn_implementation != "sdpa":
        return f"its attention is {config._attn_implementation}, not sdpa, and wants another kind of mask"
    if getattr(config, "sliding_window", None) or set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        return "its attention has a sliding window"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if "dynamic" in rope or rope == "longrope":
        return f"its rotary embedding ({rope}) changes with the length"
    if lvlm.quantization == "int8":
        return "8-bit layers look for outliers on the CPU in every forward"
    if is_spread(lvlm.model):
        return "it is spread over several devices"
    if lvlm.device.type == "cuda" and lvlm.device.index not in (None, torch.cuda.current_device()):
        return "it is on another GPU than the one where steps are recorded"
    return ""


def choose_batch(lvlm: LVLM, batch: RowBatch, new_tokens: int) -> Batch:
    """The batch with which a prefilled one goes on; new_tokens: the largest number of steps.

    `LVLM.replay_mode`: "off", the batch itself; "auto", on CUDA whichever step was measured to be faster; "on", a fixed
    cache on any device, replayed on CUDA without asking for speed. On a CPU "auto" takes `LlamaRows` where they serve.
    """
    cuda = lvlm.device.type == "cuda"
    if lvlm.replay_mode == "off" or blocker(lvlm):
        return batch
    length = batch.mask.shape[1] + new_tokens
    if not cuda:
        return FixedRows.of(batch, length) if lvlm.replay_mode == "on" else _without_modules(lvlm, batch, length)
    from halluapp.decoding.replay import cuda_graph

    return MeasuredRows(lvlm, batch, length, new_tokens, cuda_graph)


def _without_modules(lvlm: LVLM, batch: RowBatch, length: int) -> RowBatch | LlamaRows:
    """The rows of a small Llama, or the batch itself where these do not serve or a first step of theirs differs."""
    verdict = lvlm.replay_verdicts.get(ANY)
    if llama_step.obstacle(lvlm) or not (verdict is None or verdict.replay):
        return batch
    rows = LlamaRows.of(batch, length)
    if verdict is not None:
        return rows
    without, through = rows.both_ways(lvlm)
    if difference := step_difference((without, {}), (through, {}), rows.cache.keys[0].dtype):
        lvlm.replay_verdicts[ANY] = ReplayVerdict(False, difference)
        getLogger(__name__).warning("Decoding goes on through transformers' modules: %s.", difference)
        return rows.to_growing_batch()
    lvlm.replay_verdicts[ANY] = ReplayVerdict(True, "a step without transformers' modules is equal to one through them")
    return rows


class MeasuredRows:
    """Rows that begin with ordinary steps; steps are replayed once they have proved equal and faster.

    tools: the module `cuda_graph`, or an object with its Recording and time_run.
    """

    def __init__(self, lvlm: LVLM, batch: RowBatch, length: int, new_tokens: int, tools: Any):
        self.rows: RowBatch | FixedRows = batch
        self._lvlm, self._length, self._remaining, self._tools = lvlm, length, new_tokens, tools
        self._depths: dict[int, tuple[int, ...]] = {}
        self._discard()

    @property
    def interventions(self) -> list:
        return self.rows.interventions

    def _discard(self) -> None:
        """Discards the recording, which is of these rows, interventions and depths, and the times of ordinary steps."""
        self._recording: Any = None
        self._ordinary_times: list[float] = []
        self._checks = 0

    def select(self, rows: list[int]) -> None:
        """As `RowBatch.select`."""
        self._discard()
        self.rows.select(rows)

    def step(self, lvlm: LVLM, tokens: Tensor, depths: dict[int, tuple[int, ...]]) -> StepOutput:
        """As `RowBatch.step`."""
        self._remaining -= 1
        if depths != self._depths:
            self._discard()
            self._depths = depths
        if self._recording is not None:
            return self._replay(tokens)
        output, milliseconds = self._tools.time_run(lambda: self.rows.step(lvlm, tokens, depths))
        self._ordinary_times.append(milliseconds)
        if (
            len(self._ordinary_times) == PATIENCE
            and self._remaining >= LEAST_REMAINING
            and self._may_record(len(tokens))
        ):
            self._record(tokens, output)
        return output

    def _may_record(self, rows: int) -> bool:
        verdicts = self._lvlm.replay_verdicts
        return all(key not in verdicts or verdicts[key].replay for key in (ANY, rows))

    def _record(self, tokens: Tensor, output: StepOutput) -> None:
        """Records the step that was just taken, for use if its output is equal and it is faster."""
        rows = len(tokens)
        try:
            recording, replay, milliseconds = self._try_recording(tokens)
        except Exception as error:  # whatever CUDA, a kernel or another version of PyTorch says: the answer goes on
            self._refuse(rows if memory.is_short(error) else ANY, _words(error))
            return
        ordinary = statistics.median(self._ordinary_times[1:])
        times = f"an ordinary step takes {ordinary:.2f} ms, a replayed one {milliseconds:.2f} ms"
        if difference := step_difference(replay, output, self._precision):
            self._refuse(ANY, difference)
        elif milliseconds >= ordinary and self._lvlm.replay_mode != "on":
            self._refuse(rows, times, warn=False)
        else:
            self._recording, self._checks = recording, CHECKS
            self._lvlm.replay_verdicts[rows] = ReplayVerdict(True, times)

    def _try_recording(self, tokens: Tensor) -> tuple[Any, StepOutput, float]:
        """Takes the last step again with a fixed cache -> (its recording, output of a replay, milliseconds)."""
        fixed = self.rows if isinstance(self.rows, FixedRows) else FixedRows.of(self.rows, self._length)
        fixed.advance(-1)
        try:
            fixed.feed(tokens)
            recording = self._tools.Recording(lambda: fixed.step_context(self._lvlm, self._depths))
            with self._lvlm.lock:
                replays = [self._tools.time_run(recording.replay) for _ in range(ROUNDS)]
        finally:
            fixed.advance()
        self.rows = fixed
        return recording, replays[-1][0], statistics.median(time for _, time in replays)

    def _replay(self, tokens: Tensor) -> StepOutput:
        """The replayed step; a new recording is checked against ordinary steps, whose output then counts."""
        rows = self._fixed_rows()
        rows.feed(tokens)
        fault, output = "", None
        try:
            with self._lvlm.lock:
                output = self._recording.replay()
        except Exception as error:  # as in `_record`
            fault = _words(error)
        if output is None or self._checks:
            replay, output = output, rows.run(self._lvlm, self._depths)
            self._checks -= 1
            fault = fault or step_difference(replay, output, self._precision)
        rows.advance()
        if fault:
            self._refuse(ANY, fault)
        return output

    def _fixed_rows(self) -> FixedRows:
        """The rows while steps are replayed."""
        assert isinstance(self.rows, FixedRows)
        return self.rows

    @property
    def _precision(self) -> torch.dtype:
        return self._fixed_rows().cache.keys[0].dtype

    def _refuse(self, key: int, why: str, warn: bool = True) -> None:
        """Goes on with ordinary steps, here and wherever the verdict holds."""
        self._discard()
        if isinstance(self.rows, FixedRows):
            self.rows = self.rows.to_growing_batch()
        self._lvlm.replay_verdicts[key] = ReplayVerdict(False, why)
        if warn:
            getLogger(__name__).warning("Decoding goes on without replayed steps: %s.", why)


def step_difference(replay: StepOutput | None, ordinary: StepOutput, precision: torch.dtype) -> str:
    """The difference of two outputs of one step beyond rounding in the model's precision, in words; "" if they agree.

    They agree if no logit and no early state differs by more than its part in ROUNDING, and every row has the same
    best token (or two that rounding cannot tell apart).
    """
    if replay is None:
        return "a replayed step has no output"
    tolerance = ROUNDING.get(precision, ROUNDING[torch.float32])
    (logits, early), (expected, expected_early) = replay, ordinary
    for actual, reference in [(logits, expected), *((early[key], expected_early[key]) for key in expected_early)]:
        allowed = tolerance * max(1.0, float(reference.abs().max()))
        furthest = float((actual.float() - reference.float()).abs().max())
        if not furthest <= allowed:  # NaN is a difference
            return f"a replayed step differs from the ordinary one by {furthest:.3g}, more than {allowed:.3g}"
    behind = expected.max(-1).values - expected.gather(-1, logits.argmax(-1, keepdim=True))[:, 0]
    if float(behind.max()) > tolerance * max(1.0, float(expected.abs().max())):
        return "a replayed step prefers another token than the ordinary one"
    return ""


Batch = RowBatch | FixedRows | MeasuredRows


def _words(error: Exception) -> str:
    """The first line of an error, without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {lines[0].rstrip('.')}"[:200]


def replay_report(lvlm: LVLM) -> dict[str, Any]:
    """For `bench`: the setting, why no step could be replayed ("" if it could), and the verdicts by number of rows."""
    why = blocker(lvlm)
    if not why and lvlm.device.type != "cuda":
        why = llama_step.obstacle(lvlm)
    verdicts = {("any" if rows == ANY else str(rows)): verdict for rows, verdict in lvlm.replay_verdicts.items()}
    return {
        "fast": lvlm.replay_mode,
        "fast_obstacle": why,
        "fast_by_rows": {rows: f"{_path(verdict)}: {verdict.why}" for rows, verdict in sorted(verdicts.items())},
    }


def _path(verdict: ReplayVerdict) -> str:
    return "replayed" if verdict.replay else "ordinary"
