"""The settings column: which methods, how sure verdicts must be, sampling and parameters.

Its widgets are made from the methods' dataclasses: a new method needs no code here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.methods.adapter import NamedAdapter
from halluapp.methods.base import Method
from halluapp.methods.registry import METHODS, calibrated_contrasts, create, defaults, stacks
from halluapp.request import MAX_NEW_TOKENS, MAX_PANELS, MAX_SAMPLES, MAX_SURE, MIN_SURE, SURE
from halluapp.settings import Settings
from halluapp.training.library import PREFIX
from halluapp.ui import texts
from halluapp.ui.compare import hallu_space_button
from halluapp.ui.compare.hallu_space_button import HalluSpaceControls
from halluapp.ui.event_options import INSTANT, QUEUED

Key = tuple[str, str]  # (method, parameter)


@dataclass(frozen=True)
class Sidebar:
    """The components of the settings. sampling: in the order of `_sampling`; parameters: of every method; reset: gives
    all of them but the chosen methods the values with which the page comes up.
    """

    methods: gr.CheckboxGroup
    stacks: gr.Dropdown
    sure: gr.Slider
    sampling: list[Component]
    parameters: dict[Key, Component]
    hallu_space: HalluSpaceControls | None
    reset: gr.Button

    @property
    def inputs(self) -> list[Component]:
        """What a run reads, in its order."""
        return [self.methods, *self.settings]

    @property
    def settings(self) -> list[Component]:
        """What `reset` sets, in the order of `inputs`."""
        return [self.stacks, self.sure, *self.sampling, *self.parameters.values()]

    def connect_reset(self, judge: Callable[..., Any], inputs: list[Component], outputs: list[Component]) -> None:
        """The button, and the verdicts at the default sureness after it. judge, inputs, outputs: as for `sure`."""
        defaults = [component.value for component in self.settings]
        reset = self.reset.click(lambda: defaults, None, self.settings, **INSTANT)
        reset.then(judge, inputs, outputs, **QUEUED)


def build_methods() -> gr.CheckboxGroup:
    """The methods as chips, in the place where it is called."""
    return gr.CheckboxGroup(
        [(method.title, name) for name, method in METHODS.items()], value=defaults(), label=texts.METHODS,
        show_label=False, container=False, elem_id="methods",
    )  # fmt: skip


def build(settings: Settings, methods: gr.CheckboxGroup) -> Sidebar:
    """Builds the column, in the place where it is called. methods: from `build_methods`."""
    with gr.Column(elem_id="settings", min_width=260):
        gr.Markdown(texts.SETTINGS_HELP.format(most=MAX_PANELS), elem_id="settings-help")
        reset = gr.Button(texts.RESET, size="sm", elem_id="reset-settings", min_width=120)
        stack_list = gr.Dropdown(
            stack_choices(), value=[], multiselect=True, label=texts.STACKED[0], info=texts.STACKED[1],
            elem_id="stacked",
        )  # fmt: skip
        sure = gr.Slider(
            MIN_SURE, MAX_SURE, SURE, step=0.01, label=texts.SURE[0], info=texts.SURE[1], elem_id="sure",
        )  # fmt: skip
        _clamp(sure)
        sampling = _sampling(settings)
        parameters, hallu_space = _parameters(settings)
        return Sidebar(methods, stack_list, sure, sampling, parameters, hallu_space, reset)


def _clamp(slider: gr.Slider) -> None:
    """What is typed beyond the slider's ends means the end, as its box shows a moment later; an empty box the least.

    Without this, gradio answers the number as it was typed with a toast, and nothing happens.
    """
    preprocess = slider.preprocess

    def clamped(payload: float | None) -> float:
        value = slider.minimum if payload is None else payload
        return preprocess(min(max(value, slider.minimum), slider.maximum))

    vars(slider)["preprocess"] = clamped


def _sampling(settings: Settings) -> list[Component]:
    """Widgets: temperature, top-p, seed, samples, most new tokens, repetition penalty, stop strings."""
    with gr.Accordion(texts.SAMPLING, open=False):
        return [
            gr.Slider(0, 2, 0, step=0.05, label=texts.TEMPERATURE[0], info=texts.TEMPERATURE[1], elem_id="temperature"),
            gr.Slider(0.05, 1, 1, step=0.05, label=texts.TOP_P[0], info=texts.TOP_P[1]),
            gr.Number(0, precision=0, minimum=0, label=texts.SEED[0], info=texts.SEED[1], elem_id="seed"),
            gr.Slider(
                1, MAX_SAMPLES, 1, step=1, label=texts.SAMPLES[0], info=texts.SAMPLES[1], elem_id="samples",
            ),
            gr.Slider(
                1, MAX_NEW_TOKENS, settings.max_new_tokens, step=1, label=texts.MAX_TOKENS[0],
                info=texts.MAX_TOKENS[1], elem_id="max-tokens",
            ),
            gr.Slider(0, 2, 0, step=0.05, label=texts.REPETITION[0], info=texts.REPETITION[1], elem_id="repetition"),
            gr.Textbox("", label=texts.STOP_STRINGS[0], info=texts.STOP_STRINGS[1], lines=1, elem_id="stop-strings"),
        ]  # fmt: skip


def _parameters(settings: Settings) -> tuple[dict[Key, Component], HalluSpaceControls | None]:
    """One accordion a method -> widgets by (method, parameter), in the order that `methods_from` reads, and Nullu's
    button."""
    widgets, hallu_space = {}, None
    for name, method in METHODS.items():
        if not fields(method):
            continue
        with gr.Accordion(method.title, open=False):
            for item in fields(method):
                widgets[name, item.name] = _widget(name, item)
            if name == "nullu":
                hallu_space = hallu_space_button.build(settings)
    with gr.Accordion(texts.TRAINED, open=False):  # one for all of them: runs come and go
        strength = next(item for item in fields(NamedAdapter) if item.name == "strength")
        widgets["adapter", "strength"] = _widget("adapter", strength)
    return widgets, hallu_space


def _widget(method: str, item) -> Component:
    metadata = item.metadata
    options: dict[str, Any] = {
        "label": metadata["label"], "info": metadata["help"], "value": item.default, "elem_id": f"{method}-{item.name}",
    }  # fmt: skip
    if metadata["choices"] is not None:
        return gr.Radio(choices=list(metadata["choices"]), **options)
    return gr.Slider(minimum=metadata["least"], maximum=metadata["most"], step=metadata["step"], **options)


def stack_choices() -> list[tuple[str, str]]:
    """(title, name) of every pair that can be stacked."""
    names = [*stacks(), *calibrated_contrasts()]
    return [(" + ".join(METHODS[part].title for part in name.split("+")), name) for name in names]


def methods_from(names: list[str], values: dict[Key, Any]) -> list[Method]:
    """The methods of these names with the widgets' values: in panel order, training runs and stacked ones last.

    The parts of a stacked panel take the values of their own widgets. Raises InputError.
    """
    runs = [name for name in names if name.startswith(PREFIX) and "+" not in name]
    methods = []
    for name in [*(name for name in METHODS if name in names), *runs, *(name for name in names if "+" in name)]:
        stack = "+" in name
        parts = ["adapter"] if name in runs else name.split("+")
        parameters = {
            f"{part}.{parameter}" if stack else parameter: value
            for (part, parameter), value in values.items()
            if part in parts
        }
        methods.append(create(name, **parameters))
    return methods
