"""ZeroGPU: a comparison runs in a forked worker that holds a GPU for as long as one call of all panels lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from halluapp import comparison
from halluapp.decoding.events import Decoded, Event, Failed, Finished
from halluapp.request import Request
from halluapp.session import load_session
from halluapp.settings import Settings

START_SECONDS, TOKEN_SECONDS, ROW_SHARE, MOST_SECONDS = 6.0, 0.05, 0.1, 120.0


def seconds_for(request: Request) -> float:
    """GPU seconds to ask for, an estimate for a 7B model. More than a visitor has left today is refused outright."""
    rows = sum(len(method.rows(request.prompt)) for method in request.methods)
    return min(START_SECONDS + TOKEN_SECONDS * request.sampling.max_new_tokens * (1 + ROW_SHARE * rows), MOST_SECONDS)


def runner(settings: Settings) -> comparison.Runner | None:
    """What `comparison.stream` runs on ZeroGPU; None elsewhere. Loads the model now: the worker is forked from here."""
    if not settings.zero_gpu:
        return None
    import spaces  # before the first use of CUDA, which it emulates in this process

    load_session(settings)

    @spaces.GPU(duration=seconds_for)
    def work(request: Request) -> Iterator[Event]:
        yield from comparison.events(request, load_session(settings))

    return stoppable_runner(work)


def stoppable_runner(work: Callable[[Request], Iterator[Event]]) -> comparison.Runner:
    """Stops a worker that cannot see this process's flags: its generator is closed, its panels end as "stopped"."""

    def run(request: Request, _session, stop: Callable[[], bool]) -> Iterator[Event]:
        started, made = time.perf_counter(), work(request)
        said, ended = {method.name: 0 for method in request.methods}, set()
        for event in made:
            yield event
            if isinstance(event, Decoded):
                said[event.method] += 1
            elif isinstance(event, Finished | Failed):
                ended.add(event.method)
            if stop():
                made.close()
                break
        for method in request.methods:
            if method.name not in ended:
                passes = said[method.name] * len(method.rows(request.prompt))
                yield Finished(method.name, "stopped", time.perf_counter() - started, passes)

    return run
