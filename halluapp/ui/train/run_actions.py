"""What can be done with a run of the list and with adapters from elsewhere: plain functions of settings and names."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.data.files import is_hub_id, relative_path
from halluapp.errors import InputError
from halluapp.methods.registry import METHODS
from halluapp.serving.callers import departure
from halluapp.serving.lane import LANE
from halluapp.serving.models import Models
from halluapp.serving.visitors import Visitor, owner, set_owner
from halluapp.settings import Settings
from halluapp.training import library, runs
from halluapp.training.endings import checkpoints
from halluapp.training.endings.resume import resumed_config
from halluapp.ui.train import captions, checkpoint, form, live, measurement, state, texts


@dataclass(frozen=True)
class Outcome:
    """What an action did. sentence: for the person; run: chosen from now on; method: to switch on in Compare."""

    sentence: str
    run: str | None
    method: str = ""


def perform(
    action: Callable[..., Outcome],
    models: Models,
    visitor: Visitor,
    selection: str | None,
    overlay: list[str],
    methods: list[str],
    *more: Any,
) -> list[Any]:
    """Inputs: chosen run, overlay, chosen methods, further ones of the action.

    Outputs: notice, list of methods, `BoardView.outputs`.
    """
    try:
        outcome = action(models, visitor, selection, *more)
    except (InputError, OSError) as error:
        outcome = Outcome(str(error), selection)
    root = models.settings.runs
    board = live.refresh(models.settings, visitor, outcome.run, overlay)
    return [outcome.sentence, method_choices(root, visitor, methods, outcome.method), *board]


def method_choices(root: Path, visitor: Visitor, current: list[str], add: str = "") -> Any:
    """The list of methods of Compare with all runs that are offered; what is chosen stays, `add` is chosen too."""
    panels = [panel for panel in library.panel_runs(root) if _is_offered(root, visitor, panel[1])]
    names = {*METHODS, *(name for _, name in panels)}
    choices = [(method.title, name) for name, method in METHODS.items()] + panels
    return gr.update(choices=choices, value=[name for name in dict.fromkeys([*current, add]) if name in names])


def _is_offered(root: Path, visitor: Visitor, method: str) -> bool:
    """Whether a panel stands in the visitor's list: of their own run, or of one that the operator made."""
    run = runs.Run(root / method.removeprefix(library.PREFIX))
    return visitor.owns(run) or not owner(run)


def run_of(settings: Settings, visitor: Visitor, selection: str | None) -> runs.Run:
    """The run that a button is about: the chosen one, else the one that the page shows by itself.

    Raises InputError; another visitor's run is as good as none.
    """
    run = library.find(settings.runs, selection or state.default_run(settings.runs, visitor))
    if not visitor.owns(run):
        raise InputError(texts.NO_RUN.format(name=run.name))
    return run


def add_panel(models: Models, visitor: Visitor, selection: str | None) -> Outcome:
    """Offers the run as a panel of Compare. Raises InputError."""
    name = run_of(models.settings, visitor, selection).name
    with LANE.turn(models.settings.queue, departure()):  # no adapter changes under a comparison
        method = library.add_panel(models.settings.runs, name, models.session().lvlm)
    return Outcome(texts.ADDED.format(name=name), name, method)


def remove_panel(models: Models, visitor: Visitor, selection: str | None) -> Outcome:
    """Takes the run's panel away; the run stays."""
    name = run_of(models.settings, visitor, selection).name
    library.remove_panel(models.settings.runs, name)
    return Outcome(texts.REMOVED.format(name=name), name)


def rename(
    models: Models, visitor: Visitor, selection: str | None, name: str, new_name: str, methods: list[str]
) -> Outcome:
    """Gives the run another name; its panel stays switched on. methods: those that are chosen in Compare."""
    root = models.settings.runs
    _refuse_while_measured(run_of(models.settings, visitor, name))
    new_name = library.rename(root, name, new_name)
    method = library.PREFIX + new_name if library.PREFIX + name in methods else ""
    return Outcome(texts.RENAMED.format(old=name, new=new_name), new_name if selection == name else selection, method)


def resume(models: Models, visitor: Visitor, selection: str | None) -> Outcome:
    """Goes on with a run that was stopped or broke off."""
    run = run_of(replace(models.settings, runs=models.settings.runs.resolve()), visitor, selection)
    if library.is_imported(run) or run.status()["state"] not in runs.RESUMABLE:
        raise InputError(texts.NOTHING_TO_RESUME.format(name=run.name))
    _refuse_without_pairs(run)
    runs.launch(run.folder, run.config(), resume=True)
    return Outcome(texts.RESUMED.format(name=run.name), run.name)


def lengthen(models: Models, visitor: Visitor, selection: str | None, name: str, steps: float | None) -> Outcome:
    """Goes on with a run to a later last step: `train --resume --steps N`. Raises InputError."""
    run = run_of(replace(models.settings, runs=models.settings.runs.resolve()), visitor, name)
    _refuse_while_measured(run)
    if "lengthen" not in state.possible_actions(run, state.list_line(run)):
        raise InputError(texts.NOTHING_TO_LENGTHEN.format(name=run.name))
    _refuse_without_pairs(run)
    done, config = run.status()["step"], run.config()
    if steps is None or steps <= done:  # before the sentence for the command line, which speaks of its flag
        raise InputError(texts.NOT_LONGER.format(name=run.name, done=done))
    patient = {"patience": 0} if checkpoints.is_exhausted(run, config.recipe) else {}  # a person wants it to go on
    longer = resumed_config(run, config.kind, {"steps": steps, **patient})
    run.write_config(longer)
    runs.launch(run.folder, longer, resume=True)
    return Outcome(texts.LENGTHENED.format(name=run.name, steps=longer.recipe.steps), run.name)


def use_step(models: Models, visitor: Visitor, selection: str | None, name: str, step: str | None) -> Outcome:
    """Makes another checkpoint the adapter of the run, and so of its panel. Raises InputError."""
    run = run_of(models.settings, visitor, name)
    _refuse_while_measured(run)
    step_number = library.use_checkpoint(run, str(step or ""))
    return Outcome(texts.STEP_USED.format(name=run.name, step=step_number), run.name)


def judge(models: Models, visitor: Visitor, selection: str | None) -> Outcome:
    """Asks the page's detector what the photo of the run's captions shows. Raises InputError."""
    run = run_of(models.settings, visitor, selection)
    with LANE.turn(models.settings.queue, departure()):
        detector = models.session().detector
        captions.look(run, detector)
    return Outcome(texts.JUDGED.format(name=run.name, detector=detector.name), run.name)


def measure(models: Models, visitor: Visitor, selection: str | None) -> Outcome:
    """Starts to measure the run before and after."""
    settings = models.settings
    run = run_of(settings, visitor, selection)
    if library.is_imported(run):
        raise InputError(texts.NO_PAIRS_OF_IMPORT.format(name=run.name))
    if others := state.live_runs(settings.runs):
        name = others[0].name if visitor.owns(others[0]) else texts.ANOTHER_RUN
        raise InputError(texts.TRAINING_FIRST.format(name=name))
    measurement.start(run)
    return Outcome(texts.MEASURE_STARTED.format(name=run.name), run.name)


def delete(models: Models, visitor: Visitor, selection: str | None, name: str) -> Outcome:
    """Deletes the run for good."""
    _refuse_while_measured(run_of(models.settings, visitor, name))
    library.delete(models.settings.runs, name)
    return Outcome(texts.DELETED.format(name=name), None if selection == name else selection)


def import_adapter(
    models: Models, visitor: Visitor, selection: str | None, name: str, files: list[str] | None, folder: str
) -> Outcome:
    """Loads an adapter made elsewhere as a panel. files: uploaded; folder: of this machine, not on a public server."""
    source = files or ("" if models.settings.public else (folder or "").strip())
    if not source:
        raise InputError(texts.NOTHING_TO_IMPORT)
    visitor.check_can_own()
    with LANE.turn(models.settings.queue, departure()):
        name = library.import_adapter(models.settings.runs, name.strip(), source, models.session().lvlm)
    set_owner(runs.Run(models.settings.runs / name), visitor)
    return Outcome(texts.ADDED.format(name=name), name, library.PREFIX + name)


def _refuse_without_pairs(run: runs.Run) -> None:
    """Before the sentence for the command line, which speaks of its flag."""
    source = run.config().data
    if not Path(source).exists() and not is_hub_id(source):
        raise InputError(texts.PAIRS_GONE.format(name=run.name, data=relative_path(source)))


def _refuse_while_measured(run: runs.Run) -> None:
    """A process that measures a run reads and writes in its folder."""
    if measurement.running(run):
        raise InputError(texts.BEING_MEASURED.format(name=run.name))


def ask_delete(settings: Settings, visitor: Visitor, selection: str | None) -> tuple:
    """Input: chosen run. Outputs: notice, subject, row of deletion, its button."""
    try:
        name = run_of(settings, visitor, selection).name
    except InputError as error:
        return str(error), None, gr.update(visible=False), gr.skip()
    return "", name, gr.update(visible=True), texts.CONFIRM_DELETE.format(name=name)


def ask_name(settings: Settings, visitor: Visitor, selection: str | None) -> tuple:
    """Input: chosen run. Outputs: notice, subject, row of renaming, new name, its button."""
    try:
        name = run_of(settings, visitor, selection).name
    except InputError as error:
        return str(error), None, gr.update(visible=False), gr.skip(), gr.skip()
    return "", name, gr.update(visible=True), name, texts.CONFIRM_RENAME.format(name=name)


def ask_steps(settings: Settings, visitor: Visitor, selection: str | None) -> tuple:
    """Input: chosen run. Outputs: notice, subject, row of lengthening, its steps."""
    try:
        run = run_of(settings, visitor, selection)
        steps = 2 * max(run.status()["step"], 1)
    except InputError as error:
        return str(error), None, gr.update(visible=False), gr.skip()
    return "", run.name, gr.update(visible=True), steps


def ask_step(settings: Settings, visitor: Visitor, selection: str | None) -> tuple:
    """Input: chosen run. Outputs: notice, subject, row of the step, list of steps."""
    try:
        run = run_of(settings, visitor, selection)
        return "", run.name, gr.update(visible=True), checkpoint.question(run)
    except InputError as error:
        return str(error), None, gr.update(visible=False), gr.skip()


def hide_questions(rows: int) -> tuple:
    """Outputs: so many rows of questions."""
    return (gr.update(visible=False),) * rows


def alone(question: Callable[..., tuple], others: int, *inputs: Any) -> tuple:
    """Outputs: those of the question, then the rows of the others, which are hidden: they share their subject."""
    return (*question(*inputs), *hide_questions(others))


def download(settings: Settings, visitor: Visitor, selection: str | None) -> tuple:
    """Input: chosen run. Outputs: notice, zip file."""
    try:
        path = library.pack(
            settings.runs, run_of(settings, visitor, selection).name, Path(tempfile.mkdtemp(prefix="halluapp-run-"))
        )
    except (InputError, OSError) as error:
        return str(error), gr.update(visible=False)
    return "", gr.update(value=str(path), visible=True)


def use_settings(settings: Settings, run_form: form.Form, visitor: Visitor, selection: str | None) -> list[Any]:
    """Input: chosen run. Outputs: notice, `Form.fill_outputs`."""
    try:
        run = run_of(settings, visitor, selection)
        return [texts.LOADED, *form.fill(run_form, settings, *form.read(run.folder / "config.json"))]
    except InputError as error:
        return [str(error), *(gr.skip() for _ in run_form.fill_outputs)]
