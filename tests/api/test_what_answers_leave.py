"""What a server remembers of answers that it has given: nothing, whoever asked and over whichever route."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from gradio.state_holder import SessionState
from routes import by_call, by_queue, by_run
from stranger import post
from uploading import uploaded_photo

ROUNDS = 6
MOST_OBJECTS = 60  # an answer: names of events that gradio keeps, and what the logs of a test hold


@pytest.fixture(scope="module")
def photo(address, tmp_path_factory) -> dict:
    return uploaded_photo(address, tmp_path_factory.mktemp("photos"))


def objects() -> Counter:
    """How many objects of each type are alive."""
    gc.collect()
    return Counter(type(one).__qualname__ for one in gc.get_objects())


def rounds(address: str, photo: dict) -> None:
    """Three answers over three routes, and two refusals."""
    data = [photo, "Describe.", "baseline", 2, 0, 0]
    for way in (by_call, by_run, by_queue):
        way(address, data)
    for wrong in ([photo, " "], ["x"]):
        post(address, "run/compare", {"data": wrong})


def test_answers_and_refusals_leave_no_session_and_no_report(address, photo):
    """The kind: 1.2 MB an answer, in sessions of callers who never come back."""
    for _ in range(2):  # what is loaded and cached once
        rounds(address, photo)
    before = objects()
    for _ in range(ROUNDS):
        rounds(address, photo)
    growth = objects()
    growth.subtract(before)
    assert growth[SessionState.__qualname__] <= 0
    assert sum(growth.values()) / (3 * ROUNDS) < MOST_OBJECTS, growth.most_common(12)
