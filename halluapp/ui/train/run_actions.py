"""What can be done with a run that is chosen in the list: panel, download, settings, name, end; and adapters from
elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.methods.registry import METHODS
from halluapp.session import load_session
from halluapp.settings import Settings
from halluapp.training import library, runs
from halluapp.ui.train import form, live, measurement, state, texts

_zips = tempfile.TemporaryDirectory(prefix="halluapp-runs-")
Work = Callable[..., tuple[str, str | None, str]]


@dataclass(frozen=True)
class Actions:
    """The buttons above the board, and what they open. subject: the run that a question is about, whichever run is
    chosen when it is answered."""

    add: gr.Button
    remove: gr.Button
    download: gr.Button
    use_settings: gr.Button
    resume: gr.Button
    rename: gr.Button
    measure: gr.Button
    delete: gr.Button
    new_name: gr.Textbox
    confirm_rename: gr.Button
    rename_row: gr.Row
    confirm_delete: gr.Button
    cancel_delete: gr.Button
    delete_row: gr.Row
    zip: gr.File
    subject: gr.State

    @property
    def by_name(self) -> dict[str, gr.Button]:
        """Those that only some runs have, by what `state.possible_actions` calls them."""
        return {name: getattr(self, name) for name in state.ACTIONS}


@dataclass(frozen=True)
class AdapterImport:
    """The form for an adapter made elsewhere."""

    files: gr.File
    folder: gr.Textbox
    name: gr.Textbox
    button: gr.Button


def build() -> Actions:
    """Builds the buttons, in the place where it is called."""
    with gr.Row(elem_classes="train-actions"):
        add = gr.Button(texts.ADD, variant="primary", size="sm", elem_id="train-add", min_width=110)
        remove = gr.Button(texts.REMOVE, size="sm", elem_id="train-remove", min_width=110)
        resume = gr.Button(texts.RESUME, size="sm", elem_id="train-resume", min_width=70)
        download = gr.Button(texts.DOWNLOAD, size="sm", elem_id="train-download", min_width=80)
        use_settings = gr.Button(texts.USE_SETTINGS, size="sm", elem_id="train-use", min_width=110)
        rename = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename", min_width=70)
        measure = gr.Button(texts.MEASURE, size="sm", elem_id="train-measure", min_width=70)
        delete = gr.Button(texts.DELETE, size="sm", elem_id="train-delete", min_width=70)
    with gr.Row(visible=False) as rename_row:
        new_name = gr.Textbox("", label=texts.RENAME[1], max_lines=1, elem_id="train-new-name", scale=3)
        confirm_rename = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename-sure", min_width=90)
    with gr.Row(visible=False) as delete_row:
        confirm_delete = gr.Button(texts.DELETE, variant="stop", size="sm", elem_id="train-delete-sure", min_width=140)
        cancel_delete = gr.Button(texts.CANCEL_DELETE, size="sm", elem_id="train-keep", min_width=90)
    packed = gr.File(label=texts.ZIP, visible=False, elem_id="train-zip")
    return Actions(
        add, remove, download, use_settings, resume, rename, measure, delete, new_name, confirm_rename, rename_row,
        confirm_delete, cancel_delete, delete_row, packed, gr.State(None),
    )  # fmt: skip


def build_import(settings: Settings) -> AdapterImport:
    """Builds the form for adapters from elsewhere, in the place where it is called."""
    with gr.Accordion(texts.IMPORT, open=False, elem_id="train-import"):
        files = gr.File(label=texts.IMPORT_FILES, file_count="multiple", elem_id="train-import-files", height=150)
        folder = gr.Textbox(
            "", label=texts.IMPORT_PATH[0], info=texts.IMPORT_PATH[1], max_lines=1, visible=not settings.space,
            elem_id="train-import-folder",
        )  # fmt: skip
        with gr.Row():
            name = gr.Textbox("", label=texts.IMPORT_NAME, max_lines=1, elem_id="train-import-name", scale=3)
            button = gr.Button(texts.IMPORT_BUTTON, size="sm", elem_id="train-import-button", min_width=110)
    return AdapterImport(files, folder, name, button)


def method_choices(root: Path, current: list[str], add: str = "") -> Any:
    """The list of methods of Compare with all runs that are offered; what is chosen stays, `add` is chosen too."""
    offered = library.panel_runs(root)
    known = {*METHODS, *(name for _, name in offered)}
    choices = [(method.title, name) for name, method in METHODS.items()] + offered
    return gr.update(choices=choices, value=[name for name in dict.fromkeys([*current, add]) if name in known])


def changing(settings: Settings, work: Work) -> Callable:
    """A handler that says what it did, and shows the runs and the methods as they are then.

    work: (chosen, more inputs) -> sentence, the run that is chosen then, a method to switch on ("": none).
    """

    def handler(chosen, overlay, current, *more):
        add = ""
        try:
            said, chosen, add = work(chosen, *more)
        except (InputError, OSError) as error:
            said = str(error)
        return [said, method_choices(settings.runs, current, add), *live.refresh(settings, chosen, overlay)]

    return handler


def connect(
    settings: Settings, parts: Actions, adapter_import: AdapterImport, made: form.Form, view: live.BoardView,
    notice: gr.HTML, methods: gr.CheckboxGroup, instant: dict[str, Any],
) -> None:  # fmt: skip
    """Events of the buttons."""
    shared = {"show_progress": "hidden", "api_visibility": "private"}
    model = {**shared, "concurrency_id": "model", "concurrency_limit": 1}  # no adapter changes under a comparison
    inputs = [view.chosen, view.overlay, methods]
    outputs = [notice, methods, *view.outputs]
    away = {
        "fn": lambda: (gr.update(visible=False),) * 2,
        "inputs": None,
        "outputs": [parts.rename_row, parts.delete_row],
    }
    parts.add.click(changing(settings, _adder(settings)), inputs, outputs, **model)
    parts.remove.click(changing(settings, _remover(settings)), inputs, outputs, **instant)
    parts.resume.click(changing(settings, _resumer(settings)), inputs, outputs, **shared)
    parts.measure.click(changing(settings, _measurer(settings)), inputs, outputs, **instant)
    renamed = parts.confirm_rename.click(
        changing(settings, _renamer(settings)), [*inputs, parts.subject, parts.new_name, methods], outputs, **shared
    )
    deleted = parts.confirm_delete.click(
        changing(settings, _deleter(settings)), [*inputs, parts.subject], outputs, **shared
    )
    for event in (renamed.then, deleted.then, parts.cancel_delete.click):
        event(**away, **instant)
    theirs = [*inputs, adapter_import.name, adapter_import.files, adapter_import.folder]
    adapter_import.button.click(changing(settings, _importer(settings)), theirs, outputs, **model)
    _connect_quiet(settings, parts, made, view, notice, instant)


def _connect_quiet(
    settings: Settings, parts: Actions, made: form.Form, view: live.BoardView, notice: gr.HTML, instant: dict[str, Any]
) -> None:
    """Buttons that change no run: the questions before a deletion and a new name, download, settings."""
    root, shared = settings.runs, {"show_progress": "hidden", "api_visibility": "private"}

    def ask(chosen):
        try:
            name = library.find(root, _chosen(settings, chosen)).name
            return "", name, gr.update(visible=True), texts.CONFIRM_DELETE.format(name=name), gr.update(visible=False)
        except InputError as error:
            return str(error), None, gr.update(visible=False), gr.skip(), gr.skip()

    def ask_name(chosen):
        try:
            name = library.find(root, _chosen(settings, chosen)).name
            return (
                "",
                name,
                gr.update(visible=True),
                name,
                texts.CONFIRM_RENAME.format(name=name),
                gr.update(visible=False),
            )
        except InputError as error:
            return str(error), None, gr.update(visible=False), gr.skip(), gr.skip(), gr.skip()

    def download(chosen):
        try:
            path = library.pack(root, _chosen(settings, chosen), Path(_zips.name))
            return "", gr.update(value=str(path), visible=True)
        except (InputError, OSError) as error:
            return str(error), gr.update(visible=False)

    def use_settings(chosen):
        try:
            run = library.find(root, _chosen(settings, chosen))
            return [texts.LOADED, *form.fill(made, settings, *form.read(run.folder / "config.json"))]
        except InputError as error:
            return [str(error), *(gr.skip() for _ in made.fill_outputs)]

    naming = [notice, parts.subject, parts.rename_row, parts.new_name, parts.confirm_rename, parts.delete_row]
    parts.rename.click(ask_name, view.chosen, naming, **instant)
    parts.delete.click(
        ask, view.chosen, [notice, parts.subject, parts.delete_row, parts.confirm_delete, parts.rename_row], **instant
    )
    parts.download.click(download, view.chosen, [notice, parts.zip], **shared)
    parts.use_settings.click(use_settings, view.chosen, [notice, *made.fill_outputs], **instant)


def _chosen(settings: Settings, chosen: str | None) -> str | None:
    return chosen or state.default_run(settings.runs)


def _adder(settings: Settings) -> Work:
    def add(chosen):
        name = _chosen(settings, chosen)
        method = library.add_panel(settings.runs, name, load_session(settings).lvlm)
        return texts.ADDED.format(name=name), name, method

    return add


def _remover(settings: Settings) -> Work:
    def remove(chosen):
        name = _chosen(settings, chosen)
        library.remove_panel(settings.runs, name)
        return texts.REMOVED.format(name=name), name, ""

    return remove


def _renamer(settings: Settings) -> Work:
    def rename(chosen, name, new, current):
        _refuse_measured(settings, name)
        new = library.rename(settings.runs, name, new)
        add = library.PREFIX + new if library.PREFIX + name in current else ""
        return texts.RENAMED.format(old=name, new=new), new if chosen == name else chosen, add

    return rename


def _resumer(settings: Settings) -> Work:
    def resume(chosen):
        run = library.find(settings.runs.resolve(), _chosen(settings, chosen))
        if library.is_imported(run) or run.status()["state"] not in runs.RESUMABLE:
            raise InputError(texts.NOTHING_TO_RESUME.format(name=run.name))
        runs.launch(run.folder, run.config(), resume=True)
        return texts.RESUMED.format(name=run.name), run.name, ""

    return resume


def _measurer(settings: Settings) -> Work:
    def measure(chosen):
        run = library.find(settings.runs, _chosen(settings, chosen))
        if library.is_imported(run):
            raise InputError(texts.NO_PAIRS_OF_IMPORT.format(name=run.name))
        if busy := state.live_runs(settings.runs):
            raise InputError(texts.TRAINING_FIRST.format(name=busy[0].name))
        measurement.start(run)
        return texts.MEASURE_STARTED.format(name=run.name), run.name, ""

    return measure


def _deleter(settings: Settings) -> Work:
    def delete(chosen, name):
        _refuse_measured(settings, name)
        library.delete(settings.runs, name)
        return texts.DELETED.format(name=name), None if chosen == name else chosen, ""

    return delete


def _refuse_measured(settings: Settings, name: str | None) -> None:
    """A process that measures a run reads and writes in its folder."""
    if measurement.running(library.find(settings.runs, name)):
        raise InputError(texts.BEING_MEASURED.format(name=name))


def _importer(settings: Settings) -> Work:
    def bring_in(chosen, name, files, folder):
        source = files or ("" if settings.space else (folder or "").strip())
        if not source:
            raise InputError(texts.NOTHING_TO_IMPORT)
        name = library.import_adapter(settings.runs, name.strip(), source, load_session(settings).lvlm)
        return texts.ADDED.format(name=name), name, library.PREFIX + name

    return bring_in
