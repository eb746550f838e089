"""From the form to a process: command preview, settings files, start and stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.training import library, runs
from halluapp.ui.train import data, form, live, state, texts

MOST_WAITING = 4  # runs that train or wait
SAVE_FILE = """(text) => { const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'application/json'}));
  link.download = 'halluapp-training.json'; link.click(); URL.revokeObjectURL(link.href); }"""


@dataclass(frozen=True)
class Buttons:
    """What stands below the form."""

    start: gr.Button
    stop: gr.Button
    command: gr.Textbox
    save: gr.Button
    load: gr.UploadButton
    file: gr.Textbox


def build() -> Buttons:
    """Builds them, in the place where it is called."""
    with gr.Row():
        begin = gr.Button(texts.START, variant="primary", elem_id="train-start", min_width=120)
        end = gr.Button(texts.STOP, interactive=False, elem_id="train-stop", min_width=100)
    line = gr.Textbox(
        "", label=texts.COMMAND[0], info=texts.COMMAND[1], lines=2, max_lines=8, interactive=False, buttons=["copy"],
        elem_id="train-command",
    )  # fmt: skip
    with gr.Row():
        save = gr.Button(texts.SAVE, size="sm", elem_id="train-save", min_width=100)
        load = gr.UploadButton(texts.LOAD, size="sm", file_types=[".json"], elem_id="train-load", min_width=100)
    return Buttons(begin, end, line, save, load, gr.Textbox("", visible=False))


def launch(settings: Settings, chosen: dict[str, Any]) -> tuple[str, str]:
    """Starts the run that was asked for, or puts it in the queue -> its name, one sentence. Raises InputError."""
    root = settings.runs.resolve()
    others = state.live_runs(root)
    if len(others) >= MOST_WAITING:
        raise InputError(texts.QUEUE_FULL.format(n=len(others)))
    asked = form.config(settings, chosen, data.store_photo(root, chosen["photo"]))
    typed = (chosen["name"] or "").strip()
    name = library.checked_name(root, typed) if typed else library.free_name(root, asked.kind)
    data.check(asked.data)  # before a folder is made
    runs.launch(root / name, asked)
    return name, texts.QUEUED.format(name=name, other=others[0].name) if others else texts.STARTED.format(name=name)


def stop(settings: Settings, chosen: str | None) -> str:
    """Stops the chosen run if it lives, else the one that trains -> one sentence."""
    others = state.live_runs(settings.runs)
    if not others:
        return texts.NOTHING_TO_STOP
    run = next((run for run in others if run.name == chosen), others[0])
    run.stop()
    return texts.STOPPING.format(name=run.name)


def connect(
    settings: Settings,
    made: form.Form,
    buttons: Buttons,
    view: live.BoardView,
    notice: gr.HTML,
    instant: dict[str, Any],
) -> Callable:
    """Events of the form and of the buttons below it -> the handler that writes the command line."""

    def preview(*given):
        chosen = form.values(made, given)
        return form.command(settings, chosen), form.as_json(chosen)

    def begin(chosen, overlay, *given):
        try:
            chosen, said = launch(settings, form.values(made, given))
        except (InputError, OSError) as error:
            said = str(error)
        return [said, *live.refresh(settings, chosen, overlay)]

    def end(chosen, overlay):
        return [stop(settings, chosen), *live.refresh(settings, chosen, overlay)]

    changed = [part.change for part in made.inputs if not isinstance(part, gr.State)] + [made.upload_path.change]
    shown = [buttons.command, buttons.file]
    gr.on(changed, preview, made.inputs, shown, trigger_mode="always_last", **instant)
    shared = {"show_progress": "hidden", "api_visibility": "private"}
    buttons.start.click(begin, [view.chosen, view.overlay, *made.inputs], [notice, *view.outputs], **shared).then(
        preview, made.inputs, shown, **instant
    )
    buttons.stop.click(end, [view.chosen, view.overlay], [notice, *view.outputs], **instant)
    buttons.save.click(None, buttons.file, None, js=SAVE_FILE, api_visibility="private")
    _connect_form(settings, made, buttons, notice, instant)
    return preview


def _connect_form(
    settings: Settings, made: form.Form, buttons: Buttons, notice: gr.HTML, instant: dict[str, Any]
) -> None:
    """What changes the form itself: method, source of the pairs, presets, settings files."""
    kinds = list(made.groups)

    def show_kind(kind):
        return [gr.update(visible=one == kind) for one in kinds]

    def show_source(where):
        return gr.update(visible=where == texts.PAIRS_PATH), gr.update(visible=where == texts.UPLOADED_PAIRS)

    def take(files):
        if not files:
            return None, ""
        try:
            path = data.store_upload(settings.runs.resolve(), files)
            return path, data.check(path)
        except (InputError, OSError) as error:
            return None, str(error)

    def check(where, path, uploaded):
        try:
            return data.check(data.source(settings, where, path, uploaded))
        except (InputError, OSError) as error:
            return str(error)

    def load(file):
        try:
            return [texts.LOADED, *form.fill(made, settings, *form.read(file))]
        except InputError as error:
            return [str(error), *(gr.skip() for _ in made.fill_outputs)]

    made.kind.change(show_kind, made.kind, list(made.groups.values()), **instant)
    made.source.change(show_source, made.source, [made.path, made.upload], **instant)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on([made.upload.upload, made.upload.clear], take, made.upload, [made.upload_path, notice], **quiet)
    made.check.click(check, [made.source, made.path, made.upload_path], notice, **quiet)
    made.path.submit(check, [made.source, made.path, made.upload_path], notice, **quiet)
    buttons.load.upload(load, buttons.load, [notice, *made.fill_outputs], **quiet)
    for (kind, title), button in made.presets.items():
        button.click(_preset(made, settings, kind, title), None, [notice, *made.fill_outputs], **instant)


def _preset(made: form.Form, settings: Settings, kind: str, title: str):
    def use():
        return [texts.preset_line(title), *form.fill(made, settings, kind, form.preset(kind, title))]

    return use
