"""The buttons above the board, the form for adapters made elsewhere, and their events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gradio as gr
from gradio.components import Component

from halluapp.serving.models import Models
from halluapp.serving.uploads import only_uploads
from halluapp.settings import Settings
from halluapp.ui.event_options import INSTANT, LANE, QUEUED, Notice
from halluapp.ui.train import form, live, run_actions, state, texts


@dataclass(frozen=True)
class RunButtons:
    """The buttons, and what they open. subject: the run that a question is about, whichever run is chosen when it is
    answered."""

    add: gr.Button
    remove: gr.Button
    download: gr.Button
    use: gr.Button
    resume: gr.Button
    lengthen: gr.Button
    rename: gr.Button
    measure: gr.Button
    judge: gr.Button
    delete: gr.Button
    new_name: gr.Textbox
    confirm_rename: gr.Button
    rename_row: gr.Row
    confirm_delete: gr.Button
    cancel_delete: gr.Button
    delete_row: gr.Row
    steps: gr.Number
    confirm_lengthen: gr.Button
    lengthen_row: gr.Row
    step: gr.Button
    step_choice: gr.Radio
    confirm_step: gr.Button
    step_row: gr.Row
    zip: gr.File
    subject: gr.State

    @property
    def rows(self) -> list[gr.Row]:
        """What the questions open; they share `subject`, so that one is open at a time."""
        return [self.rename_row, self.delete_row, self.lengthen_row, self.step_row]

    @property
    def by_action(self) -> dict[str, gr.Button]:
        """Those that only some runs have, by what `state.possible_actions` calls them."""
        return {name: getattr(self, name) for name in state.ACTIONS}


@dataclass(frozen=True)
class AdapterImport:
    """The form for an adapter made elsewhere."""

    files: gr.File
    folder: gr.Textbox
    name: gr.Textbox
    button: gr.Button


def build() -> RunButtons:
    """Builds the buttons, in the place where it is called."""
    with gr.Row(elem_classes="train-actions"):
        add = gr.Button(texts.ADD, variant="primary", size="sm", elem_id="train-add", min_width=110)
        remove = gr.Button(texts.REMOVE, size="sm", elem_id="train-remove", min_width=110)
        resume = gr.Button(texts.RESUME, size="sm", elem_id="train-resume", min_width=70)
        lengthen = gr.Button(texts.LENGTHEN[0], size="sm", elem_id="train-lengthen", min_width=90)
        step = gr.Button(texts.STEP[0], size="sm", elem_id="train-step", min_width=110)
        download = gr.Button(texts.DOWNLOAD, size="sm", elem_id="train-download", min_width=80)
        use = gr.Button(texts.USE_SETTINGS, size="sm", elem_id="train-use", min_width=110)
        rename = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename", min_width=70)
        measure = gr.Button(texts.MEASURE, size="sm", elem_id="train-measure", min_width=70)
        judge = gr.Button(texts.JUDGE, size="sm", elem_id="train-judge", min_width=110)
        delete = gr.Button(texts.DELETE, size="sm", elem_id="train-delete", min_width=70)
    with gr.Row(visible=False) as rename_row:
        new_name = gr.Textbox("", label=texts.RENAME[1], max_lines=1, elem_id="train-new-name", scale=3)
        confirm_rename = gr.Button(texts.RENAME[0], size="sm", elem_id="train-rename-sure", min_width=90)
    with gr.Row(visible=False) as delete_row:
        confirm_delete = gr.Button(texts.DELETE, variant="stop", size="sm", elem_id="train-delete-sure", min_width=140)
        cancel_delete = gr.Button(texts.CANCEL_DELETE, size="sm", elem_id="train-keep", min_width=90)
    with gr.Row(visible=False) as lengthen_row:
        steps = gr.Number(None, label=texts.LENGTHEN[1], minimum=1, elem_id="train-longer", scale=3)
        confirm_lengthen = gr.Button(texts.LENGTHEN[2], size="sm", elem_id="train-longer-sure", min_width=140)
    with gr.Row(visible=False) as step_row:
        step_choice = gr.Radio([], label=texts.STEP[1], elem_id="train-step-choice", scale=3)
        confirm_step = gr.Button(texts.STEP[2], size="sm", elem_id="train-step-sure", min_width=140)
    zip_file = gr.File(label=texts.ZIP, visible=False, elem_id="train-zip")
    return RunButtons(
        add, remove, download, use, resume, lengthen, rename, measure, judge, delete, new_name, confirm_rename,
        rename_row, confirm_delete, cancel_delete, delete_row, steps, confirm_lengthen, lengthen_row, step, step_choice,
        confirm_step, step_row, zip_file, gr.State(None),
    )  # fmt: skip


def build_import(settings: Settings) -> AdapterImport:
    """Builds the form for adapters from elsewhere, in the place where it is called."""
    with gr.Accordion(texts.IMPORT, open=False, elem_id="train-import"):
        files = only_uploads(
            gr.File(label=texts.IMPORT_FILES, file_count="multiple", elem_id="train-import-files", height=150)
        )
        folder = gr.Textbox(
            "", label=texts.IMPORT_PATH[0], info=texts.IMPORT_PATH[1], max_lines=1, visible=not settings.public,
            elem_id="train-import-folder",
        )  # fmt: skip
        with gr.Row():
            name = gr.Textbox("", label=texts.IMPORT_NAME, max_lines=1, elem_id="train-import-name", scale=3)
            button = gr.Button(texts.IMPORT_BUTTON, size="sm", elem_id="train-import-button", min_width=110)
    return AdapterImport(files, folder, name, button)


def connect(
    models: Models, buttons: RunButtons, view: live.BoardView, notice: Notice, methods: gr.CheckboxGroup
) -> None:
    """Buttons that change a run or the panels of Compare."""
    outputs = [notice.component, methods, *view.outputs]

    def connect_action(button: gr.Button, action: Callable[..., run_actions.Outcome], *more: Component, **options):
        act, inputs = partial(run_actions.perform, action, models), [view.selection, view.overlay, methods, *more]
        return notice.connect(button.click, act, inputs, outputs, models.settings, **options)

    subject = buttons.subject
    connect_action(buttons.add, run_actions.add_panel, **LANE)
    connect_action(buttons.remove, run_actions.remove_panel, **INSTANT)
    connect_action(buttons.resume, run_actions.resume, **QUEUED)
    connect_action(buttons.measure, run_actions.measure, **INSTANT)
    connect_action(buttons.judge, run_actions.judge, **LANE)
    renaming = connect_action(buttons.confirm_rename, run_actions.rename, subject, buttons.new_name, methods, **QUEUED)
    deletion = connect_action(buttons.confirm_delete, run_actions.delete, subject, **QUEUED)
    longer = connect_action(buttons.confirm_lengthen, run_actions.lengthen, subject, buttons.steps, **QUEUED)
    step = connect_action(buttons.confirm_step, run_actions.use_step, subject, buttons.step_choice, **QUEUED)
    for event in (renaming.then, deletion.then, longer.then, step.then, buttons.cancel_delete.click):
        event(partial(run_actions.hide_questions, len(buttons.rows)), None, buttons.rows, **INSTANT)


def connect_import(
    models: Models, adapter_import: AdapterImport, view: live.BoardView, notice: Notice, methods: gr.CheckboxGroup
) -> None:
    """The button that loads an adapter made elsewhere."""
    inputs = [view.selection, view.overlay, methods, adapter_import.name, adapter_import.files, adapter_import.folder]
    load, outputs = partial(run_actions.perform, run_actions.import_adapter, models), [methods, *view.outputs]
    click, settings = adapter_import.button.click, models.settings
    notice.connect(click, load, inputs, [notice.component, *outputs], settings, **LANE)


def connect_questions(
    settings: Settings, buttons: RunButtons, run_form: form.Form, view: live.BoardView, notice: Notice
) -> None:
    """Buttons that change no run: the questions before a deletion and a new name, download, settings."""

    selection = [view.selection]

    def connect_question(button: gr.Button, question: Callable, row: gr.Row, *details: Component) -> None:
        others = [one for one in buttons.rows if one is not row]
        handle = partial(run_actions.alone, partial(question, settings), len(others))
        outputs: list[gr.blocks.Block] = [notice.component, buttons.subject, row, *details, *others]
        notice.connect(button.click, handle, selection, outputs, settings, **INSTANT)

    connect_question(buttons.rename, run_actions.ask_name, buttons.rename_row, buttons.new_name, buttons.confirm_rename)
    connect_question(buttons.delete, run_actions.ask_delete, buttons.delete_row, buttons.confirm_delete)
    connect_question(buttons.lengthen, run_actions.ask_steps, buttons.lengthen_row, buttons.steps)
    connect_question(buttons.step, run_actions.ask_step, buttons.step_row, buttons.step_choice)
    download, use = partial(run_actions.download, settings), partial(run_actions.use_settings, settings, run_form)
    zipped, filled = [notice.component, buttons.zip], [notice.component, *run_form.fill_outputs]
    notice.connect(buttons.download.click, download, selection, zipped, settings, **QUEUED)
    notice.connect(buttons.use.click, use, selection, filled, settings, **INSTANT)
