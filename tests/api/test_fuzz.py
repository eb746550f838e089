"""Thousands of odd requests: each is answered or refused in words, none tells a path, and the server works on.

hypothesis draws the values; a corpus of what has broken servers before is mixed in.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stranger import answer, post
from uploading import uploaded_photo

ROOT = Path(__file__).resolve().parents[2]
CORPUS = (
    None, True, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 2**63, 10**400, "", " ", "80", "a" * 5000, "\x00",
    "../" * 9, "/etc/passwd", "/dev/zero", "/proc/self/environ", "file:///etc/passwd", "{{7*7}}", "${x}", "%s%n",
    "<script>", "😀" * 99, "</s><image>", "adapter:../../x", "nullu+" * 50, "vdd.alpha=1e999", [], {}, [[]], [None],
    {"path": None}, {"path": "/etc/passwd"}, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"url": "http://127.0.0.1:1/x"}, {"path": ["/etc/passwd"]}, {"path": {"path": "/etc/passwd"}}, {"vdd": None},
    {"__type__": "update", "value": 1}, {"vdd": {"alpha": {}}}, {"": {"": ""}}, ["vdd.alpha=", "=", "."],
    json.loads("[" * 50 + "]" * 50), {"schema": 1, "panels": [{}]},
)  # fmt: skip
SECRETS = (str(ROOT), sys.prefix, str(Path.home()) + "/")
ODD = re.compile(r"Traceback|\b[A-Z]\w*(Error|Exception)\b|object at 0x|<class ")
ESCAPED = re.compile(r"\\u[0-9a-f]{4}")
PLACES = {"compare": 13, "judge": 4, "report": 2, "methods": 0}  # endpoint: number of arguments

values = st.sampled_from(CORPUS) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@st.composite
def requests(draw) -> tuple[str, str, list | None]:
    """(route, endpoint, values): None stands for what is right there."""
    endpoint = draw(st.sampled_from(tuple(PLACES)))
    changes = draw(st.dictionaries(st.integers(0, PLACES[endpoint] + 1), values, max_size=3))
    length = draw(st.integers(0, PLACES[endpoint] + 1)) if draw(st.booleans()) else PLACES[endpoint]
    return draw(st.sampled_from(("run", "run", "call"))), endpoint, [changes.get(k, ...) for k in range(length)]


def good(endpoint: str, photo: dict) -> list:
    """Right arguments, as short to answer as can be."""
    arguments = {
        "compare": [photo, "Describe.", "baseline", 1, 0, 0, {}, 1, 0, 0, [], 0.9, 1],
        "judge": [photo, "A dog.", "", 0.9], "report": [{}, "json"], "methods": [],
    }  # fmt: skip
    return arguments[endpoint]


def send(address: str, route: str, endpoint: str, data: list) -> tuple[bool, str]:
    """(answered, text)."""
    status, text = post(address, f"{route}/{endpoint}", {"data": data})
    if route == "call" and status == 200:
        text = answer(address, json.loads(text)["event_id"], endpoint)
        return "event: error" not in text, text
    return status == 200, text


def fuzz(address: str, photo: dict, count: int, capfd) -> None:
    """Sends so many requests and looks at every answer."""
    number = 0

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(requests())
    def check(drawn) -> None:
        nonlocal number
        route, endpoint, changes = drawn
        right = good(endpoint, photo)
        data = [right[k] if value is ... and k < len(right) else value for k, value in enumerate(changes)]
        data = [None if value is ... else value for value in data]
        answered, text = send(address, route, endpoint, data)
        own = json.dumps(data, ensure_ascii=True)
        assert not any(secret in text for secret in SECRETS), text[:300]
        if not answered:
            assert not ODD.search(text.replace(own, "")), text[:300]
            assert re.search(r'[.?]["\s\\]', text), text[:300]
            assert len(ESCAPED.sub("x", text)) < 700, text[:900]  # a character is one, however JSON writes it
        number += 1
        if number % 100 == 0:
            assert send(address, "run", "compare", good("compare", photo))[0], number

    check()
    assert send(address, "run", "compare", good("compare", photo))[0]
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, (out + err)[-2000:]


@pytest.fixture(scope="module")
def photo(address, tmp_path_factory) -> dict:
    return uploaded_photo(address, tmp_path_factory.mktemp("photos"))


def test_a_few_odd_requests_are_answered_or_refused_in_words(address, photo, capfd):
    fuzz(address, photo, 60, capfd)


@pytest.mark.slow
@pytest.mark.long
def test_five_thousand_odd_requests_are_answered_or_refused_in_words(address, photo, capfd):
    fuzz(address, photo, 5000, capfd)
