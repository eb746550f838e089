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
from halluapp.ui.train import form, live, measuring, state, texts

_zips = tempfile.TemporaryDirectory(prefix="halluapp-runs-")
Work = Callable[..., tuple[str, str | None, str]]


@dataclass(frozen=True)
class Actions:
    """The buttons above the board, and what they open. asked: the run that a question is about, whichever run is
    chosen when it is answered."""

    add: gr.Button
    remove: gr.Button
    download: gr.Button
    use: gr.Button
    resume: gr.Button
    rename: gr.Button
    measure: gr.Button
    delete: gr.Button
    new_name: gr.Textbox
    rename_sure: gr.Button
    renaming: gr.Row
    delete_sure: gr.Button
    keep: gr.Button
    deleting: gr.Row
    zip: gr.File
    asked: gr.State

    @property
    def by_name(self) -> dict[str, gr.Button]:
        """Those that only some runs have, by what `state.possible` calls them."""
        return {name: getattr(self, name) for name in state.ACTIONS}


@dataclass(frozen=True)
class Import:
    """The form for an adapter made elsewhere."""

    files: gr.File
    folder: gr.Textbox
    name: gr.Textbox
    button: gr.Button


def build() -> Actions:
    """Builds the buttons, in the place where it is called."""
    with gr.Row(elem_classes="train-actions"):
        add = gr.Button(texts.ADD, variant="primary", size="sm", elem_id="train-add", min_width=110)
        remove = gr.Button(texts.TAKE_AWAY, size="sm", elem_id="train-remove", min_width=110)
        resume = gr.Button(texts.RESUME, size="sm", elem_id="train-resume", min_width=70)
        download = gr.Button(texts.DOWNLOAD, size="sm", elem_id="train-download", min_width=80)
        use = gr.Button(texts.SETTINGS_OF, size="sm", elem_id="train-use", min_width=110)
        rename = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename", min_width=70)
        measure = gr.Button(texts.MEASURE, size="sm", elem_id="train-measure", min_width=70)
        delete = gr.Button(texts.DELETE, size="sm", elem_id="train-delete", min_width=70)
    with gr.Row(visible=False) as renaming:
        new_name = gr.Textbox("", label=texts.RENAME[1], max_lines=1, elem_id="train-new-name", scale=3)
        rename_sure = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename-sure", min_width=90)
    with gr.Row(visible=False) as deleting:
        delete_sure = gr.Button(texts.DELETE, variant="stop", size="sm", elem_id="train-delete-sure", min_width=140)
        keep = gr.Button(texts.KEEP, size="sm", elem_id="train-keep", min_width=90)
    packed = gr.File(label=texts.ZIP, visible=False, elem_id="train-zip")
    return Actions(
        add, remove, download, use, resume, rename, measure, delete, new_name, rename_sure, renaming, delete_sure, keep,
        deleting, packed, gr.State(None),
    )  # fmt: skip


def build_import(settings: Settings) -> Import:
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
    return Import(files, folder, name, button)


def panels(root: Path, current: list[str], add: str = "") -> Any:
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
        return [said, panels(settings.runs, current, add), *live.look(settings, chosen, overlay)]

    return handler


def connect(
    settings: Settings, parts: Actions, elsewhere: Import, made: form.Form, view: live.View, notice: gr.HTML,
    methods: gr.CheckboxGroup, instant: dict[str, Any],
) -> None:  # fmt: skip
    """Events of the buttons."""
    shared = {"show_progress": "hidden", "api_visibility": "private"}
    model = {**shared, "concurrency_id": "model", "concurrency_limit": 1}  # no adapter changes under a comparison
    inputs = [view.chosen, view.overlay, methods]
    outputs = [notice, methods, *view.outputs]
    away = {"fn": lambda: (gr.update(visible=False),) * 2, "inputs": None, "outputs": [parts.renaming, parts.deleting]}
    parts.add.click(changing(settings, _adder(settings)), inputs, outputs, **model)
    parts.remove.click(changing(settings, _remover(settings)), inputs, outputs, **instant)
    parts.resume.click(changing(settings, _resumer(settings)), inputs, outputs, **shared)
    parts.measure.click(changing(settings, _measurer(settings)), inputs, outputs, **instant)
    renamed = parts.rename_sure.click(
        changing(settings, _renamer(settings)), [*inputs, parts.asked, parts.new_name, methods], outputs, **shared
    )
    deleted = parts.delete_sure.click(changing(settings, _deleter(settings)), [*inputs, parts.asked], outputs, **shared)
    for event in (renamed.then, deleted.then, parts.keep.click):
        event(**away, **instant)
    theirs = [*inputs, elsewhere.name, elsewhere.files, elsewhere.folder]
    elsewhere.button.click(changing(settings, _importer(settings)), theirs, outputs, **model)
    _connect_quiet(settings, parts, made, view, notice, instant)


def _connect_quiet(
    settings: Settings, parts: Actions, made: form.Form, view: live.View, notice: gr.HTML, instant: dict[str, Any]
) -> None:
    """Buttons that change no run: the questions before a deletion and a new name, download, settings."""
    root, shared = settings.runs, {"show_progress": "hidden", "api_visibility": "private"}

    def ask(chosen):
        try:
            name = library.find(root, _chosen(settings, chosen)).name
            return "", name, gr.update(visible=True), texts.DELETE_SURE.format(name=name), gr.update(visible=False)
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
                texts.RENAME_SURE.format(name=name),
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

    def use(chosen):
        try:
            run = library.find(root, _chosen(settings, chosen))
            return [texts.LOADED, *form.fill(made, settings, *form.read(run.folder / "config.json"))]
        except InputError as error:
            return [str(error), *(gr.skip() for _ in made.filled)]

    naming = [notice, parts.asked, parts.renaming, parts.new_name, parts.rename_sure, parts.deleting]
    parts.rename.click(ask_name, view.chosen, naming, **instant)
    parts.delete.click(
        ask, view.chosen, [notice, parts.asked, parts.deleting, parts.delete_sure, parts.renaming], **instant
    )
    parts.download.click(download, view.chosen, [notice, parts.zip], **shared)
    parts.use.click(use, view.chosen, [notice, *made.filled], **instant)


def _chosen(settings: Settings, chosen: str | None) -> str | None:
    return chosen or state.first_choice(settings.runs)


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
        return texts.TAKEN_AWAY.format(name=name), name, ""

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
            raise InputError(texts.NO_PAIRS_KNOWN.format(name=run.name))
        if busy := state.live(settings.runs):
            raise InputError(texts.TRAINING_FIRST.format(name=busy[0].name))
        measuring.start(run)
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
    if measuring.running(library.find(settings.runs, name)):
        raise InputError(texts.BEING_MEASURED.format(name=name))


def _importer(settings: Settings) -> Work:
    def bring_in(chosen, name, files, folder):
        source = files or ("" if settings.space else (folder or "").strip())
        if not source:
            raise InputError(texts.NOTHING_TO_IMPORT)
        name = library.import_adapter(settings.runs, name.strip(), source, load_session(settings).lvlm)
        return texts.ADDED.format(name=name), name, library.PREFIX + name

    return bring_in
