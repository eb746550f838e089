"""The model line in the header: what answers, and a list of what could; a choice loads in the background."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from halluapp.errors import InputError
from halluapp.serving import callers, request_log
from halluapp.serving.models import Models
from halluapp.ui import component
from halluapp.ui.event_options import EACH, INSTANT, LANE, QUEUED
from halluapp.ui.model_picker import limits, state, texts

UPDATE_SECONDS = 0.25


@dataclass(frozen=True)
class ModelPicker:
    """line: the component. switched: the event after which another model may answer."""

    line: gr.HTML
    switched: Dependency

    def connect(self, app: gr.Blocks, models: Models, note: gr.HTML, prompt: gr.Textbox, result: gr.State) -> None:
        """Whoever opens the page, or has a new result, is told which model answers; the prompt's note follows."""
        app.load(partial(describe, models), None, self.line, **QUEUED).then(
            partial(note_text, models), prompt, note, **INSTANT
        )
        result.change(partial(refresh, models), self.line, self.line, **INSTANT)
        self.switched.then(partial(note_text, models), prompt, note, **INSTANT)
        prompt.change(partial(note_text, models), prompt, note, trigger_mode="always_last", **INSTANT)


def build(models: Models) -> ModelPicker:
    """The line, in the place where it is called, and what a click on it does."""
    line = component.build(Path(__file__).resolve().parent, state.of(models), elem_id="model")
    line.unfold(partial(state.of, models), None, line, **EACH)
    switched = line.switch(_handler(models), line, line, trigger_mode="once", **LANE)
    switched.failure(partial(state.of, models, error=texts.FAILED), None, line, **INSTANT)
    return ModelPicker(line, switched)


def build_note(models: Models) -> gr.HTML:
    """What the model was trained to answer, in the place where it is called. Its template escapes."""
    return gr.HTML(
        value=note_text(models, ""),
        html_template='<p class="model-note" role="status" aria-live="polite">{{value}}</p>',
        css_template=".model-note { margin: 0; font-size: 12px; line-height: 1.4; "
        "color: var(--body-text-color-subdued); overflow-wrap: anywhere; }",
        apply_default_css=False, padding=False, js_on_load=None, elem_id="model-note",
    )  # fmt: skip


def _handler(models: Models):
    """`choose` for gradio, which gives the event's data to a function that names their type."""

    def handler(event: gr.EventData, value: Any) -> Iterator[dict[str, Any]]:
        yield from choose(models, event._data)

    return handler


def choose(models: Models, data: Any) -> Iterator[dict[str, Any]]:
    """Loads what the page asks for -> states while it goes on, and one at the end."""
    entry = request_log.Entry("model")
    try:
        models.change(*state.asked_model(models, data))
    except InputError as error:
        entry.outcome = request_log.REFUSED
        yield state.of(models, error=str(error))
        return
    finally:
        entry.end()
    yield from follow(models)


def follow(models: Models) -> Iterator[dict[str, Any]]:
    """States of a switch that goes on, until it has ended or whoever looks has left."""
    has_left, last = callers.departure(), None
    while (progress := models.switch.progress) and not has_left():
        if progress != last:
            yield state.of(models)
        last = progress
        time.sleep(UPDATE_SECONDS)
    yield state.of(models, error=models.switch.error)


def describe(models: Models) -> Iterator[dict[str, Any]]:
    """Loads the model when the page opens, so that the first run does not wait. Output: the line."""
    yield state.of(models)
    if models.switch.progress:
        yield from follow(models)
        return
    try:
        models.session()
    except InputError as error:
        yield state.of(models, line=str(error))
        return
    yield state.of(models)


def refresh(models: Models, value: Any) -> Any:
    """The line once another page's visitor has switched. Input, output: the line."""
    current = state.loaded_line(models)
    return gr.skip() if isinstance(value, dict) and value.get("line") == current else state.of(models)


def note_text(models: Models, prompt: str) -> str:
    """Input: prompt. Output: the note under it."""
    return limits.note(models.switch.model, prompt)
