"""The run of a comparison: from the page's inputs to the states that it draws; stop; sureness."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.decoding.events import Status
from halluapp.errors import InputError
from halluapp.request import Request, make_request
from halluapp.serving import callers, request_log
from halluapp.serving.callers import departure
from halluapp.serving.models import Models
from halluapp.ui import texts
from halluapp.ui.compare import exports, sidebar, state

UPDATE_SECONDS = 0.125  # the browser, not the server, limits streaming: at most eight updates a second
UPDATE_REST = 3  # times as long as the last update took nothing is drawn: on a slow machine the answers come first
LONGEST_REST = 1.0  # seconds
# What the page shows and the report behind it, None for a photo that nobody has asked about yet.
Result = dict[str, Any] | None
Keep = Callable[[Mapping[str, Any]], bool]
_stop_flags: dict[str, threading.Event] = {}  # of comparisons that run or wait, by visitor


def forget(report: Mapping[str, Any]) -> bool:
    """Keeps nothing: what a server does that is not asked to."""
    return False


def run(
    models: Models, parameters: list[tuple[str, str]], visitor: str, last: Result, photo: str | None, prompt: str,
    methods: list[str], stacks: list[str] | None, sure: float, temperature: float, top_p: float,
    seed: float | None, samples: float, max_tokens: float, repetition: float, stop_strings: str, *values: Any,
    keep: Keep = forget,
) -> Iterator[tuple]:  # fmt: skip
    """Inputs: last result, photo path, prompt, method names, stacked names, sureness, sampling, method parameters.

    Outputs: stage state, result, files of the report, run button, stop button. A run that ends in an error leaves the
    last result where it is.
    parameters: (method, parameter) of each of `values`. keep: keeps a report on the server -> whether it did.
    """
    stop_flag = _stop_flags[visitor] = threading.Event()
    entry = request_log.Entry("page", [*methods, *(stacks or [])], visitor)
    try:
        request = make_request(
            photo, prompt,
            sidebar.methods_from([*methods, *(stacks or [])], dict(zip(parameters, values, strict=True))),
            int(max_tokens), temperature, top_p, seed=int(seed or 0), sure=sure, samples=int(samples),
            repetition_penalty=repetition, stop=[line for line in stop_strings.splitlines() if line.strip()],
        )  # fmt: skip
        yield from _stream(models, request, stop_flag, last, Path(photo).name if isinstance(photo, str) else "", keep)
    except InputError as error:
        entry.outcome = request_log.REFUSED
        yield _outputs(fault(last, str(error)), gr.skip(), _files(last), busy=False)
    finally:
        entry.end(stopped=stop_flag.is_set())
        stop_flag.set()
        if _stop_flags.get(visitor) is stop_flag:
            del _stop_flags[visitor]


def _stream(
    models: Models, request: Request, stop_flag: threading.Event, last: Result, name: str, keep: Keep
) -> Iterator[tuple]:  # fmt: skip
    """Decodes and yields the page's outputs, coalesced; the last state is always sent."""
    comparison = state.ComparisonState(request.photo, request.prompt, request.sure, name, request.samples)
    same = exports.nothing_new()
    has_left = departure()
    yield _outputs(comparison.snapshot(), gr.skip(), exports.updates(None), busy=True)
    due = 0.0
    for event in models.stream(request, lambda: stop_flag.is_set() or has_left()):
        comparison.add(event)
        # A place in the lane is said at once: the next event may be a minute away. So are the last tokens, which the
        # verdicts of the whole report would hold up; its end is drawn once, below.
        start = time.monotonic()
        at_once = isinstance(event, Status) or comparison.whole
        if comparison.report is None and (at_once or start >= due):
            yield _outputs(comparison.snapshot(), gr.skip(), same, busy=True)
            end = time.monotonic()
            due = max(start + UPDATE_SECONDS, end + min(LONGEST_REST, UPDATE_REST * (end - start)))
    if comparison.report is None:  # stopped before its turn came
        yield _outputs({**stage_of(last), "status": texts.STOPPED, "busy": False}, gr.skip(), _files(last), busy=False)
        return
    final = comparison.snapshot()
    yield _outputs(final, gr.skip(), same, busy=True)  # the last tokens do not wait for the files
    stage, result, *files = finished({**final, "kept": keep(comparison.report)}, comparison.report)
    yield _outputs(stage, result, files, busy=False)


def _outputs(stage: dict[str, Any], result: Any, files: list[Any], *, busy: bool) -> tuple:
    """Values of stage, result, files of the report, run button and stop button."""
    return stage, result, *files, gr.update(interactive=not busy), gr.update(interactive=busy)


def finished(stage: dict[str, Any], report: dict[str, Any] | None) -> tuple:
    """Stage state, result, files of a report that is shown; None: of a photo that nobody has asked about yet."""
    paths = exports.write(report) if report else None
    files = exports.key(paths) if paths else ""
    stage = {**stage, "link": report["id"] if report and stage["kept"] else files, "files": files}
    return stage, {"stage": stage, "report": report}, *exports.updates(paths)


def announce(last: Result) -> dict[str, Any]:
    """Says at once that the click was heard. Input: last result. Output: stage state."""
    return {**stage_of(last), "status": texts.CHECKING, "error": "", "busy": True}


def fail(last: Result) -> tuple:
    """What is shown when a run ended as none should: nothing pulses on. Input: last result. Outputs: as `run`."""
    return _outputs(fault(last, texts.FAILED), gr.skip(), _files(last), busy=False)


def fault(last: Result, sentence: str) -> dict[str, Any]:
    """The last result with the sentence that says why there is no newer one: a stage state."""
    return {**stage_of(last), "status": "", "error": sentence, "busy": False}


def _files(last: Result) -> list[Any]:
    """The files of the last report again, which a run that began has put away."""
    return exports.updates(exports.write(last["report"]) if last and last["report"] else None)


def stage_of(last: Result) -> dict[str, Any]:
    """What the page shows of a result."""
    return last["stage"] if last else state.empty()


def stop(visitor: str) -> None:
    """Asks the visitor's comparison to stop; it does within one token."""
    if stop_flag := _stop_flags.get(visitor):
        stop_flag.set()


def judge_again(result: Result, sure: float) -> Iterator[tuple]:
    """Inputs: result, sureness. Outputs: stage state, result, files of the report."""
    if result is None or result["report"] is None:
        yield gr.skip(), gr.skip(), *exports.nothing_new()
        return
    with callers.slot():
        report, last = state.judge_again(result["report"], sure), result["stage"]
        # Nothing was decoded: the sentence about that stays.
        stage = {**state.of_report(report, last["run"]), **{key: last[key] for key in state.LASTING}}
        yield stage, gr.skip(), *exports.nothing_new()  # verdicts do not wait for the files
        yield finished(stage, report)
