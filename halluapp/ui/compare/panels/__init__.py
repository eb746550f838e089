"""The one component that draws photo, boxes, legend, evidence and all panels, from the three files beside this one."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from halluapp.ui.compare import state

HERE = Path(__file__).resolve().parent


def build() -> gr.HTML:
    """The component; its value is a state of `ui.compare.state`.

    Its script writes text nodes only: model output is untrusted."""
    template, style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("template.html", "style.css", "script.js")
    )
    return gr.HTML(
        value=state.empty(),
        html_template=template,
        css_template=style,
        js_on_load=script,
        apply_default_css=False,
        elem_id="panels",
        show_label=False,
    )
