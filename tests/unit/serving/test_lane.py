"""The lane: one after another in the order of coming, a bound, a place that can be left, times from measured runs."""

from __future__ import annotations

import threading

import pytest
from tiny import OPEN, folder, photo

from halluapp.decoding.events import Decoded, Done, Status
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.serving import lane as lanes
from halluapp.serving.models import Models
from halluapp.settings import Settings


def test_the_first_runs_and_the_others_wait_in_the_order_of_coming():
    lane = lanes.Lane()
    first, second, third = (lane.join(8) for _ in range(3))
    assert [ticket.start is not None for ticket in (first, second, third)] == [True, False, False]
    assert lane.counts() == {"waiting": 2, "running": 1}
    assert "2 comparisons are before" in lane.describe(third)
    second.leave()  # who waits may leave
    assert "one comparison is before" in lane.describe(third)
    first.leave()
    first.leave()
    assert third.start is not None
    third.leave()
    assert lane.counts() == {"waiting": 0, "running": 0}


def test_a_full_lane_refuses_with_a_sentence_and_takes_the_next_once_one_has_left():
    lane = lanes.Lane()
    tickets = [lane.join(2) for _ in range(3)]
    with pytest.raises(InputError, match="2 comparisons wait for the model"):
        lane.join(2)
    tickets[1].leave()
    assert lane.join(2).start is None


def test_the_expected_wait_comes_from_measured_runs(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    lane = lanes.Lane()
    for seconds in (4.0, 8.0):
        ticket = lane.join(8)
        now[0] += seconds
        ticket.leave()
    running, waiting = lane.join(8), lane.join(8)
    assert lane.expected_seconds() == 12
    now[0] += 5  # of the present run, which takes six on average
    assert lane.expected_seconds() == 7
    assert "about 1 s" in lane.describe(waiting)
    now[0] += 50  # longer than any before: it may end at any moment
    assert lane.expected_seconds() == 6
    running.leave()
    assert "about 2 min" in f"{lanes.duration(100)}"


def test_a_stop_ends_the_wait_within_a_moment_and_leaves_the_lane():
    lane = lanes.Lane()
    lane.join(8)
    ticket, stop = lane.join(8), threading.Event()
    sentences = ticket.waits(stop.is_set)
    assert "before this one" in next(sentences)
    stop.set()
    assert list(sentences) == []
    assert ticket.start is None


def test_comparisons_of_many_threads_never_overlap_and_are_the_same():
    models = Models(Settings(model=str(folder("llava")), device="cpu", quantization="none"))
    request = make_request(photo(), OPEN, ["baseline"], max_new_tokens=3)
    ends, active, most = [], [], []

    def compare() -> None:
        for event in models.stream(request):
            if isinstance(event, Decoded):
                active.append(threading.get_ident())
                most.append(len(set(active)))
            if isinstance(event, Done):
                active.clear()
                ends.append(event.report["panels"][0]["text"])

    threads = [threading.Thread(target=compare) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 12
    assert len(set(ends)) == 1
    assert set(most) == {1}
    assert lanes.LANE.counts() == {"waiting": 0, "running": 0}


def test_whoever_stops_before_the_turn_gets_no_report_and_the_lane_is_free():
    models = Models(Settings(model=str(folder("llava")), device="cpu", quantization="none", queue=1))
    request, stop = make_request(photo(), OPEN, ["baseline"], max_new_tokens=3), threading.Event()
    blocking = lanes.LANE.join(1)
    try:
        events = models.stream(request, stop.is_set)
        assert isinstance(next(events), Status)
        with pytest.raises(InputError, match="try again"):
            next(models.stream(request))
        stop.set()
        assert list(events) == []
        waiting = models.stream(request)
        next(waiting)
        waiting.close()  # a page that is closed
        assert lanes.LANE.counts() == {"waiting": 0, "running": 1}
    finally:
        blocking.leave()
