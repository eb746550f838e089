"""Puts the page together."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Route

from halluapp.serving import cookies, health, refusals, request_log
from halluapp.serving.models import Models
from halluapp.serving.visitors import Visitor
from halluapp.settings import Settings
from halluapp.ui import api, texts
from halluapp.ui.compare import tab as compare_tab
from halluapp.ui.compare.photo_input import photo_input
from halluapp.ui.compare.run import describe_model
from halluapp.ui.event_options import INSTANT, QUEUED, with_visitor
from halluapp.ui.train import live, run_actions
from halluapp.ui.train import tab as train_tab

FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
CSS = """
.gradio-container { max-width: 1480px !important; margin: 0 auto; }
#title h1 { font-size: 22px; margin: 0; } #title p { margin: 2px 0 0; opacity: .75; }
#model p { font-size: 13px; opacity: .75; }
#presets { gap: 6px; flex-wrap: wrap; } #presets button { font-weight: 400; white-space: normal; }
#request .gallery { gap: 6px; } #request .gallery-item img { border-radius: 6px; }
#train-intro p, .train-about p { font-size: 13px; opacity: .8; margin: 0; }
.train-presets, .train-actions { gap: 6px; flex-wrap: wrap; }
.train-presets button, .train-actions button { font-weight: 400; white-space: normal; }
.train-presets button, .train-actions button { flex: 0 1 auto !important; padding-left: 12px; padding-right: 12px; }
#train-board .html-container, #train-notice .html-container { padding: 0; }
#train-notice { overflow: visible; }
/* On a phone the form fills the screen: what was done or refused is said at its foot, not far below. */
@media (max-width: 640px) { #train-notice { position: fixed; bottom: 0; left: 0; right: 0; z-index: 20; } }
#train-command textarea { font-family: ui-monospace, Menlo, monospace; font-size: 12px; }
footer { opacity: .7; }
"""


def build(settings: Settings) -> gr.Blocks:
    """The whole app; nothing is loaded before a visitor comes, except on ZeroGPU."""
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False) as app:
        gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_id="title")
        models = Models.of_server(settings)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(texts.TAB, id="compare"):
                comparison = compare_tab.build(models)
            with gr.Tab(train_tab.texts.TAB, id="train", render_children=True):
                training = train_tab.build(models, photo_input, comparison.methods)
        api.build(models, photo_input)
        if training:
            # A page that is opened or reloaded shows every run, its whole curve, and offers the panels that were added.
            outputs = [comparison.methods, *training.view.outputs]
            app.load(with_visitor(settings, partial(show_runs, settings)), comparison.methods, outputs, **INSTANT)
            app.load(training.preview, training.form.inputs, training.preview_outputs, **INSTANT)
        app.load(partial(describe_model, models), None, comparison.model, **QUEUED)
    refusals.check_requests(app)
    return app


def show_runs(settings: Settings, visitor: Visitor, methods: list[str]) -> list[Any]:
    """Input: chosen methods. Outputs: list of methods, `BoardView.outputs`."""
    choices = run_actions.method_choices(settings.runs, visitor, methods)
    return [choices, *live.refresh(settings, visitor, None, [])]


def serve(settings: Settings) -> None:
    """Builds the app and serves it until it is stopped."""
    request_log.start_logging()
    build(settings).queue(max_size=32).launch(**launch_options(settings))


def launch_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for `launch`: theme, style, address. Fonts are the system's: no request leaves the machine."""
    theme = gr.themes.Default(primary_hue="teal", neutral_hue="slate", font=FONT, font_mono=MONO)
    return {
        "theme": theme,
        "css": CSS,
        "server_name": settings.host,
        "server_port": settings.port or None,
        "show_error": True,
        "footer_links": ["api"],
        "max_file_size": "50mb",
        "app_kwargs": {"routes": routes(settings), "middleware": middleware(settings)},
    }


def routes(settings: Settings) -> list[Route]:
    """Routes beside gradio's: health, metrics, and the operator's page where there is an operator."""
    return [*health.routes(), *([cookies.operator_route(settings)] if settings.operator_token else [])]


def middleware(settings: Settings) -> list[Middleware]:
    """A cookie for every browser, which its runs belong to, on a public server that trains."""
    return [Middleware(cookies.VisitorCookies, settings=settings)] if settings.public and settings.trains else []
