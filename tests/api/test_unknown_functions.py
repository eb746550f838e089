"""Functions that there are not, and bodies that are none: a sentence with 4xx on every route, nothing repeated."""

from __future__ import annotations

import json

import pytest
from stranger import Stranger, post

from halluapp.serving.refusals import UNKNOWN, UNREADABLE

LONG = "x" * 5000
BODIES = {
    "an index past the last": ("queue/join", {"fn_index": 999, "data": [], "session_hash": "a"}),
    "an index below 0": ("queue/join", {"fn_index": -1, "data": [], "session_hash": "b"}),
    "an index, direct": ("run/predict", {"fn_index": 999, "data": []}),
    "a name, direct": (f"run/{LONG[:200]}", {"data": []}),
    "a name, by call": ("call/nothing", {"data": []}),
    "a name of an older gradio": ("api/nothing", {"data": []}),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_function_that_there_is_not_is_a_sentence(address, kind, capfd):
    status, text = post(address, *BODIES[kind])
    assert (status, json.loads(text)["error"]) == (404, UNKNOWN), text[:300]
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("body", [{"data": LONG}, {"fn_index": LONG, "data": []}, {"data": [], "session_hash": [LONG]},
                                  {"fn_index": 10**30, "data": []}, []])  # fmt: skip
def test_a_body_that_is_none_is_not_repeated(address, body):
    by_index = isinstance(body, dict) and "fn_index" in body  # a call by name has none
    for route in ("queue/join", "run/compare", *([] if by_index else ["call/compare"])):
        status, text = post(address, route, body)
        assert 400 <= status < 500, (route, text[:300])
        assert len(text) < 400
        assert json.loads(text)["detail"] in (UNREADABLE, UNKNOWN, "Session hash not found."), text


def test_a_look_inside_is_a_line_of_the_log_without_what_was_sent(address, log_lines):
    stranger = Stranger(address)
    secret = "somebody's words"
    for data in ({"view": secret, "method": "baseline", "word": 1, "box": None}, {"view": 3, "method": secret}):
        stranger.fire("inside", "select", event_data=data)
    lines = [line for line in log_lines() if line["endpoint"] == "inside"]
    assert [(line["outcome"], line["methods"]) for line in lines] == [("refused", ["baseline"]), ("refused", [])]
    assert len({line["session"] for line in lines}) == 1
    assert set(lines[0]) == {"time", "endpoint", "session", "methods", "seconds", "outcome"}
    assert secret not in json.dumps(lines)
    assert stranger.session not in json.dumps(lines)
