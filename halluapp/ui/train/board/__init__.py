"""The component that draws a run, the list of runs and their curves, from the three files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).resolve().parent


def build(value: dict[str, Any]) -> gr.HTML:
    """The component; its value is the state of `ui.train.state`. `select` tells which run was chosen or plotted too."""
    template, style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("template.html", "style.css", "script.js")
    )
    return gr.HTML(
        value=value,
        html_template=template,
        css_template=style,
        js_on_load=script,
        apply_default_css=False,
        padding=False,
        elem_id="train-board",
        show_label=False,
    )
