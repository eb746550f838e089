"""From methods to rows: which prefixes exist, which of them are equal, and which rows belong to which method."""

from __future__ import annotations

from dataclasses import dataclass

from halluapp.methods.base import Intervention, Method


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0: greedy; top_p 1 and top_k 0: off; the same seed serves every method.

    ignore_end: end tokens do not end an answer (to measure speed at a fixed length).
    """

    max_new_tokens: int = 80
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    ignore_end: bool = False


@dataclass(frozen=True)
class Prefix:
    """What is prefilled once: one job's prompt in one view under one intervention."""

    job: int
    view: str
    intervention: Intervention | None


@dataclass(frozen=True)
class Plan:
    """prefixes, and for every stream (job, method) the prefix of each of its rows."""

    prefixes: tuple[Prefix, ...]
    streams: tuple[tuple[int, Method, tuple[int, ...]], ...]


def plan(jobs: list[tuple[str, list[Method]]]) -> Plan:
    """jobs: (prompt, methods) -> the plan; equal prefixes of a job are shared."""
    prefixes: dict[Prefix, int] = {}
    streams = []
    for job, (prompt, methods) in enumerate(jobs):
        for method in methods:
            rows = [Prefix(job, row.view, row.intervention) for row in method.rows(prompt)]
            streams.append((job, method, tuple(prefixes.setdefault(prefix, len(prefixes)) for prefix in rows)))
    return Plan(tuple(prefixes), tuple(streams))
