"""From methods to rows: which prefixes exist, which of them are equal, and which rows belong to which method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from halluapp.decoding.views import Views
from halluapp.lvlm.base import ImageFeatures
from halluapp.methods.base import Intervention, Method, Row

SEEDS = 2**32


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

    def seeds(self, n: int) -> list[int]:
        """The seeds of n samples: this one and those that follow it."""
        return [(self.seed + sample) % SEEDS for sample in range(n)]


@dataclass
class Job:
    """One photo and prompt with the methods that answer it. Bare ImageFeatures serve methods of no other view.

    seed: of its sampling (None: that of the `Sampling`).
    """

    image: ImageFeatures | Views
    prompt: str
    methods: list[Method]
    seed: int | None = None

    @property
    def views(self) -> Views:
        return self.image if isinstance(self.image, Views) else Views.from_features(self.image)


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


def plan(
    jobs: list[tuple[str, list[Method]]], clean: Sequence[int] | None = None, noised: Sequence[int] | None = None
) -> DecodingPlan:
    """jobs: (prompt, methods) -> the plan; equal prefixes of a job are shared.

    clean, noised: for every job the first one with the same photo and prompt, and with the same noise too, whose
    prefixes it shares (None: no two jobs share any).
    """
    prefixes: dict[Prefix, int] = {}
    streams = []
    owners, noise_owners = clean or range(len(jobs)), noised or range(len(jobs))
    for job, (prompt, methods) in enumerate(jobs):
        for method in methods:
            rows = [Prefix.of((noise_owners if row.noise_step else owners)[job], row) for row in method.rows(prompt)]
            streams.append((job, method, tuple(prefixes.setdefault(prefix, len(prefixes)) for prefix in rows)))
    return DecodingPlan(tuple(prefixes), tuple(streams))


def first_alike(jobs: list[Job], views: list[Views], noised: bool) -> list[int]:
    """For every job the first one with the same prompt and photo, `noised`: and with the same noise."""
    return [
        next(k for k in range(j + 1) if jobs[k].prompt == job.prompt and views[k].is_of(views[j], noised))
        for j, job in enumerate(jobs)
    ]
