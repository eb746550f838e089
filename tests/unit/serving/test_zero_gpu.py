"""ZeroGPU: what crosses to the worker and back can be pickled, a stop reaches it, and the GPU is asked for briefly."""

from __future__ import annotations

import pickle

import pytest
from tiny import OPEN, photo
from tiny_sessions import tiny_session

from halluapp import comparison
from halluapp.comparison import stream
from halluapp.decoding.events import Decoded, Done
from halluapp.methods.registry import METHODS
from halluapp.request import make_request
from halluapp.serving import zero_gpu
from halluapp.serving.models import Models
from halluapp.settings import Settings


def worker(request):
    """Events as they arrive from another process."""
    for event in comparison.events(pickle.loads(pickle.dumps(request)), tiny_session()):
        yield pickle.loads(pickle.dumps(event))


def test_events_from_a_worker_make_the_same_report() -> None:
    request, session = make_request(photo(2), OPEN, max_new_tokens=6), tiny_session()
    here = list(stream(request, session))[-1].report
    there = list(stream(request, session, run=zero_gpu.stoppable_runner(worker)))[-1].report
    for mine, other in zip(here["panels"], there["panels"], strict=True):
        assert {**mine, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("after", [1, 7])
def test_a_stop_reaches_the_worker(after) -> None:
    request, decoded, closed, end = make_request(photo(), OPEN, max_new_tokens=60), [], [], None

    def watched(request):
        try:
            yield from worker(request)
        finally:
            closed.append(True)

    for event in stream(request, tiny_session(), lambda: len(decoded) >= after, zero_gpu.stoppable_runner(watched)):
        decoded.extend([event] if isinstance(event, Decoded) else [])
        end = event
    assert closed == [True]
    assert len(decoded) <= after + 1
    assert isinstance(end, Done)
    assert {panel["reason"] for panel in end.report["panels"]} == {"stopped"}
    for panel in end.report["panels"]:
        assert panel["forward_passes"] >= len(panel["tokens"])


def test_the_gpu_is_asked_for_by_tokens_and_panels() -> None:
    short, long = (make_request(photo(), OPEN, max_new_tokens=n) for n in (20, 200))
    single = make_request(photo(), OPEN, ["baseline"], max_new_tokens=200)
    assert zero_gpu.seconds_for(single) < zero_gpu.seconds_for(long) <= 120
    assert zero_gpu.seconds_for(short) < zero_gpu.seconds_for(long)
    assert len(METHODS) >= 5


def test_elsewhere_than_on_zero_gpu_nothing_changes() -> None:
    assert Models.of_server(Settings(zero_gpu=False)).runner is None
