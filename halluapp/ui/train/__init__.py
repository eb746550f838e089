"""The training tab: form, start and stop, live board, list of runs and what can be done with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from halluapp.settings import Settings
from halluapp.ui.train import board, form, live, run_actions, start, state, texts

INSTANT = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def build(settings: Settings, photo_input: Callable[..., gr.Image], methods: gr.CheckboxGroup) -> dict[str, Any]:
    """Builds the tab and connects its events -> components by name. methods: the list of Compare.

    On ZeroGPU the tab is one sentence, and nothing is returned.
    """
    if settings.zero_gpu:
        gr.Markdown(texts.ZERO_GPU, elem_id="train-off")
        return {}
    gr.Markdown(texts.INTRO, elem_id="train-intro")
    with gr.Row(elem_id="train"):
        with gr.Column(scale=2, min_width=300):
            made = form.build(settings, photo_input)
            buttons = start.build()
        with gr.Column(scale=3, min_width=300):
            notice = _notice()
            actions = run_actions.build()
            view = live.BoardView(
                board.build(state.snapshot(settings.runs, None, [])), gr.State(None), gr.State([]), gr.State(""),
                gr.Timer(live.QUICK), buttons.start, buttons.stop, actions.by_name,
            )  # fmt: skip
            adapter_import = run_actions.build_import(settings)
    live.connect(settings, view, INSTANT)
    preview = start.connect(settings, made, buttons, view, notice, INSTANT)
    run_actions.connect(settings, actions, adapter_import, made, view, notice, methods, INSTANT)
    return {"view": view, "preview": (preview, made.inputs, [buttons.command, buttons.file])}


def _notice() -> gr.HTML:
    """One sentence about what was done or why not. Its template escapes: names and paths are a person's."""
    return gr.HTML(
        value="",
        html_template='<p class="notice" role="status" aria-live="polite">{{value}}</p>',
        css_template=".notice { margin: 0; padding: 8px 12px; border-radius: 8px; border: 1px solid "
        "var(--border-color-primary); background: var(--block-background-fill); color: var(--body-text-color); "
        "font-size: 14px; overflow-wrap: anywhere; } .notice:empty { display: none; }",
        apply_default_css=False,
        padding=False,
        js_on_load=None,
        elem_id="train-notice",
    )
