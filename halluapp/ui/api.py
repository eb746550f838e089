"""The API endpoint `compare`: the same comparison for programs and agents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.methods import assignments
from halluapp.methods.registry import METHODS
from halluapp.request import SURE, make_request
from halluapp.serving import request_log
from halluapp.serving.models import Models


def build(models: Models, photo_input: Callable[..., gr.Image]) -> None:
    """Adds invisible inputs and the endpoint, in the place where it is called."""
    photo = photo_input(visible=False, label="photo")
    prompt = gr.Textbox(visible=False, label="prompt")
    methods = gr.Textbox("", visible=False, label="methods")
    tokens = gr.Number(80, visible=False, label="max_new_tokens", precision=0)
    temperature = gr.Number(0, visible=False, label="temperature")
    seed = gr.Number(0, visible=False, label="seed", precision=0)
    parameters = gr.JSON({}, visible=False, label="parameters")
    top_p = gr.Number(1, visible=False, label="top_p")
    top_k = gr.Number(0, visible=False, label="top_k", precision=0)
    repetition_penalty = gr.Number(0, visible=False, label="repetition_penalty")
    stop = gr.JSON([], visible=False, label="stop")
    sure = gr.Number(SURE, visible=False, label="sure")
    output = gr.JSON(visible=False, label="report")
    sampling = [top_p, top_k, repetition_penalty, stop]
    inputs = [photo, prompt, methods, tokens, temperature, seed, parameters, *sampling, sure]
    endpoint = partial(compare, models)
    endpoint.__doc__ = (compare.__doc__ or "").replace("{known}", ", ".join(METHODS))  # gradio shows it in the schema
    gr.Button(visible=False).click(endpoint, inputs, output, api_name="compare", concurrency_id="model")


def compare(
    models: Models,
    photo: str,
    prompt: str,
    methods: str,
    max_new_tokens: float,
    temperature: float,
    seed: float,
    parameters: dict[str, Any] | list[str] | None = None,
    top_p: float = 1,
    top_k: float = 0,
    repetition_penalty: float = 0,
    stop: list[str] | str | None = None,
    sure: float = SURE,
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

    Returns:
        The report (schema 1): detections, and for each method text, tokens, mentions with verdicts, and cost.
    """
    names = assignments.method_names(str(methods or ""))
    entry = request_log.Entry("api", names)
    try:
        panels = assignments.create_methods(names, assignments.read(parameters, names))
        request = make_request(
            photo, prompt, panels, int(max_new_tokens), temperature, top_p, top_k, int(seed), sure,
            repetition_penalty, stop or (),
        )  # fmt: skip
        return list(models.stream(request))[-1].report
    except InputError as error:
        entry.outcome = request_log.REFUSED
        raise gr.Error(str(error), print_exception=False) from error
    finally:
        entry.end()
