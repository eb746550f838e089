"""The compare tab: photo, prompt, run and stop, five panels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import gradio as gr

from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui import hallu_space_button, texts
from halluapp.ui.compare import examples, panels, sidebar
from halluapp.ui.compare.photo_input import photo_input
from halluapp.ui.compare.run import announce, judge_again, run, stop
from halluapp.ui.event_options import INSTANT, MODEL, QUEUED


@dataclass(frozen=True)
class CompareTab:
    """The components that the rest of the page needs. methods: the list of panels to decode; model: the line below."""

    methods: gr.CheckboxGroup
    model: gr.Markdown


@dataclass(frozen=True)
class RequestForm:
    """Photo, prompt and the buttons beside them. presets: a button a prompt of `texts.PROMPTS`."""

    photo: gr.Image
    prompt: gr.Textbox
    presets: list[gr.Button]
    run: gr.Button
    stop: gr.Button
    examples: gr.Examples
    model: gr.Markdown


def build(models: Models) -> CompareTab:
    """Builds the tab, in the place where it is called, and connects its events."""
    controls = sidebar.build(models.settings)
    form = _request_form(models.settings)
    stage = panels.build()
    files = gr.File(label=texts.REPORT, file_count="multiple", visible=False, elem_id="report")
    result = gr.State(None)
    inputs = [form.photo, form.prompt, *controls.inputs]
    outputs = [stage, result, files, form.run, form.stop]
    handler = run_handler(models, list(controls.parameters))
    gr.on([form.run.click, form.prompt.submit], announce, None, stage, **INSTANT).then(
        handler, inputs, outputs, **MODEL
    )
    form.examples.load_input_event.then(announce, None, stage, **INSTANT).then(handler, inputs, outputs, **MODEL)
    form.stop.click(stop_handler, None, None, **INSTANT)
    controls.sure.release(judge_again, [result, controls.sure], [stage, result], **QUEUED)
    hallu_space_button.connect(models, controls.hallu_space)
    for button, text in zip(form.presets, texts.PROMPTS, strict=True):
        button.click(partial(set_prompt, text), None, form.prompt, **INSTANT)
    return CompareTab(controls.methods, form.model)


def run_handler(models: Models, parameters: list[tuple[str, str]]) -> Callable[..., Iterator[tuple]]:
    """`run` with the visitor's id, which gradio only gives to a function that names the type.

    parameters: (method, parameter) of the last inputs.
    """

    def handler(request: gr.Request, *inputs) -> Iterator[tuple]:
        yield from run(models, parameters, str(request.session_hash), *inputs)

    return handler


def stop_handler(request: gr.Request) -> None:
    """Stops the comparison of the visitor who clicks."""
    stop(str(request.session_hash))


def set_prompt(text: str) -> str:
    """Output: prompt."""
    return text


def _request_form(settings: Settings) -> RequestForm:
    with gr.Row(elem_id="request"):
        with gr.Column(scale=2, min_width=260):
            photo = photo_input(
                sources=["upload", "clipboard", "webcam"], label=texts.PHOTO, height=270, elem_id="photo", buttons=[]
            )
        with gr.Column(scale=5, min_width=280):
            prompt = gr.Textbox(
                texts.PROMPTS[0], label=texts.PROMPT, placeholder=texts.PROMPT_HINT, lines=2, elem_id="prompt"
            )
            with gr.Row(elem_id="presets"):
                presets = [gr.Button(text, size="sm", min_width=120) for text in texts.PROMPTS]
            with gr.Row():
                run_button = gr.Button(texts.RUN, variant="primary", elem_id="run", min_width=120)
                stop_button = gr.Button(texts.STOP, interactive=False, elem_id="stop", min_width=100)
            with gr.Row():
                example_list = gr.Examples(
                    examples.rows(settings.assets), [photo], label=texts.EXAMPLES, examples_per_page=12,
                    api_visibility="private",
                )  # fmt: skip
            model = gr.Markdown(texts.LOADING, elem_id="model")
    return RequestForm(photo, prompt, presets, run_button, stop_button, example_list, model)
