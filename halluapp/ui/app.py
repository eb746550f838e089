"""Puts the page together."""

from __future__ import annotations

import shutil
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.routing import Route

from halluapp.errors import InputError
from halluapp.machine import free_port
from halluapp.serving import callers, disk, health, hosts, refusals, request_log, sessions
from halluapp.serving.lane import LANE
from halluapp.serving.models import Models
from halluapp.serving.visitors import Visitor, cookies
from halluapp.settings import Settings
from halluapp.ui import api, language, model_picker, texts, theme_switch, tools
from halluapp.ui.compare import exports, stored
from halluapp.ui.compare import tab as compare_tab
from halluapp.ui.compare.photo_input import photo_input
from halluapp.ui.event_options import INSTANT, with_visitor
from halluapp.ui.train import live, run_actions
from halluapp.ui.train import tab as train_tab

LATIN = ["system-ui", "-apple-system", "Segoe UI", "Roboto"]
CHINESE = ["PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Micro Hei"]
FONT = [*LATIN, *CHINESE, "sans-serif"]
MOST_EVENTS = 500  # in gradio's queue, which nothing waits in for long: comparisons wait in the lane
SECONDS_TO_END = 2  # for sentences to callers that wait; open pages are not waited for
OTHER_THREADS = 32  # beside those of comparisons that wait
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
CSS = """
.gradio-container { width: 100%; max-width: 1560px !important; margin: 0 auto; }
.gradio-container > .main { padding: 8px clamp(12px, 3vw, 24px) !important; } #panels > .html-container { padding: 0; }
#header { align-items: baseline; gap: 4px 16px; } #header > * { width: auto; min-width: 0 !important; }
#title { flex: 1 1 420px; } #title p { margin: 0; font-size: 13px; }
#title h1 { font-size: 18px; margin: 0 10px 0 0; display: inline; } #title p { display: inline; }
#model { flex: 0 1 auto; max-width: 100%; overflow: visible; position: relative; z-index: 1000; padding: 0; }
#model .html-container { padding: 0; overflow: visible; } #model-note { padding: 0 !important; margin: -2px 0; }
#model-note .html-container { padding: 0; }
#theme, #language { flex: none; order: 1; }
#theme .html-container, #language .html-container { padding: 0; }
.dark { --color-accent: #2dd4bf; }
/* gradio keeps its timer of a request in the page where it is not to be shown. */
.wrap.translucent.hide, .wrap.translucent.hide .progress-text { visibility: hidden; }
input:focus-visible, textarea:focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 1px; }
#tabs .tab-container button { min-height: 32px; } #tabs .tabitem { padding: 10px 0 0; }
#rail .form, #rail .block { border-width: 0; box-shadow: none; }
#rail textarea { font-size: 14px; } #prompt { padding: 0; } #prompt label > span { background: none; }
#presets { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
#presets button { font-weight: 400; font-size: 12px; white-space: normal; padding: 2px 4px; min-height: 26px; }
#go { gap: 8px; } #go button { min-height: 38px; padding: 4px 12px; }
#methods .wrap { gap: 4px; } #methods label { padding: 2px 9px; min-height: 26px; font-size: 12px; gap: 0; }
#methods input { position: absolute; opacity: 0; width: 1px; height: 1px; } #methods label span { margin: 0; }
#methods label:focus-within { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#methods label:has(input:checked) { background: var(--button-primary-background-fill); border-color: transparent; }
#methods label:has(input:checked) span { color: white; }
#methods label:has(input:checked) span::before { content: "✓ "; }
#settings-help { overflow: visible !important; }
#settings-help p { font-size: 12px; margin: 0; } #settings .form { flex: none; overflow: visible; }
#report { align-items: center; gap: 6px; margin-top: 12px; } #report > * { flex: 0 0 auto !important; width: auto; }
#report button, #report a { min-height: 28px; font-size: 12px; font-weight: 400; }
#inside .html-container { padding: 0; }
#kept-notice p { font-size: 12px; margin: 0; }
#panels:has(.blind-vote) ~ #inside, .gradio-container:has(.blind-vote) #inside { display: none; }
#save-label p { font-size: 12px; margin: 0; }
#train-intro p, .train-about p { font-size: 13px; margin: 0; }
.train-switch { flex: 1 0 100% !important; min-width: 240px !important; }
.train-presets, .train-actions { gap: 6px; flex-wrap: wrap; }
.train-presets button, .train-actions button { font-weight: 400; white-space: normal; }
.train-presets button, .train-actions button { flex: 0 1 auto !important; padding-left: 12px; padding-right: 12px; }
#train-board .html-container, #train-notice .html-container { padding: 0; }
#train-notice { overflow: visible; }
/* On a phone the form fills the screen: what was done or refused is said at its foot, not far below. */
@media (max-width: 640px) {
  #train-notice { position: fixed; bottom: 0; left: 0; right: 0; z-index: 20; }
  #title { flex: 1 1 100%; } #theme, #language { order: 0; } #model { flex: 1 1 100%; }
  #panels:not(:has(.settings-open)) #methods { display: none; }
  #presets button, #methods label, #go button, #report button, #report a { min-height: 44px; }
}
#train-pairs .grid-container { grid-template-columns: 1fr; }
#train-pairs .grid-wrap { max-height: none; min-height: 0; }
#train-pairs .thumbnail-item { aspect-ratio: auto; height: auto; }
#train-pairs .thumbnail-item img { height: auto; max-height: 220px; object-fit: contain; }
#train-pairs .caption-label { opacity: 1 !important; position: static; max-width: none; }
#train-pairs .caption-label { white-space: normal; overflow: visible; border: 0; }
#train-command textarea { font-family: ui-monospace, Menlo, monospace; font-size: 12px; }
"""


def build(settings: Settings) -> gr.Blocks:
    """The whole app; nothing is loaded before a visitor comes, except on ZeroGPU."""
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False, fill_width=True) as app:
        with gr.Row(elem_id="header"):
            gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_id="title")
            language.build()
            theme_switch.build()
            models = Models.of_server(settings)
            picker = model_picker.build(models)
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
            picker.switched.then(training.preview, training.form.inputs, training.preview_outputs, **INSTANT)
        comparison.open_link(app)
        comparison.bring_back(app, settings)
        picker.connect(app, models, comparison.note, comparison.prompt, comparison.result)
    refusals.check_requests(app)
    sessions.forget_calls(app)
    return app


def show_runs(settings: Settings, visitor: Visitor, methods: list[str]) -> list[Any]:
    """Input: chosen methods. Outputs: list of methods, `BoardView.outputs`."""
    choices = run_actions.method_choices(settings.runs, visitor, methods)
    return [choices, *live.refresh(settings, visitor, None, [])]


def launch(settings: Settings, **options: Any) -> tuple[gr.Blocks, str]:
    """Builds the app and lets it listen -> (app, address). options: of gradio's `launch`."""
    app = build(settings)
    app.queue(max_size=MOST_EVENTS)
    sessions.bound(app)
    _, address, _ = app.launch(prevent_thread_lock=True, **{**launch_options(settings), **options})
    tools.answer_in_json(app)
    return app, address


def serve(settings: Settings) -> None:
    """Serves the app until it is stopped, by Ctrl-C or SIGTERM; then whoever waits is stopped and its files go."""
    sessions.share_arenas()
    folder = disk.own_folder()
    request_log.start_logging()
    signal.signal(signal.SIGTERM, _end)
    try:
        app, _ = launch(settings)
        app.server.config.timeout_graceful_shutdown = SECONDS_TO_END
        disk.keep_small(settings, lambda: [folder, Path(get_upload_folder())], partial(keep_tidy, app, settings))
        threading.Thread(target=load_early, args=(settings,), daemon=True).start()
        app.block_thread()
    finally:
        LANE.close()
        shutil.rmtree(folder, ignore_errors=True)


def keep_tidy(app: gr.Blocks, settings: Settings) -> None:
    """What goes by its age beside files: sessions of closed pages, results beyond the bounds of the store."""
    sessions.drop_closed(app)
    if store := stored.store_of(settings):
        with suppress(InputError):  # busy or damaged: it is said to who opens a result
            store.prune()


def _end(number: int, frame: Any) -> None:
    """Ends as Ctrl-C does; whoever waits hears of it while the server can still answer."""
    LANE.close()
    signal.default_int_handler(number, frame)


def load_early(settings: Settings) -> None:
    """Loads the model while nobody waits for it; what is wrong with it is said on the page."""
    with suppress(InputError):
        Models(settings).session()


def launch_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for `launch`: theme, style, address. Fonts are the system's: no request leaves the machine."""
    return {
        "theme": theme(),
        "css": CSS,
        "head": theme_switch.head() + language.head(),
        "server_name": settings.host,
        "server_port": settings.port or free_port(settings.host),
        "show_error": True,
        "footer_links": ["api"],
        "max_file_size": f"{settings.upload_mb}mb",
        "max_threads": settings.queue + OTHER_THREADS,
        "state_session_capacity": sessions.MOST_PAGES,
        "mcp_server": not settings.auth,  # gradio's does not ask for a password
        "auth": tuple(settings.auth.split(":", 1)) if settings.auth else None,
        "app_kwargs": {
            "routes": routes(settings),
            "middleware": middleware(settings),
            "exception_handlers": refusals.exception_handlers(),
        },
    }


def theme() -> gr.themes.Base:
    """One accent, for what is pressed and focused; every text has a contrast of at least 4.5:1 in both themes."""
    base = gr.themes.Default(primary_hue="teal", neutral_hue="slate", font=FONT, font_mono=MONO)
    quiet, pressed = {"light": "*neutral_600", "dark": "*neutral_300"}, "*primary_700"
    return base.set(
        button_primary_background_fill=pressed, button_primary_background_fill_dark=pressed,
        button_primary_background_fill_hover="*primary_800", button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white", button_primary_text_color_dark="white",
        color_accent=pressed, body_text_color_subdued=quiet["light"], body_text_color_subdued_dark=quiet["dark"],
        block_label_text_color=quiet["light"], block_label_text_color_dark=quiet["dark"],
        block_title_text_color=quiet["light"], block_title_text_color_dark=quiet["dark"],
        block_info_text_color=quiet["light"], block_info_text_color_dark=quiet["dark"],
        input_placeholder_color=quiet["light"], input_placeholder_color_dark=quiet["dark"],
        checkbox_background_color_selected=pressed, checkbox_background_color_selected_dark=pressed,
        slider_color=pressed, slider_color_dark="*primary_500",
    )  # fmt: skip


def routes(settings: Settings) -> list[Route]:
    """Routes beside gradio's: health, metrics, and the operator's page where there is an operator."""
    return [*health.routes(), exports.route(), *([cookies.operator_route(settings)] if settings.operator_token else [])]


def middleware(settings: Settings) -> list[Middleware]:
    """The check of names, the watch over direct calls; where a public server trains, a cookie for every browser."""
    names = hosts.names(settings)
    checks = [] if names is None else [Middleware(hosts.HostCheck, names=names)]
    visitors = [Middleware(cookies.VisitorCookies, settings=settings)] if settings.public and settings.trains else []
    return [*checks, Middleware(callers.CallerWatch), *visitors]
