"""The run of a comparison: from the page's inputs to the states that it draws, stop, sureness, files of the report."""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp import report
from halluapp.errors import InputError
from halluapp.request import Request, make_request
from halluapp.serving import request_log
from halluapp.serving.models import Models
from halluapp.ui import texts
from halluapp.ui.compare import sidebar, state

UPDATE_SECONDS = 0.125  # the browser, not the server, limits streaming: at most eight updates a second
_stop_flags: dict[str, threading.Event] = {}  # of comparisons that run or wait, by visitor
_report_folder = tempfile.TemporaryDirectory(prefix="halluapp-reports-")


def run(
    models: Models, parameters: list[tuple[str, str]], visitor: str, photo: str | None, prompt: str,
    methods: list[str], stacks: list[str] | None, sure: float, temperature: float, top_p: float,
    seed: float | None, max_tokens: float, repetition: float, stop_strings: str, *values: Any,
) -> Iterator[tuple]:  # fmt: skip
    """Inputs: photo path, prompt, method names, stacked names, sureness, sampling, method parameters.

    Outputs: stage state, result, report files, run button, stop button.
    parameters: (method, parameter) of each of `values`.
    """
    stop_flag = _stop_flags[visitor] = threading.Event()
    entry = request_log.Entry("page", [*methods, *(stacks or [])], visitor)
    try:
        request = make_request(
            photo, prompt,
            sidebar.methods_from([*methods, *(stacks or [])], dict(zip(parameters, values, strict=True))),
            int(max_tokens), temperature, top_p, seed=int(seed or 0), sure=sure,
            repetition_penalty=repetition, stop=[line for line in stop_strings.splitlines() if line.strip()],
        )  # fmt: skip
        yield from _stream(models, request, stop_flag)
    except InputError as error:
        entry.outcome = request_log.REFUSED
        yield _outputs(state.empty(str(error)), None, [], busy=False)
    finally:
        entry.end(stopped=stop_flag.is_set())
        stop_flag.set()
        if _stop_flags.get(visitor) is stop_flag:
            del _stop_flags[visitor]


def _stream(models: Models, request: Request, stop_flag: threading.Event) -> Iterator[tuple]:
    """Decodes and yields the page's outputs, coalesced; the last state is always sent."""
    comparison = state.ComparisonState(request.photo, request.prompt, request.sure)
    comparison.data["status"] = texts.LOADING
    yield _outputs(comparison.snapshot(), gr.skip(), [], busy=True)
    sent = 0.0
    for event in models.stream(request, stop_flag.is_set):
        comparison.add(event)
        if time.monotonic() - sent >= UPDATE_SECONDS:
            sent = time.monotonic()
            yield _outputs(comparison.snapshot(), gr.skip(), [], busy=True)
    yield _outputs(comparison.snapshot(), gr.skip(), [], busy=True)  # the last tokens do not wait for the files
    files = _write_report(comparison)
    final = comparison.snapshot()
    yield _outputs(final, final, files, busy=False)


def _outputs(stage: dict[str, Any], result: Any, files: list[str], *, busy: bool) -> tuple:
    """Values of stage, result, report files, run button and stop button."""
    reports = gr.update(value=files, visible=True) if files else gr.update(visible=False)
    return stage, result, reports, gr.update(interactive=not busy), gr.update(interactive=busy)


def _write_report(comparison: state.ComparisonState) -> list[str]:
    """Writes the report in every form to a folder of its own, which lives as long as the process -> paths.

    The HTML form holds the photo as the page shows it.
    """
    folder = Path(_report_folder.name) / str(comparison.data["run"])
    folder.mkdir()
    photo = base64.b64decode(comparison.data["photo"].partition(",")[2])
    data = comparison.report
    forms = {"json": report.dumps(data), "html": report.html(data, photo), "md": report.markdown(data)}
    for suffix, text in forms.items():
        (folder / f"halluapp-report.{suffix}").write_text(text, encoding="utf-8")
    return [str(folder / f"halluapp-report.{suffix}") for suffix in forms]


def announce() -> dict[str, Any]:
    """Says at once what a run waits for, before it gets its turn. Output: stage state."""
    return {**state.empty(), "status": texts.BUSY if _stop_flags else texts.CHECKING, "busy": True}


def stop(visitor: str) -> None:
    """Asks the visitor's comparison to stop; it does within one token."""
    if stop_flag := _stop_flags.get(visitor):
        stop_flag.set()


def judge_again(result: dict | None, sure: float) -> tuple:
    """Inputs: result, sureness. Outputs: stage state, result."""
    if result is None:
        return gr.skip(), gr.skip()
    stage = state.judge_again(result, sure)
    return stage, stage


def describe_model(models: Models) -> Iterator[str]:
    """Loads the model when the page opens, so that the first run does not wait. Output: the model line."""
    yield texts.LOADING
    try:
        session = models.session()
    except InputError as error:
        yield str(error)
        return
    lvlm = session.lvlm
    yield texts.model_line(lvlm.name, lvlm.quantization, lvlm.dtype, session.detector.name, session.notice)
