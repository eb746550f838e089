"""Sidebar widgets made from the methods' dataclasses: a new method needs no code here."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gradio as gr

from halluapp.methods.adapter import NamedAdapter
from halluapp.methods.base import Method
from halluapp.methods.registry import METHODS, create, stacks
from halluapp.training.library import PREFIX
from halluapp.ui import texts


def build() -> dict[tuple[str, str], gr.components.Component]:
    """One accordion a method -> widgets by (method, parameter), in the order that `methods_from` reads."""
    widgets = {}
    for name, method in METHODS.items():
        if not fields(method):
            continue
        with gr.Accordion(method.title, open=False):
            for item in fields(method):
                widgets[name, item.name] = _widget(name, item)
    with gr.Accordion(texts.TRAINED, open=False):  # one for all of them: runs come and go
        strength = next(item for item in fields(NamedAdapter) if item.name == "strength")
        widgets["adapter", "strength"] = _widget("adapter", strength)
    return widgets


def _widget(method: str, item) -> gr.components.Component:
    about = item.metadata
    shared: dict[str, Any] = {
        "label": about["label"],
        "info": about["help"],
        "value": item.default,
        "elem_id": f"{method}-{item.name}",
    }
    if about["choices"] is not None:
        return gr.Radio(choices=list(about["choices"]), **shared)
    return gr.Slider(minimum=about["least"], maximum=about["most"], step=about["step"], **shared)


def stack_choices() -> list[tuple[str, str]]:
    """(title, name) of every pair that can be stacked."""
    return [(" + ".join(METHODS[part].title for part in name.split("+")), name) for name in stacks()]


def methods_from(chosen: list[str], values: dict[tuple[str, str], Any]) -> list[Method]:
    """The chosen methods in panel order, training runs and stacked ones last, with the widgets' values. Raises
    InputError.

    The parts of a stacked panel take the values of their own widgets.
    """
    runs = [name for name in chosen if name.startswith(PREFIX) and "+" not in name]
    made = []
    for name in [*(name for name in METHODS if name in chosen), *runs, *(name for name in chosen if "+" in name)]:
        stack = "+" in name
        parts = ["adapter"] if name in runs else name.split("+")
        given = {f"{part}.{key}" if stack else key: value for (part, key), value in values.items() if part in parts}
        made.append(create(name, **given))
    return made
