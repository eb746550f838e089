"""ZeroGPU: a comparison runs in a forked worker that holds a GPU for as long as one call of all panels lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from halluapp import comparison
from halluapp.decoding.events import Decoded, Event, Failed, Finished
from halluapp.request import Request
from halluapp.session import Session

if TYPE_CHECKING:
    from halluapp.inspection.question import Question

INSPECTION_SECONDS = 30.0
START_SECONDS, TOKEN_SECONDS, ROW_SHARE, MOST_SECONDS = 6.0, 0.05, 0.1, 120.0


def seconds_for(request: Request) -> float:
    """GPU seconds to ask for, an estimate for a 7B model. More than a visitor has left today is refused outright."""
    tokens = TOKEN_SECONDS * request.sampling.max_new_tokens
    return min(START_SECONDS + tokens * (1 + ROW_SHARE * request.rows), MOST_SECONDS)


def runner(session: Callable[[], Session]) -> comparison.Runner:
    """What `comparison.stream` runs on ZeroGPU. Loads the session now: the worker is forked from this process."""
    import spaces  # before the first use of CUDA, which it emulates in this process

    session()

    @spaces.GPU(duration=seconds_for)
    def work(request: Request) -> Generator[Event]:
        yield from comparison.events(request, session())

    return stoppable_runner(work)


def inspector(session: Callable[[], Session]) -> Callable[[Question], dict[str, Any]]:
    """What answers questions about a finished answer on ZeroGPU. Loads the session now, as `runner` does."""
    import spaces

    session()

    @spaces.GPU(duration=INSPECTION_SECONDS)
    def work(question: Question) -> dict[str, Any]:
        from halluapp.inspection.question import inspect

        return inspect(session().lvlm, question)

    return work


def stoppable_runner(work: Callable[[Request], Generator[Event]]) -> comparison.Runner:
    """Stops a worker that cannot see this process's flags: its generator is closed, its panels end as "stopped"."""

    def run(request: Request, _session, stop: Callable[[], bool]) -> Iterator[Event]:
        start, events = time.perf_counter(), work(request)
        answers = [(method, sample) for sample in range(request.samples) for method in request.methods]
        token_counts, ended = {(method.name, sample): 0 for method, sample in answers}, set()
        for event in events:
            yield event
            if isinstance(event, Decoded):
                token_counts[event.method, event.sample] += 1
            elif isinstance(event, Finished | Failed):
                ended.add((event.method, event.sample))
            if stop():
                events.close()
                break
        for method, sample in answers:
            if (method.name, sample) not in ended:
                passes = token_counts[method.name, sample] * len(method.rows(request.prompt))
                yield Finished(method.name, "stopped", time.perf_counter() - start, passes, sample=sample)

    return run
