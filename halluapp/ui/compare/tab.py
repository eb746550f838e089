"""The compare tab: photo, prompt, run and stop, five panels."""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp import comparison, report
from halluapp.errors import InputError
from halluapp.methods.registry import METHODS, defaults
from halluapp.request import MAX_NEW_TOKENS, THRESHOLD, Request, make_request
from halluapp.session import load_session
from halluapp.settings import Settings
from halluapp.training import library
from halluapp.ui import texts
from halluapp.ui.compare import examples, panels, sidebar, state

UPDATE_SECONDS = 0.125  # the browser, not the server, limits streaming: at most eight updates a second
_running: dict[str, threading.Event] = {}
_reports = tempfile.TemporaryDirectory(prefix="halluapp-reports-")


def photo_input(**options) -> gr.Image:
    """A gr.Image that hands over the uploaded file as it is: a broken one gets our sentence, not a generic failure."""
    image = gr.Image(type="filepath", image_mode=None, **options)
    decoded = image.preprocess
    image.preprocess = lambda payload: payload.path if payload is not None and payload.path else decoded(payload)
    return image


def build(settings: Settings, runner: comparison.Runner | None = None) -> dict[str, Any]:
    """Builds the tab and connects its events -> components by name."""
    with gr.Sidebar(position="right", open=False, label="Settings"):
        chosen = gr.CheckboxGroup(
            [(method.title, name) for name, method in METHODS.items()], value=defaults(), label=texts.METHODS,
            info=texts.METHODS_HELP, elem_id="methods",
        )  # fmt: skip
        stacked = gr.Dropdown(
            sidebar.stack_choices(), value=[], multiselect=True, label=texts.STACKED[0], info=texts.STACKED[1],
            elem_id="stacked",
        )  # fmt: skip
        threshold = gr.Slider(
            0.05,
            0.95,
            THRESHOLD,
            step=0.05,
            label=texts.THRESHOLD[0],
            info=texts.THRESHOLD[1],
            elem_id="threshold",
        )
        sampling = _sampling(settings)
        widgets = sidebar.build()
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
                run = gr.Button(texts.RUN, variant="primary", elem_id="run", min_width=120)
                stop = gr.Button(texts.STOP, interactive=False, elem_id="stop", min_width=100)
            with gr.Row():
                shown = gr.Examples(
                    examples.rows(settings.assets),
                    [photo],
                    label=texts.EXAMPLES,
                    examples_per_page=12,
                    api_visibility="private",
                )
            model = gr.Markdown(texts.LOADING, elem_id="model")
    stage = panels.build()
    saved = gr.File(label=texts.REPORT, file_count="multiple", visible=False, elem_id="report")
    kept = gr.State(None)
    inputs = [photo, prompt, chosen, stacked, threshold, *sampling, *widgets.values()]
    outputs = [stage, kept, saved, run, stop]
    handler = _runner(settings, list(widgets), runner)
    shared = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden", "api_visibility": "private"}
    waits = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    gr.on([run.click, prompt.submit], announce, None, stage, **waits).then(handler, inputs, outputs, **shared)
    shown.load_input_event.then(announce, None, stage, **waits).then(handler, inputs, outputs, **shared)
    stop.click(stop_run, None, None, queue=False, show_progress="hidden", api_visibility="private")
    threshold.release(judge_again, [kept, threshold], [stage, kept], show_progress="hidden", api_visibility="private")
    for button, text in zip(presets, texts.PROMPTS, strict=True):
        button.click(_preset(text), None, prompt, queue=False, show_progress="hidden", api_visibility="private")
    return {"model": model, "photo": photo, "prompt": prompt, "stage": stage, "methods": chosen}


def _sampling(settings: Settings) -> list[gr.components.Component]:
    """Widgets: temperature, top-p, seed, most new tokens, repetition penalty, stop strings."""
    with gr.Accordion(texts.SAMPLING, open=False):
        return [
            gr.Slider(0, 2, 0, step=0.05, label=texts.TEMPERATURE[0], info=texts.TEMPERATURE[1], elem_id="temperature"),
            gr.Slider(0.05, 1, 1, step=0.05, label=texts.TOP_P[0], info=texts.TOP_P[1]),
            gr.Number(0, precision=0, minimum=0, label=texts.SEED[0], info=texts.SEED[1], elem_id="seed"),
            gr.Slider(
                1, MAX_NEW_TOKENS, settings.max_new_tokens, step=1, label=texts.MAX_TOKENS[0],
                info=texts.MAX_TOKENS[1], elem_id="max-tokens",
            ),
            gr.Slider(0, 2, 0, step=0.05, label=texts.REPETITION[0], info=texts.REPETITION[1], elem_id="repetition"),
            gr.Textbox("", label=texts.STOP_STRINGS[0], info=texts.STOP_STRINGS[1], lines=1, elem_id="stop-strings"),
        ]  # fmt: skip


def _preset(text: str):
    def use() -> str:
        return text

    return use


def _runner(settings: Settings, names: list[tuple[str, str]], runner: comparison.Runner | None):
    """The run handler for these widgets. elsewhere: where events are made if not in this process."""

    def run(
        request: gr.Request,
        photo,
        prompt,
        chosen,
        stacked,
        threshold,
        temperature,
        top_p,
        seed,
        max_tokens,
        repetition,
        stop_strings,
        *values,
    ) -> Iterator[tuple]:
        """Inputs: photo path, prompt, method names, stacked names, threshold, sampling, method parameters.

        Outputs: stage state, kept state, report file, run button, stop button.
        """
        stopped = _running[request.session_hash] = threading.Event()
        try:
            methods = sidebar.methods_from([*chosen, *(stacked or [])], dict(zip(names, values, strict=True)))
            wanted = make_request(
                photo,
                prompt,
                methods,
                int(max_tokens),
                temperature,
                top_p,
                seed=int(seed or 0),
                threshold=threshold,
                repetition_penalty=repetition,
                stop=[line for line in stop_strings.splitlines() if line.strip()],
            )
            yield from _streamed(settings, wanted, stopped, runner)
        except InputError as error:
            yield (
                state.empty(str(error)),
                None,
                gr.update(visible=False),
                gr.update(interactive=True),
                gr.update(interactive=False),
            )
        finally:
            stopped.set()
            if _running.get(request.session_hash) is stopped:
                del _running[request.session_hash]

    return run


def _streamed(
    settings: Settings, wanted: Request, stopped: threading.Event, runner: comparison.Runner | None
) -> Iterator[tuple]:
    """Decodes and yields the page's outputs, coalesced; the last state is always sent."""
    folded = state.ComparisonState(wanted.photo, wanted.threshold)
    busy = gr.skip(), gr.update(visible=False), gr.update(interactive=False), gr.update(interactive=True)
    folded.data["status"] = texts.LOADING
    yield folded.state(), *busy
    session = load_session(settings)
    library.load_adapters(settings.runs, session.lvlm, wanted.methods)
    sent = 0.0
    for event in comparison.stream(wanted, session, stopped.is_set, runner):
        folded.add(event)
        if time.monotonic() - sent >= UPDATE_SECONDS:
            sent = time.monotonic()
            yield folded.state(), *busy
    final = folded.state()
    yield final, *busy  # the last tokens do not wait for the files
    file = gr.update(value=_written(folded.report, folded.data["photo"], folded.data["run"]), visible=True)
    final = folded.state()
    yield final, final, file, gr.update(interactive=True), gr.update(interactive=False)


def _written(made: dict, photo: str, run: int) -> list[str]:
    """Writes the report in every form to a folder of its own, which lives as long as the process -> paths.

    photo: the data URL that the page shows; the HTML form holds it too.
    """
    folder = Path(_reports.name) / str(run)
    folder.mkdir()
    shown = base64.b64decode(photo.partition(",")[2])
    forms = {"json": report.dumps(made), "html": report.html(made, shown), "md": report.markdown(made)}
    for suffix, text in forms.items():
        (folder / f"halluapp-report.{suffix}").write_text(text, encoding="utf-8")
    return [str(folder / f"halluapp-report.{suffix}") for suffix in forms]


def announce() -> dict[str, Any]:
    """Says at once what a run waits for, before it gets its turn. Output: stage state."""
    return {**state.empty(), "status": texts.BUSY if _running else texts.CHECKING, "busy": True}


def stop_run(request: gr.Request) -> None:
    """Asks the session's comparison to stop; it does within one token."""
    if event := _running.get(request.session_hash):
        event.set()


def judge_again(kept: dict | None, threshold: float) -> tuple:
    """Inputs: kept state, threshold. Outputs: stage state, kept state."""
    if kept is None:
        return gr.skip(), gr.skip()
    current = state.judge_again(kept, threshold)
    return current, current


def describe_model(settings: Settings) -> Iterator[str]:
    """Loads the model when the page opens, so that the first run does not wait. Output: the model line."""
    yield texts.LOADING
    try:
        session = load_session(settings)
    except InputError as error:
        yield str(error)
        return
    yield texts.model_line(session.lvlm.name, session.lvlm.quantization, session.detector.name, session.notice)
