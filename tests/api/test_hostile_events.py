"""Events of the page's own components with data that no page sends: a sentence, no path, no traceback, no held lane."""

from __future__ import annotations

import json

import pytest
from stranger import Stranger

from halluapp.serving.lane import LANE
from halluapp.settings import ASSETS

REPORT = json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8"))
DEVELOPERS = ("Traceback", "[Errno", "/tmp", "codec", "null byte", "NoneType", "Error(", "C long")


def changed(**changes) -> dict:
    """A report that somebody wrote by hand, as the event of opening it."""
    return {"text": json.dumps({**REPORT, **changes})}


def with_panels(change) -> dict:
    return changed(panels=[{**panel, **change(panel)} for panel in REPORT["panels"]])


EVENTS = {
    "a path of the server": ("panels", "take", {"path": "/etc/passwd"}),
    "a path within lists": ("panels", "take", {"photo": [{"path": "/etc/passwd"}]}),
    "a name that no file has": ("panels", "take", {"path": "a" * 5000}),
    "a null byte": ("panels", "take", {"path": "\0"}),
    "no path": ("panels", "take", {"path": 7}),
    "a date that is a path": ("panels", "reopen", changed(date="a/b/../../c")),
    "a date with null bytes": ("panels", "reopen", changed(date="\0\0\0")),
    "half a character": ("panels", "reopen", changed(prompt="\ud800")),
    "tokens below 0": (
        "panels", "reopen", with_panels(lambda panel: {"tokens": [{**t, "id": -1} for t in panel["tokens"]]}),
    ),
    "tokens past every number": (
        "panels", "reopen", with_panels(lambda panel: {"tokens": [{**t, "id": 10**30} for t in panel["tokens"]]}),
    ),
    "a text without end": ("panels", "reopen", with_panels(lambda panel: {"text": "word " * 9000, "mentions": []})),
    "a thousand panels": ("panels", "reopen", changed(panels=REPORT["panels"] * 300)),
    "not a report": ("panels", "reopen", {"text": "[" * 100_000}),
    "a view without end": ("inside", "select", {"view": "x" * 100_000, "method": "baseline", "word": 1, "box": None}),
    "a word past every number": ("inside", "select", {"view": "evidence", "method": "baseline", "word": 10**400}),
    "a box past every number": (
        "inside", "select", {"view": "counterfactual", "method": "baseline", "word": 1, "box": [10**400, 0, 1, 1]},
    ),
    "a box turned round": (
        "inside", "select", {"view": "counterfactual", "method": "baseline", "word": 1, "box": [1, 1, 0, 0]},
    ),
    "a vote that is none": ("panels", "cast", {"seed": 1, "ranks": {"0": 10**400}, "wrong": [], "complete": True}),
    "a vote without end": (
        "panels", "cast", {"seed": 1, "ranks": {}, "wrong": [{"panel": 0, "start": 0, "end": 1}] * 9000},
    ),
    "a vote that is a list": ("panels", "cast", [[]]),
    "votes without end": ("panels", "count", {"text": json.dumps([{"panels": [], "votes": []}] * 5000)}),
    "votes that are none": ("panels", "count", {"text": json.dumps([{"panels": [{"method": 7}], "votes": "x"}])}),
    "votes of nobody": ("panels", "count", {"text": "[" * 100_000}),
    "links that are paths": ("panels", "fetch", {"links": "../../etc/passwd /etc/passwd"}),
    "links that are none": ("panels", "fetch", {"links": {"links": [7, None]}}),
    "a link that is a path": ("panels", "reopen", {"link": "../../etc/passwd"}),
    "a list that nobody keeps": ("panels", "lab", {"path": "/etc/passwd"}),
    "a box of booleans": (
        "inside", "select", {"view": "counterfactual", "method": "baseline", "word": 1, "box": [False, 0, True, 1]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_no_page_sends_is_a_sentence(address, kind, capfd) -> None:
    stranger = Stranger(address)
    component, event, data = EVENTS[kind]
    answer = json.dumps(stranger.fire(component, event, event_data=data), ensure_ascii=True)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, (out + err)[-2000:]
    for word in DEVELOPERS:
        assert word not in answer, answer[:600]
    assert len(answer) < 2_000_000
    assert LANE.counts() == {"waiting": 0, "running": 0}


def test_the_sibling_that_is_a_report_still_opens(address) -> None:
    stage = Stranger(address).fire("panels", "reopen", event_data=changed(date="2026-11-30T10:00"))[0]
    assert "2026-11-30 10:00" in json.dumps(stage)
