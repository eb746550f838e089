"""The light / dark switch in the page's header: as the system has it, until somebody presses the button."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent


def build() -> gr.HTML:
    """The button, in the place where it is called; `head` brings it to life."""
    return gr.HTML(
        (FOLDER / "template.html").read_text(encoding="utf-8"), elem_id="theme", apply_default_css=False,
        css_template=(FOLDER / "style.css").read_text(encoding="utf-8"),
    )  # fmt: skip


def head() -> str:
    """The script for the page's <head>: it runs before anything is drawn, so that no wrong theme flashes up."""
    return "<script>" + (FOLDER / "head.js").read_text(encoding="utf-8") + "</script>"
