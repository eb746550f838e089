"""The compare tab: a rail with photo, prompt, run and stop; beside it the summary and a panel a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import gradio as gr
from gradio.components import Component

from halluapp.results import Store
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui import inside, model_picker, texts
from halluapp.ui.compare import draft, examples, exports, hallu_space_button, opened, panels, sidebar, stored, votes
from halluapp.ui.compare.run import Keep, Result, announce, fail, judge_again, run, stop
from halluapp.ui.event_options import EACH, INSTANT, LANE, QUEUED


@dataclass(frozen=True)
class CompareTab:
    """The components that the rest of the page needs. methods: the list of panels to decode; photo: the path of the
    photo that is asked about; note: the line under the prompt; result: as `run.Result`; views: the outputs of
    `opened.show`; drafts: those of `draft.restore` before `question`, the inputs of a run; store: of kept results.
    """

    methods: gr.CheckboxGroup
    photo: gr.State
    prompt: gr.Textbox
    note: gr.HTML
    result: gr.State
    views: list[Component]
    drafts: list[Component]
    question: list[Component]
    store: Store | None

    def open_link(self, app: gr.Blocks) -> None:
        """A page that is opened with ?r=KEY shows the report that is kept under it."""

        def handler(request: gr.Request, result: Result) -> tuple:
            link = request.query_params.get("r", "")
            return opened.follow(result, link, self.store) if link else tuple(gr.skip() for _ in self.views)

        app.load(handler, self.result, self.views, **INSTANT)

    def bring_back(self, app: gr.Blocks, settings: Settings) -> None:
        """A page that is reloaded shows the photo and the settings that had no answer yet."""
        draft.connect(app, settings, self.result, self.drafts, self.question)


@dataclass(frozen=True)
class RequestForm:
    """Prompt, the note under it, and the buttons beside it. presets: a button a prompt of `texts.PROMPTS`."""

    prompt: gr.Textbox
    note: gr.HTML
    presets: list[gr.Button]
    run: gr.Button
    stop: gr.Button


def build(models: Models) -> CompareTab:
    """Builds the tab, in the place where it is called, and connects its events."""
    assets, store = models.settings.assets, stored.store_of(models.settings)
    stage_value, result_value, path, _, *updates = opened.example(assets, 0)
    photo, result = gr.State(path), gr.State(result_value)
    with panels.build(stage_value, examples.examples(assets), keeps=store is not None) as stage:
        with gr.Column(elem_id="rail", min_width=280):
            form = _request_form(models)
            if store:
                gr.Markdown(stored.notice(models.settings), elem_id="kept-notice")
            methods = sidebar.build_methods()
        controls = sidebar.build(models.settings, methods)
        files = exports.build(updates)
    question = [form.prompt, *controls.inputs]
    inputs = [result, photo, *question]
    outputs = [stage, result, *files, form.run, form.stop]
    handler = run_handler(models, partial(stored.keep, store), list(controls.parameters))
    gr.on([form.run.click, form.prompt.submit], None, question, None, js=draft.KEEP, api_visibility="private")
    clicked = gr.on([form.run.click, form.prompt.submit], announce, result, stage, **INSTANT)
    answered = clicked.then(handler, inputs, outputs, **LANE)
    answered.failure(fail, result, outputs, **INSTANT)
    form.stop.click(stop_handler, None, None, **INSTANT)
    judged = [stage, result, *files]
    controls.sure.release(judge_again, [result, controls.sure], judged, trigger_mode="always_last", **QUEUED)
    controls.connect_reset(judge_again, [result, controls.sure], judged)
    hallu_space_button.connect(models, controls.hallu_space)
    for button, text in zip(form.presets, texts.PROMPTS, strict=True):
        button.click(partial(set_prompt, text), None, form.prompt, **INSTANT)
    inside.build(models, photo, result)
    views = [stage, result, photo, form.prompt, *files]
    stage.take(opened.take, result, [stage, result, photo, *files], **EACH)
    stage.example(chosen(assets), None, views, **EACH)
    stage.reopen(opened.reopen_handler(store), result, views, **EACH)
    stage.dispute(opened.flag_handler(store), result, judged, **EACH)
    stage.cast(votes.cast_handler(models.settings), result, judged, **EACH)
    stage.count(votes.count_handler(models.settings), result, stage, **EACH)
    stage.fetch(opened.fetch_handler(store), result, stage, **EACH)
    stage.lab(stored.listing_handler(models.settings), result, stage, **EACH)
    return CompareTab(
        methods, photo, form.prompt, form.note, result, views, [stage, result, photo, *files], question, store
    )


def run_handler(models: Models, keep: Keep, parameters: list[tuple[str, str]]) -> Callable[..., Iterator[tuple]]:
    """`run` with the visitor's id, which gradio only gives to a function that names the type.

    keep: as for `run`; parameters: (method, parameter) of the last inputs.
    """

    def handler(request: gr.Request, *inputs) -> Iterator[tuple]:
        yield from run(models, parameters, str(request.session_hash), *inputs, keep=keep)

    return handler


def chosen(assets) -> Callable[..., tuple]:
    """`opened.chosen_example` of these assets, likewise for gradio's event data."""

    def handler(event: gr.EventData) -> tuple:
        return opened.chosen_example(assets, event)

    return handler


def stop_handler(request: gr.Request) -> None:
    """Stops the comparison of the visitor who clicks."""
    stop(str(request.session_hash))


def set_prompt(text: str) -> str:
    """Output: prompt."""
    return text


def _request_form(models: Models) -> RequestForm:
    prompt = gr.Textbox(texts.PROMPTS[0], label=texts.PROMPT, placeholder=texts.PROMPT_HINT, lines=2, elem_id="prompt")
    note = model_picker.build_note(models)
    with gr.Row(elem_id="presets"):
        presets = [gr.Button(text, size="sm", min_width=80) for text in texts.PROMPTS]
    with gr.Row(elem_id="go"):
        run_button = gr.Button(texts.RUN, variant="primary", elem_id="run", min_width=120)
        stop_button = gr.Button(texts.STOP, interactive=False, elem_id="stop", min_width=90)
    return RequestForm(prompt, note, presets, run_button, stop_button)
