"""The endpoints for programs and agents, which are the tools of the MCP server too: compare, judge, methods,
models, report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field, fields
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp import report as reports
from halluapp.decoding.events import Done
from halluapp.errors import InputError
from halluapp.methods import assignments
from halluapp.methods.registry import METHODS
from halluapp.request import SURE, make_request
from halluapp.serving import callers, request_log
from halluapp.serving.lane import LEFT
from halluapp.serving.models import Models
from halluapp.ui.arguments import OBJECT, TEXT, TEXTS, argument, as_json, check_number, check_photo, check_text
from halluapp.ui.event_options import LANE
from halluapp.ui.model_picker import listing

FORMS = ("markdown", "html", "json")
OPTIONS: dict[str, Any] = {**LANE, "api_visibility": "public"}


def build(models: Models, photo_input: Callable[..., gr.Image]) -> None:
    """Adds invisible inputs and the endpoints, in the place where it is called."""
    photo = photo_input(visible=False, label="photo")
    prompt, text, question = _text("prompt", None), _text("text", None), _text("prompt")
    sure = _number("sure", SURE)  # of both
    values = [
        _text("methods"), _number("max_new_tokens", 80), _number("temperature", 0), _number("seed", 0),
        _json("parameters", {}, OBJECT, TEXTS), _number("top_p", 1), _number("top_k", 0),
        _number("repetition_penalty", 0), _json("stop", [], TEXTS, TEXT), sure, _number("samples", 1),
    ]  # fmt: skip
    source, form = _json("report", None, OBJECT), _text("form", FORMS[0])
    output, export = gr.JSON(visible=False, label="result"), gr.Textbox(visible=False, label="text")
    endpoints: tuple[tuple[partial[Any], list[Component], Component, dict[str, Any]], ...] = (
        (partial(compare, models), [photo, prompt, *values], output, OPTIONS),
        (partial(judge, models), [photo, text, question, sure], output, OPTIONS),
        (partial(methods), [], output, {**OPTIONS, "queue": False}),
        (partial(listing.models, models), [], output, {**OPTIONS, "queue": False}),
        (partial(report), [source, form], export, {**OPTIONS, "queue": False}),
    )
    for endpoint, inputs, outputs, options in endpoints:
        function = endpoint.func
        vars(endpoint)["__name__"] = function.__name__  # the name of the MCP tool
        endpoint.__doc__ = (function.__doc__ or "").replace("{known}", ", ".join(METHODS))
        gr.Button(visible=False).click(endpoint, inputs, outputs, api_name=function.__name__, **options)


def _text(label: str, value: str | None = "") -> Component:
    return argument(gr.Textbox(value, visible=False, label=label))


def _number(label: str, value: float) -> Component:
    return argument(gr.Number(value, visible=False, label=label))


def _json(label: str, value: Any, *kinds: dict[str, Any]) -> Component:
    return argument(gr.JSON(value, visible=False, label=label), *kinds)


@contextmanager
def _answering(entry: request_log.Entry, left: Callable[[], bool] = bool) -> Iterator[None]:
    """Logs a request of the API; what is wrong with it reaches the caller as one sentence."""
    try:
        yield
    except InputError as error:
        entry.outcome = request_log.ABANDONED if left() else request_log.REFUSED
        raise gr.Error(str(error), print_exception=False) from error
    finally:
        if left() and entry.outcome == request_log.ANSWERED:
            entry.outcome = request_log.ABANDONED
        entry.end()


def compare(
    models: Models,
    photo: str,
    prompt: str,
    methods: str = "",
    max_new_tokens: float = 80,
    temperature: float = 0,
    seed: float = 0,
    parameters: dict[str, Any] | list[str] | None = None,
    top_p: float = 1,
    top_k: float = 0,
    repetition_penalty: float = 0,
    stop: list[str] | str | None = None,
    sure: float = SURE,
    samples: float = 1,
) -> dict[str, Any]:
    """Decodes one photo and prompt under several hallucination-mitigation methods and judges every object mention.
    Known methods: {known}.

    Args:
        photo: image file
        prompt: question or instruction about the photo
        methods: names separated by commas, nullu+vdd for a stacked one, empty for the page's five panels
        max_new_tokens: longest answer in tokens, 1 to 512
        temperature: 0 for greedy decoding, else up to 2
        seed: seed of sampling
        parameters: of the methods, as {"vdd": {"alpha": 0.5}} or ["vdd.alpha=0.5"]; the others keep their defaults
        top_p: sampling from the smallest set of tokens with this probability, 0.01 to 1
        top_k: sampling from this many most probable tokens, 0 for all
        repetition_penalty: 1 to 2 for every method alike, 0 for each method's own
        stop: texts, or one text, that end an answer
        sure: how sure verdicts must be, 0.5 to 0.99
        samples: answers of every method, with the seeds seed, seed + 1, and so on, 1 to 8; above temperature 0 only

    Returns:
        The report (schema 1): detections, and for each method text, tokens, mentions with verdicts, and cost; of
        several samples the further ones, and the spread of what each method is expected to invent.
    """
    names = assignments.method_names(methods if isinstance(methods, str) else "")
    left = callers.departure()
    with _answering(request_log.Entry("api", names), left):
        check_photo(photo)
        check_text("prompt", prompt)
        check_text("methods", methods, empty=True)
        numbers = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "samples": samples,
                   "top_p": top_p, "top_k": top_k, "repetition_penalty": repetition_penalty, "sure": sure}  # fmt: skip
        panels = assignments.create_methods(names, assignments.read(parameters, names))
        checked: dict[str, Any] = {name: check_number(name, value) for name, value in numbers.items()}
        request = make_request(photo, prompt, panels, stop=stop or (), **checked)
        for event in models.stream(request, left):
            if isinstance(event, Done):
                return event.report
        raise InputError(LEFT)


def judge(models: Models, photo: str, text: str, prompt: str = "", sure: float = SURE) -> dict[str, Any]:
    """Judges every object that a text about a photo names: is it grounded in the photo, or contradicted by it?
    The text may come from anywhere; no language model is asked, only the detector.

    Args:
        photo: image file
        text: a description of the photo, or an answer about it
        prompt: the question that the text answers, for answers like "yes"
        sure: how sure verdicts must be, 0.5 to 0.99

    Returns:
        Detections, mentions with verdict and reason, expected inventions, and the verdict on a yes or no.
    """
    left = callers.departure()
    with _answering(request_log.Entry("judge"), left):
        check_photo(photo)
        check_text("text", text)
        check_text("prompt", prompt, empty=True)
        return models.judge(photo, text, prompt or "", float(check_number("sure", sure)), left)


def methods() -> list[dict[str, Any]]:
    """Lists the methods that `compare` knows, with what each does and its parameters.

    Returns:
        For each method name, title, summary, and its parameters with default, bounds or choices.
    """
    with _answering(request_log.Entry("methods")):
        return [
            {
                "name": name, "title": method.title, "summary": method.summary, "source": method.source,
                "default": method.default, "parameters": [_parameter(item) for item in fields(method)],
            }
            for name, method in METHODS.items()
        ]  # fmt: skip


def _parameter(item: Field) -> dict[str, Any]:
    """A parameter of a method: name, default, help, bounds or choices."""
    about = {key: value for key, value in item.metadata.items() if value is not None and key != "step"}
    return {"name": item.name, "default": item.default, **about}


def report(report: dict[str, Any], form: str = FORMS[0]) -> str:
    """Checks a report of `compare` and writes it as Markdown, as one HTML page without scripts, or as JSON.

    Args:
        report: the report, as compare returns it
        form: markdown, html or json

    Returns:
        The text of the document.
    """
    with _answering(request_log.Entry("report")):
        if not isinstance(report, dict):
            raise InputError(f"report must be an object as compare returns it, not {as_json(report)}.")
        if form not in FORMS:
            raise InputError(f"form must be {', '.join(FORMS[:-1])} or {FORMS[-1]}, not {as_json(form)}.")
        values = reports.validate(report)
        with callers.slot():
            writers: dict[str, Callable[..., str]]
            writers = {"markdown": reports.markdown, "html": reports.html, "json": reports.dumps}
            return writers[form](values)
