"""From the form to a process: command preview, settings files, start and stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.errors import InputError
from halluapp.serving.models import Models
from halluapp.serving.uploads import only_uploads
from halluapp.serving.visitors import Visitor, set_owner
from halluapp.settings import Settings
from halluapp.training import library, recipes, runs
from halluapp.ui.event_options import INSTANT, QUEUED, Notice, with_current, with_visitor
from halluapp.ui.train import data, form, live, memory, state, texts

MOST_WAITING = 4  # runs that train or wait
SAVE_FILE = """(text) => { const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'application/json'}));
  link.download = 'halluapp-training.json'; link.click(); URL.revokeObjectURL(link.href); }"""


@dataclass(frozen=True)
class StartControls:
    """What stands below the form. file: the settings as a file's text, invisible."""

    start: gr.Button
    stop: gr.Button
    command: gr.Textbox
    save: gr.Button
    load: gr.UploadButton
    file: gr.Textbox
    memory: gr.HTML

    @property
    def preview(self) -> list[Component]:
        """What `preview` writes, in its order."""
        return [self.command, self.file]


def build() -> StartControls:
    """Builds them, in the place where it is called."""
    with gr.Row():
        start_button = gr.Button(texts.START, variant="primary", elem_id="train-start", min_width=120)
        stop_button = gr.Button(texts.STOP, interactive=False, elem_id="train-stop", min_width=100)
    memory_line = memory.build()
    command = gr.Textbox(
        "", label=texts.COMMAND[0], info=texts.COMMAND[1], lines=2, max_lines=8, interactive=False, buttons=["copy"],
        elem_id="train-command",
    )  # fmt: skip
    with gr.Row():
        save = gr.Button(texts.SAVE, size="sm", elem_id="train-save", min_width=100)
        load = only_uploads(
            gr.UploadButton(texts.LOAD, size="sm", file_types=[".json"], elem_id="train-load", min_width=100)
        )
    return StartControls(start_button, stop_button, command, save, load, gr.Textbox("", visible=False), memory_line)


def connect(
    models: Models, run_form: form.Form, controls: StartControls, view: live.BoardView, notice: Notice
) -> Callable:
    """Events of the form and of the controls below it -> the handler that writes the command line."""
    settings = models.settings
    write_preview = partial(with_current(models, preview), run_form)
    parts: list[Any] = [part for part in run_form.inputs if not isinstance(part, gr.State)]
    changes = [part.change for part in parts]
    changes.append(run_form.upload_path.change)
    gr.on(changes, write_preview, run_form.inputs, controls.preview, trigger_mode="always_last", **INSTANT)
    entered = [part.input for part in run_form.inputs if hasattr(part, "input")]  # by a person, not by a preset
    # What was refused was about other settings.
    notice.connect(partial(gr.on, entered), lambda: "", [], [notice.component], **INSTANT)
    memory_line = with_visitor(settings, partial(with_current(models, memory.line), run_form))
    controls.command.change(memory_line, run_form.inputs, controls.memory, trigger_mode="always_last", **QUEUED)
    inputs = [view.selection, view.overlay, *run_form.inputs]
    outputs, start_run = [notice.component, *view.outputs], partial(with_current(models, begin), run_form)
    started_outputs = [*outputs, run_form.name]
    started = notice.connect(controls.start.click, start_run, inputs, started_outputs, settings, **QUEUED)
    started.then(write_preview, run_form.inputs, controls.preview, **INSTANT)
    board_inputs = [view.selection, view.overlay]
    notice.connect(controls.stop.click, partial(end, settings), board_inputs, outputs, settings, **INSTANT)
    controls.save.click(None, controls.file, None, js=SAVE_FILE, api_visibility="private")
    _connect_form(settings, run_form, controls, notice)
    return write_preview


def _connect_form(settings: Settings, run_form: form.Form, controls: StartControls, notice: Notice) -> None:
    """What changes the form itself: method, source of the pairs, presets, settings files."""
    source_inputs = [run_form.source, run_form.path, run_form.upload_path]
    fill_outputs = [notice.component, *run_form.fill_outputs]
    run_form.kind.change(show_kind, run_form.kind, list(run_form.groups.values()), **INSTANT)
    run_form.source.change(show_source, run_form.source, [run_form.path, run_form.upload], **INSTANT)
    uploaded = partial(gr.on, [run_form.upload.upload, run_form.upload.clear])
    stored, store = [run_form.upload_path, notice.component], partial(store_upload, settings)
    notice.connect(uploaded, store, [run_form.upload], stored, trigger_mode="always_last", **QUEUED)
    outputs, check = [notice.component, run_form.pairs], partial(check_pairs, settings)
    for trigger in (run_form.check.click, run_form.path.submit):
        notice.connect(trigger, check, source_inputs, outputs, **QUEUED)
    load = partial(load_settings, settings, run_form)
    notice.connect(controls.load.upload, load, [controls.load], fill_outputs, **QUEUED)
    for (kind, title), button in run_form.presets.items():
        preset = partial(use_preset, settings, run_form, kind, title)
        notice.connect(button.click, preset, [], fill_outputs, **INSTANT)


def launch(settings: Settings, visitor: Visitor, entries: dict[str, Any]) -> tuple[str, str]:
    """Starts the run of the form, or puts it in the queue -> its name, one sentence. Raises InputError.

    entries: from `form.entries`.
    """
    visitor.check_can_own()
    root = settings.runs.resolve()
    others = state.live_runs(root)
    if len(others) >= MOST_WAITING:
        raise InputError(texts.QUEUE_FULL.format(n=len(others)))
    config = form.config(settings, entries, data.store_photo(root, entries["photo"]))
    entered_name = (entries["name"] or "").strip()
    name = library.checked_name(root, entered_name) if entered_name else library.free_name(root, config.kind)
    data.check(config.data)  # before a folder is made
    set_owner(runs.launch(root / name, config), visitor)
    if not others:
        return name, texts.STARTED.format(name=name)
    sentence = texts.QUEUED if visitor.owns(others[0]) else texts.QUEUED_BEHIND
    return name, sentence.format(name=name, other=others[0].name)


def stop(settings: Settings, visitor: Visitor, selection: str | None) -> str:
    """Stops the chosen run if it lives, else the visitor's one that trains -> one sentence."""
    others = state.live_runs(settings.runs, visitor)
    if not others:
        return texts.NOTHING_TO_STOP
    run = next((run for run in others if run.name == selection), others[0])
    run.stop()
    return texts.STOPPING.format(name=run.name)


def preview(settings: Settings, run_form: form.Form, *inputs: Any) -> tuple[str, str]:
    """Inputs: `Form.inputs`. Outputs: `StartControls.preview`, the command line and the settings file."""
    entries = form.entries(run_form, inputs)
    return form.command(settings, entries), form.as_json(entries)


def begin(
    settings: Settings, run_form: form.Form, visitor: Visitor, selection: str | None, overlay: list[str], *inputs: Any
) -> list[Any]:
    """Inputs: chosen run, overlay, `Form.inputs`. Outputs: notice, `BoardView.outputs`, name (for the next one)."""
    name = ""
    try:
        selection, sentence = launch(settings, visitor, form.entries(run_form, inputs))
    except (InputError, OSError) as error:
        sentence, name = str(error), gr.skip()
    return [sentence, *live.refresh(settings, visitor, selection, overlay), name]


def end(settings: Settings, visitor: Visitor, selection: str | None, overlay: list[str]) -> list[Any]:
    """Inputs: chosen run, overlay. Outputs: notice, `BoardView.outputs`."""
    return [stop(settings, visitor, selection), *live.refresh(settings, visitor, selection, overlay)]


def show_kind(kind: str) -> list[Any]:
    """Input: kind. Outputs: the groups of settings, of which this kind's is visible."""
    return [gr.update(visible=name == kind) for name in recipes.RECIPES]


def show_source(source: str) -> tuple:
    """Input: source of the pairs. Outputs: path, upload."""
    return gr.update(visible=source == texts.PAIRS_PATH), gr.update(visible=source == texts.UPLOADED_PAIRS)


def store_upload(settings: Settings, files: list[str] | None) -> tuple:
    """Input: uploaded files. Outputs: path of the stored pairs, notice."""
    if not files:
        return None, ""
    try:
        path = data.store_upload(settings.runs.resolve(), files)
        return path, data.check(path)
    except (InputError, OSError) as error:
        return None, str(error)


def check_pairs(settings: Settings, source: str, path: str, upload_path: str | None) -> tuple[str, Any]:
    """Inputs: source, path, upload path. Outputs: notice, two of the pairs with their photos."""
    try:
        pairs = data.pairs_path(settings, source, path, upload_path)
        return data.check(pairs), gr.update(value=data.preview(pairs), visible=True)
    except (InputError, OSError) as error:
        return str(error), gr.update(value=None, visible=False)


def load_settings(settings: Settings, run_form: form.Form, file: str) -> list[Any]:
    """Input: settings file. Outputs: notice, `Form.fill_outputs`."""
    try:
        return [texts.LOADED, *form.fill(run_form, settings, *form.read(file))]
    except InputError as error:
        return [str(error), *(gr.skip() for _ in run_form.fill_outputs)]


def use_preset(settings: Settings, run_form: form.Form, kind: str, title: str) -> list[Any]:
    """Outputs: notice, `Form.fill_outputs`."""
    return [texts.preset_line(title), *form.fill(run_form, settings, kind, form.preset(kind, title))]
