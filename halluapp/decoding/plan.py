"""From methods to rows: which prefixes exist, which of them are equal, and which rows belong to which method."""

from __future__ import annotations

from dataclasses import dataclass

from halluapp.methods.base import Intervention, Method, Row


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0: greedy; top_p 1 and top_k 0: off; the same seed serves every method.

    ignore_end: end tokens do not end an answer (to measure speed at a fixed length). repetition_penalty: for every
    method alike; 0: each method's own, which is 1 (none) for all but DoLa. stop: strings that end an answer and are not
    part of it.
    """

    max_new_tokens: int = 80
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    ignore_end: bool = False
    repetition_penalty: float = 0.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prefix:
    """A prompt of one job in one view under one intervention, prefilled once. Fields as in `Row`."""

    job: int
    view: str
    intervention: Intervention | None
    noise_step: int = 0
    instruction: str = ""

    @classmethod
    def of(cls, job: int, row: Row) -> Prefix:
        """The prefix of a row; rows with the same computation have the same prefix."""
        if row.view == "photo":
            return cls(job, row.view, row.intervention, row.noise_step, row.instruction)
        change = row.intervention.without_photo() if row.intervention else None
        return cls(job, row.view, change, 0, row.instruction)


def full_prompt(prompt: str, instruction: str) -> str:
    """The prompt of a row: its instruction, if it has one, before the request's prompt."""
    return f"{instruction} {prompt}" if instruction else prompt


@dataclass(frozen=True)
class DecodingPlan:
    """prefixes, and for every stream (job, method) the prefix of each of its rows."""

    prefixes: tuple[Prefix, ...]
    streams: tuple[tuple[int, Method, tuple[int, ...]], ...]


def plan(jobs: list[tuple[str, list[Method]]]) -> DecodingPlan:
    """jobs: (prompt, methods) -> the plan; equal prefixes of a job are shared."""
    prefixes: dict[Prefix, int] = {}
    streams = []
    for job, (prompt, methods) in enumerate(jobs):
        for method in methods:
            rows = [Prefix.of(job, row) for row in method.rows(prompt)]
            streams.append((job, method, tuple(prefixes.setdefault(prefix, len(prefixes)) for prefix in rows)))
    return DecodingPlan(tuple(prefixes), tuple(streams))
