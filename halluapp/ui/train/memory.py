"""The memory of a run before it starts, as a line beside Start: planned, or what an earlier run of its kind took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.serving.visitors import Visitor
from halluapp.settings import Settings
from halluapp.training.memory import fit
from halluapp.training.runs import Config, list_runs
from halluapp.ui.train import form, state, texts


def build() -> gr.HTML:
    """The line, in the place where it is called. Its template escapes: it may hold a person's name of a run."""
    return gr.HTML(
        value="",
        html_template='<p class="memory">{{value}}</p>',
        css_template=".memory { margin: 0; font-size: 13px; color: var(--body-text-color); overflow-wrap: anywhere; } "
        ".memory:empty { display: none; }",
        apply_default_css=False,
        padding=False,
        js_on_load=None,
        elem_id="train-memory",
    )


def line(settings: Settings, run_form: form.Form, visitor: Visitor, *inputs: Any) -> str:
    """Inputs: `Form.inputs`. Output: which model, and its memory; "" where the settings are refused anyway."""
    try:
        config = form.config(settings, form.entries(run_form, inputs), "")
    except InputError:  # stands where the command line would
        return ""
    model = texts.MODELS.get(config.model, Path(config.model).name)
    trained = texts.TRAINS.format(model=model, precision=texts.PRECISIONS[config.quantization])
    try:
        free, where = fit.free_memory(settings.device)
        need = fit.sentence_apart(config.model, config.quantization, config.recipe, settings.assets, free, where)
    except InputError as error:  # no plan for this kind of model or method
        need = earlier(settings, visitor, config) or str(error)
    return f"{trained} {need}"


def earlier(settings: Settings, visitor: Visitor, planned: Config) -> str:
    """What the visitor's largest run of this kind and model took; "" where there is none."""
    peaks = []
    for run in list_runs(settings.runs):
        try:
            config = run.config()
        except InputError:
            continue
        if visitor.owns(run) and (config.kind, config.model) == (planned.kind, planned.model):
            peaks.append((state.list_line(run)["memory"] or 0.0, run.name, config.recipe.batch))
    peak, name, batch = max(peaks, default=(0.0, "", 0))
    return texts.EARLIER_RUN.format(name=name, peak=f"{peak:,.0f}", batch=batch) if peak else ""
