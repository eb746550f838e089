"""Several samples of one comparison: the same job with seeds that follow each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from halluapp.decoding.engine import Job, decode_many
from halluapp.decoding.events import Failed, Finished, MethodEvent
from halluapp.decoding.plan import Sampling
from halluapp.lvlm.base import LVLM

MOST_ROWS = 64  # of a batch of several samples


def decode_samples(
    lvlm: LVLM, job: Job, sampling: Sampling, n: int, stop: Callable[[], bool] = lambda: False
) -> Iterator[MethodEvent]:
    """Decodes one job n times, with the seeds seed, seed + 1, ..; the events say their sample.

    Each sample is what a run with its seed alone gives. Samples that fit into MOST_ROWS rows are one batch, in which
    what they read alike (all but noised photos) is prefilled once; the others follow in further batches.
    """
    views, seeds = job.views, sampling.seeds(n)
    jobs = [replace(job, image=views.with_seed(seed), seed=seed) for seed in seeds]
    size = max(1, MOST_ROWS // max(1, sum(len(method.rows(job.prompt)) for method in job.methods)))
    failures: dict[str, Failed] = {}  # what fails once fails with every seed
    for first in range(0, n, size):
        if first and stop():
            for sample, one in itertools.product(range(first, n), job.methods):
                yield replace(failures.get(one.name) or Finished(one.name, "stopped", 0.0, 0), sample=sample)
            return
        for index, event in decode_many(lvlm, jobs[first : first + size], sampling, stop):
            if isinstance(event, Failed):
                failures[event.method] = event
            yield replace(event, sample=first + index)
