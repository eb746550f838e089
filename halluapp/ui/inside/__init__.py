"""The fold "Look inside": what a word of an answer rests on, for any panel of the result that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.serving.models import Models
from halluapp.ui import component
from halluapp.ui.event_options import INSTANT, LANE
from halluapp.ui.inside import state


def build(models: Models, photo: gr.State, result: gr.State) -> gr.HTML:
    """The fold, in the place where it is called. photo: path of the photo; result: as `ui.compare.run.Result`."""
    fold = component.build(Path(__file__).resolve().parent, state.of_result(result.value), elem_id="inside")
    result.change(state.of_result, result, fold, **INSTANT)
    # Every question is answered: by default a second one is dropped while the first is pending.
    fold.select(_handler(models), [result, photo], fold, trigger_mode="multiple", **LANE).failure(
        state.fail, result, fold, **INSTANT
    )
    return fold


def _handler(models: Models) -> Callable[..., dict[str, Any]]:
    """`state.look` for gradio, which gives the event's data to a function that names their type."""
    look = partial(state.look, models)

    def handler(event: gr.EventData, result: Any, photo: str | None) -> dict[str, Any]:
        return look(result, photo, event)

    return handler
