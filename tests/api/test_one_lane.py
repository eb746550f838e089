"""One lane for whoever asks, over every route: nobody is lost, everybody gets the answer of one user, leavers go."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from routes import by_call, by_queue, by_run
from served import app
from stranger import answer, post
from uploading import connect, uploaded_photo

from halluapp import comparison
from halluapp.decoding.events import Decoded, Finished
from halluapp.lvlm.base import LVLM
from halluapp.serving.lane import LANE

CLIENTS = 40
LONG = ["Describe.", "baseline,nullu,vdd", 512, 0, 0]


@pytest.fixture(scope="module")
def address():
    with app(queue=CLIENTS) as url:
        yield url


@pytest.fixture(scope="module")
def photo(address, tmp_path_factory) -> dict:
    return uploaded_photo(address, tmp_path_factory.mktemp("photos"))


def test_forty_clients_over_three_routes_get_the_answer_of_one(address, photo):
    data = [photo, "Describe.", "baseline", 6, 0, 0]
    alone = by_queue(address, data)
    ways = [(by_call, by_run, by_queue)[number % 3] for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        texts = list(clients.map(lambda way: way(address, data), ways))
    assert set(texts) == {alone}
    assert LANE.counts() == {"waiting": 0, "running": 0}


def test_a_full_lane_is_a_sentence_over_every_route(address, photo):
    data = [photo, "Describe.", "baseline", 2, 0, 0]
    tickets = [LANE.join(CLIENTS) for _ in range(CLIENTS + 1)]
    try:
        _, text = post(address, "call/compare", {"data": data})
        shown = [
            answer(address, json.loads(text)["event_id"], "compare"),
            post(address, "run/compare", {"data": data})[1],
        ]
    finally:
        for ticket in tickets:
            ticket.leave()
    for text in shown:
        assert f"{CLIENTS} comparisons wait for the model" in text
    assert by_run(address, data)


@pytest.fixture
def endless(monkeypatch):
    """Answers that never end by themselves."""
    monkeypatch.setattr(LVLM, "end_tokens", frozenset())


def leave_while(address: str, state: str, method: str, path: str, body: dict | None) -> None:
    """Asks, waits until the comparison has this state, and closes the connection."""
    connection = connect(address)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    wait_for(lambda: LANE.counts()[state] == 1)
    connection.sock.close()


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.fixture
def ends(monkeypatch) -> list:
    """How the panels end from now on: (reason, tokens)."""
    ends, stream = [], comparison.stream

    def watched(*values):
        tokens = Counter()
        for event in stream(*values):
            if isinstance(event, Decoded):
                tokens[event.method] += 1
            if isinstance(event, Finished):
                ends.append((event.reason, tokens[event.method]))
            yield event

    monkeypatch.setattr(comparison, "stream", watched)
    return ends


@pytest.mark.parametrize("route", ["run", "call"])
def test_nobody_is_decoded_for_who_has_left(address, photo, endless, ends, route):
    """The kind: an API caller that leaves is decoded to the end."""
    data = {"data": [photo, *LONG]}
    if route == "call":
        _, text = post(address, "call/compare", data)
        leave_while(address, "running", "GET", f"/gradio_api/call/compare/{json.loads(text)['event_id']}", None)
    else:
        leave_while(address, "running", "POST", "/gradio_api/run/compare", data)
    wait_for(lambda: LANE.counts()["running"] == 0)
    assert [reason for reason, _ in ends] == ["stopped"] * 3
    assert max(tokens for _, tokens in ends) < 512
    assert by_run(address, [photo, "Describe.", "baseline", 2, 0, 0])


def test_who_leaves_while_waiting_gives_the_place_free(address, photo, ends):
    ticket = LANE.join(CLIENTS)
    leave_while(address, "waiting", "POST", "/gradio_api/run/compare", {"data": [photo, *LONG]})
    wait_for(lambda: LANE.counts()["waiting"] == 0)
    ticket.leave()
    assert ends == []
