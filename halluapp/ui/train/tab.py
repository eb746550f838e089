"""The training tab, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from halluapp.serving.models import Models
from halluapp.serving.visitors import stranger
from halluapp.ui.event_options import Notice
from halluapp.ui.train import board, form, live, run_buttons, start, state, texts


@dataclass(frozen=True)
class TrainTab:
    """What the rest of the page needs: the board, and the handler that writes the command line of the form."""

    view: live.BoardView
    form: form.Form
    preview: Callable
    preview_outputs: list[Component]


def build(
    models: Models, photo_input: Callable[..., gr.Image], methods: gr.CheckboxGroup
) -> TrainTab | None:  # fmt: skip
    """Builds the tab, in the place where it is called, and connects its events. methods: the list of Compare.

    On ZeroGPU, and where HALLUAPP_TRAINING is off, the tab is one sentence, and there is nothing to connect: None.
    """
    settings = models.settings
    if settings.zero_gpu:
        gr.Markdown(texts.ZERO_GPU, elem_id="train-off")
        return None
    if not settings.trains:
        gr.Markdown(texts.OFF, elem_id="train-off")
        return None
    gr.Markdown(texts.INTRO, elem_id="train-intro")
    with gr.Row(elem_id="train"):
        with gr.Column(scale=2, min_width=300):
            run_form = form.build(settings, photo_input)
            controls = start.build()
        with gr.Column(scale=3, min_width=300):
            notice = Notice("train-notice")
            buttons = run_buttons.build()
            view = live.BoardView(
                board.build(state.snapshot(settings.runs, None, [], stranger(settings))),
                gr.State(None), gr.State([]), gr.State(""),
                gr.Timer(live.QUICK), controls.start, controls.stop, buttons.by_action,
            )  # fmt: skip
            adapter_import = run_buttons.build_import(settings)
    live.connect(settings, view, notice)
    preview = start.connect(models, run_form, controls, view, notice)
    run_buttons.connect(models, buttons, view, notice, methods)
    run_buttons.connect_import(models, adapter_import, view, notice, methods)
    run_buttons.connect_questions(settings, buttons, run_form, view, notice)
    return TrainTab(view, run_form, preview, controls.preview)
