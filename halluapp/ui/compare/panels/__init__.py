"""The one component that draws photo, boxes, legend, evidence and all panels, from the files beside this one."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from halluapp.ui import component
from halluapp.ui.compare import state


def build() -> gr.HTML:
    """The component; its value is a state of `ui.compare.state`."""
    return component.build(Path(__file__).resolve().parent, state.empty(), elem_id="panels")
