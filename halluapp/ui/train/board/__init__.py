"""The component that draws a run, the list of runs and their curves, from the files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.ui import component


def build(value: dict[str, Any]) -> gr.HTML:
    """The component; its value is a state of `ui.train.state`. `select` tells which run was chosen or plotted too."""
    return component.build(Path(__file__).resolve().parent, value, padding=False, elem_id="train-board")
