"""Which model a server answers with: listed for programs, switched only where its settings say so, on every route."""

from __future__ import annotations

import json
import time

import pytest
from routes import by_run
from served import app
from stranger import Stranger, post
from tiny import folder
from uploading import uploaded_photo

LLAVA = str(folder("llava"))
PROMPT = ["Describe.", "baseline", 4, 0, 0]


def listed(address: str) -> list[dict]:
    return json.loads(post(address, "run/models", {"data": []})[1])["data"][0]


def loaded(address: str) -> list[str]:
    return [one["name"] for one in listed(address) if one["loaded"]]


def test_a_public_server_keeps_its_model_whatever_is_sent():
    with app(exposed=True) as address:
        stranger = Stranger(address)
        for data in ({"number": 0}, {"number": 1}, {"text": LLAVA}, {"text": "pocket"}, {"text": "a/b"}, None, 3):
            event = {**data, "quantization": "none"} if isinstance(data, dict) else data
            state = stranger.fire("model", "switch", event_data=event)[0]
            assert state["error"], data
            assert LLAVA not in json.dumps(state)
        assert [one["name"] for one in listed(address)] == loaded(address) == ["halluapp-pocket"]


def test_a_public_server_switches_to_what_its_settings_name_alone(tmp_path):
    with app(exposed=True, models=(LLAVA,), switch_seconds=0) as address:
        stranger = Stranger(address)
        data = [uploaded_photo(address, tmp_path), *PROMPT]
        first = by_run(address, data)
        refused = stranger.fire("model", "switch", event_data={"text": str(folder("pocket")), "quantization": "none"})
        assert refused[0]["error"]
        assert loaded(address) == ["halluapp-pocket"]
        stranger.fire("model", "switch", event_data={"number": 1, "quantization": "none"})
        deadline = time.monotonic() + 120
        while loaded(address) != ["llava"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert loaded(address) == ["llava"]
        assert by_run(address, data) != first
        shown = stranger.fire("model", "switch", event_data={"number": 0, "quantization": "nf4"})[0]
        assert shown["error"] == ""
        assert loaded(address) == ["halluapp-pocket"]
        assert by_run(address, data) == first


def test_nobody_keeps_a_public_server_busy_with_switching():
    """The kind: four visitors who switched in turn had a load of a model each, and everybody else's answers waited."""
    with app(exposed=True, models=(LLAVA,), quantization="none") as address:
        first, second = Stranger(address), Stranger(address)
        assert not first.fire("model", "switch", event_data={"number": 1, "quantization": "none"})[0]["error"]
        for visitor in (first, second):
            state = visitor.fire("model", "switch", event_data={"number": 0, "quantization": "none"})[0]
            assert "was switched a moment ago" in state["error"]
            assert 1 <= int(state["error"].split()[-2]) <= 60
        assert loaded(address) == ["llava"]


@pytest.mark.parametrize("what", ["unfold", "switch"])
def test_the_page_tells_no_folder_of_a_public_server(what):
    with app(exposed=True, model=LLAVA, quantization="none") as address:
        state = Stranger(address).fire("model", what, event_data={})[0]
        assert [row["title"] for row in state["choices"]] == ["llava"]
        assert LLAVA not in json.dumps(state)
