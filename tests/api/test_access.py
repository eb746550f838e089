"""What an operator sets: a login, a rate, a bound on uploads; and the end of a server by SIGTERM."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from routes import by_run
from served import app
from server_process import Server
from stranger import answer, post
from uploading import connect, uploaded_photo

from halluapp.serving.lane import CLOSED, LANE


def status(address: str) -> int:
    """Of a GET."""
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_login_closes_the_api_and_mcp_and_leaves_the_health_open(tmp_path):
    with app(auth="ann:a-long-password") as address:
        assert post(address, "run/methods", {"data": []})[0] == 401
        assert post(address, "queue/join", {"data": [], "fn_index": 0, "session_hash": "x"})[0] == 401
        assert status(f"{address}config") == 401
        assert status(f"{address}gradio_api/mcp/") in (401, 404, 405)
        assert status(f"{address}healthz") == 200
        request = urllib.request.Request(f"{address}login", b"username=ann&password=a-long-password")
        with urllib.request.urlopen(request, timeout=60) as response:
            cookie = response.headers["set-cookie"].partition(";")[0]
        call = urllib.request.Request(
            f"{address}gradio_api/run/methods", b'{"data": []}',
            {"Content-Type": "application/json", "Cookie": cookie},
        )  # fmt: skip
        with urllib.request.urlopen(call, timeout=60) as response:
            assert json.loads(response.read())["data"][0]


def test_an_address_may_ask_so_often(tmp_path):
    tickets = [LANE.join(1) for _ in range(2)]  # the lane is full: no model is needed
    try:
        with app(rate=1, queue=1) as address:
            data = [uploaded_photo(address, tmp_path), "Describe.", "baseline", 1]
            texts = [post(address, "run/compare", {"data": data})[1] for _ in range(2)]
    finally:
        for ticket in tickets:
            ticket.leave()
    assert "wait for the model" in texts[0]
    assert "as many as it may; try again in" in texts[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_sigterm_ends_a_server_that_decodes_and_its_files_go(tmp_path):
    """Whoever waits gets a sentence. Also what a killed server left goes, with the start of the next one."""
    with Server(tmp_path) as server:
        server.process.kill()
        server.process.wait()
        assert len(list(tmp_path.glob("halluapp-server-*"))) == 1
    with Server(tmp_path, HALLUAPP_THREADS="1") as server:
        photo = uploaded_photo(server.address, tmp_path)
        assert by_run(server.address, [photo, "Describe.", "baseline", 2, 0, 0])
        assert len(list(tmp_path.glob("halluapp-server-*"))) == 1
        connection = connect(server.address)
        # Hot, or the answers end by themselves before anybody waits.
        body = json.dumps({"data": [photo, "Describe.", "baseline,vdd,nullu,adavib,calibration", 512, 2, 0]})
        connection.request("POST", "/gradio_api/run/compare", body, {"Content-Type": "application/json"})
        while not server.health()["queue"]["running"]:
            time.sleep(0.02)
        waiting = [photo, "Describe.", "baseline", 2, 0, 0]
        event = json.loads(post(server.address, "call/compare", {"data": waiting})[1])["event_id"]
        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(lambda: post(server.address, "run/compare", {"data": waiting})[1]) for _ in range(2)]
            answers.append(pool.submit(answer, server.address, event, "compare"))
            while server.health()["queue"]["waiting"] < 3:
                time.sleep(0.02)
            server.process.send_signal(signal.SIGTERM)
            texts = [one.result() for one in answers]
        assert all(CLOSED in text for text in texts), texts
        assert server.process.wait(120) == 0
    assert not list(tmp_path.glob("halluapp-server-*"))
    assert "Traceback" not in (tmp_path / "server.log").read_text(encoding="utf-8")
