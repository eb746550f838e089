"""What a reloaded page gets back, of a draft that only a page writes and of texts that anybody could send."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import pytest

from halluapp.data import scenes
from halluapp.methods.registry import defaults
from halluapp.serving.uploads import NOT_UPLOADED
from halluapp.serving.visitors import OWNER_OF_ALL
from halluapp.settings import Settings
from halluapp.ui import texts
from halluapp.ui.compare import draft, sidebar, state

FILES = 3


@pytest.fixture(scope="module")
def question() -> list:
    with gr.Blocks():
        return [
            gr.Textbox("first"), sidebar.build_methods(), gr.Dropdown(["a+b"], multiselect=True), gr.Slider(0, 2, 0),
            gr.Radio(["low", "high"]),
        ]  # fmt: skip


def brought(question: list, tmp_path, content: Any) -> tuple[Any, Any, list]:
    """(stage, photo path, values of `question`; None for one that stays as it is)."""
    text = content if isinstance(content, str) else json.dumps(content)
    stage, _, path, *more = draft.restore(Settings(runs=tmp_path), question, OWNER_OF_ALL, None, text)
    return stage, path, [update.get("value") for update in more[FILES:]]


def test_a_run_that_went_on_comes_back_with_photo_and_settings(question, tmp_path):
    values = ["Is it red?", ["vdd", "adapter:gone", 7], ["a+b"], 1.5, "high"]
    content = {"number": 0, "name": "mine.png", "busy": True, "values": json.dumps(values)}
    stage, path, updates = brought(question, tmp_path, content)
    assert (stage["status"], stage["name"], stage["panels"]) == (texts.RUN_LOST, "mine.png", [])
    assert stage["photo"].startswith(state.URL)
    assert path
    assert updates == ["Is it red?", ["vdd"], ["a+b"], 1.5, "high"]


def test_a_photo_without_a_run_comes_back_with_its_prompt(question, tmp_path):
    copy = state.URL + state.preview(scenes.render("park")[0])
    stage, path, updates = brought(question, tmp_path, {"copy": copy, "prompt": "Is it red?"})
    assert (stage["status"], updates) == (texts.BACK, ["Is it red?", None, None, None, None])
    assert path.endswith(".jpg")


@pytest.mark.parametrize(
    "content", [{"path": "/etc/passwd"}, {"path": 7}, {"number": 10**30}, {"number": True}, {"copy": "x" * 100}]
)
def test_a_photo_that_is_not_there_is_a_sentence(question, tmp_path, content):
    stage, path, updates = brought(question, tmp_path, content)
    assert stage["error"].endswith(".")
    assert "passwd" not in stage["error"]
    assert not isinstance(path, str)
    assert updates == [None] * len(question)
    assert stage["error"] == NOT_UPLOADED or "copy" in content


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", "[" * 90_000, "7", "\x00", " " * 3_000_000])
def test_what_is_no_draft_changes_nothing(question, tmp_path, text):
    stage, path, _ = brought(question, tmp_path, text)
    assert stage == path == gr.skip()


def test_values_that_no_component_has_leave_it_as_it_is(question, tmp_path):
    for values in ([[], 7, "x", "y", None], [{}, [{}], ["c"], 1e9, ["low"]], [None] * 9):
        _, _, updates = brought(question, tmp_path, {"number": 0, "busy": True, "values": json.dumps(values)})
        assert [one for one in updates if one] in ([], [defaults()])


def test_a_slider_with_a_clamp_is_never_updated(tmp_path):
    """gradio builds an updated component anew, even for `gr.skip`, and our clamp is lost: plain values only."""
    with gr.Blocks():
        slider = gr.Slider(0.5, 0.99, 0.9)
    sidebar._clamp(slider)
    question = [gr.Textbox("first"), gr.CheckboxGroup(["a"]), slider]
    for content, value in (
        ("", 0.9), ({"number": 0}, 0.9), ({"number": 0, "values": json.dumps(["Why?", ["a"], 0.7])}, 0.7),
        ({"number": 0, "values": json.dumps(["Why?", ["a"], 0.1])}, 0.9), ({"path": "/gone"}, 0.9),
    ):  # fmt: skip
        text = content if isinstance(content, str) else json.dumps(content)
        assert draft.restore(Settings(runs=tmp_path), question, OWNER_OF_ALL, None, text)[-1] == value
