"""`/healthz` and `/metrics` of a launched app, and the line that each request leaves: no words of a visitor in any."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from stranger import answer, post

from halluapp.data import scenes

SECRET = "PRIVATE-WORDS"
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[\w+-]+"(,[a-z]+="[\w+-]+")*\})? -?[0-9.e+-]+')


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "park.png"
    scenes.render("park")[0].save(path)
    return handle_file(str(path))


def get(address: str, route: str) -> str:
    with urllib.request.urlopen(f"{address}{route}", timeout=30) as response:
        assert response.status == 200
        return response.read().decode()


def metric(address: str, name: str) -> float:
    values = [float(line.rsplit(" ", 1)[1]) for line in get(address, "metrics").splitlines() if line.startswith(name)]
    return sum(values)


def test_health_and_metrics_follow_what_happens(client, photo, log_lines):
    before = metric(client.src, 'halluapp_requests_total{endpoint="api",outcome="answered"}')
    panels = metric(client.src, 'halluapp_panels_total{panel="vdd"}')
    client.predict(photo, f"{SECRET}: describe.", "baseline,vdd", 2, 0, 0, api_name="/compare")
    health = json.loads(get(client.src, "healthz"))
    assert health["status"] == "ok"
    assert health["model_loaded"] is True
    assert set(health["queue"]) == {"waiting", "running"}
    assert metric(client.src, 'halluapp_requests_total{endpoint="api",outcome="answered"}') == before + 1
    assert metric(client.src, 'halluapp_panels_total{panel="vdd"}') == panels + 1
    assert metric(client.src, 'halluapp_panel_seconds_total{panel="vdd"}') > 0
    assert metric(client.src, "halluapp_memory_bytes") > 10_000_000
    text = get(client.src, "metrics")
    assert all(SAMPLE.fullmatch(line) for line in text.splitlines() if line[:1] != "#"), text
    line = log_lines()[-1]
    assert (line["methods"], line["outcome"], line["endpoint"]) == (["baseline", "vdd"], "answered", "api")
    assert re.fullmatch("[0-9a-f]{12}", line["session"])
    assert set(line) == {"time", "endpoint", "session", "methods", "seconds", "outcome"}


REFUSALS = (
    (SECRET, "magic-" + SECRET, 2, 0, 0), (" ", "baseline", 2, 0, 0), (SECRET, "adapter:" + SECRET, 2, 0, -1),
    (SECRET, "baseline", 0, 0, 0), (SECRET, "a,b," * 500, 2, 0, 0), (SECRET, "baseline", 2, 9, 0),
)  # fmt: skip


def test_a_refused_request_leaves_one_line_and_no_traceback(client, photo, log_lines, capfd):
    """The kind: tracebacks with a visitor's words for requests that are refused."""
    for number, inputs in enumerate(REFUSALS, 1):
        with pytest.raises(AppError):
            client.predict(photo, *inputs, api_name="/compare")
        lines = log_lines()
        assert len(lines) == number, inputs
        assert lines[-1]["outcome"] == "refused", inputs
        assert set(lines[-1]["methods"]) <= {"unknown", "adapter", "baseline"}, inputs
    out, err = capfd.readouterr()
    for text in (out, err, json.dumps(log_lines()), get(client.src, "metrics")):
        assert "Traceback" not in text
        assert SECRET not in text


UNREADABLE = (
    [{"path": "/etc/passwd"}, SECRET, "baseline", 2, 0, 0, {}], [None, SECRET], [[SECRET], SECRET, "", 2, 0, 0, {}],
    [{"path": [SECRET]}, SECRET, "baseline", 2, 0, 0, {}], [{SECRET: 1}, SECRET, "baseline", 2, 0, 0, {}], [],
)  # fmt: skip


def test_a_request_that_no_component_can_read_leaves_no_traceback(client, log_lines, capfd):
    for data in UNREADABLE:
        for route in ("call/compare", "run/compare"):
            status, text = post(client.src, route, {"data": data})
            if route.startswith("call") and status == 200:
                text = answer(client.src, json.loads(text)["event_id"], "compare")
                assert "event: error" in text, data
            assert "Traceback" not in text, data
            assert "panels" not in text, data
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, out + err
    assert SECRET not in out + err
    assert {line["outcome"] for line in log_lines()} == {"refused"}
