"""What a reloaded page gets back: the photo, the prompt and the settings of a run that the reload ended."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.serving.uploads import NOT_UPLOADED, is_uploaded
from halluapp.serving.visitors import Visitor, visitor_of
from halluapp.settings import Settings
from halluapp.ui import texts
from halluapp.ui.compare import examples, exports, state
from halluapp.ui.compare.run import Result, fault, finished
from halluapp.ui.event_options import INSTANT
from halluapp.ui.train import run_actions

MOST_CHARACTERS = 2_000_000  # of a draft
# The page keeps both itself, for this tab of the browser alone: the values when Run is pressed, the rest in `draft.js`.
KEEP = "(...values) => { sessionStorage.setItem('halluapp-values', JSON.stringify(values)); }"
LOST = """(result) => {
  if (new URLSearchParams(location.search).has('r')) return [result, ''];
  try { return [result, window.halluappLost ?? sessionStorage.getItem('halluapp-draft') ?? '']; }
  catch { return [result, '']; }
}"""


def connect(
    app: gr.Blocks, settings: Settings, result: gr.State, outputs: Sequence[Component], question: Sequence[Component]
) -> None:
    """A page that comes up brings its draft back. outputs: the first of `restore`; question: the inputs of a run from
    the prompt on, whose values `KEEP` kept.
    """

    def call(request: gr.Request, last: Result, text: str) -> tuple:
        return restore(settings, question, visitor_of(settings, request), last, text)

    inputs = [result, gr.Textbox("", visible=False)]
    app.load(call, inputs, [*outputs, *question], js=LOST, **INSTANT)


def restore(settings: Settings, question: Sequence[Component], visitor: Visitor, last: Result, text: str) -> tuple:
    """Inputs: result, draft as JSON. Outputs: stage state, result, photo path, files of the report, `question`.

    The draft: "path" of an upload, "number" of an example or a small "copy" of the photo; its "name"; "values" as JSON
    or the "prompt" alone; "busy": whether a run went on. None of it is trusted: a value that its component could not
    have had leaves the component as it is.
    """
    same = [_unchanged(component) for component in question]
    draft = _parsed(text, dict)
    if not draft:
        return gr.skip(), gr.skip(), gr.skip(), *exports.nothing_new(), *same
    try:
        path = _photo(settings.assets, draft)
        stage = state.of_photo(read_photo(path), draft["name"] if isinstance(draft.get("name"), str) else path.name)
    except InputError as error:
        return fault(last, str(error)), gr.skip(), gr.skip(), *exports.nothing_new(), *same
    stage, result, *files = finished({**stage, "status": texts.RUN_LOST if draft.get("busy") else texts.BACK}, None)
    values = _parsed(draft.get("values"), list)
    if not values or len(values) != len(question):
        updates = [_update(question[0], draft.get("prompt")), *same[1:]]
    else:
        updates = [_update(*pair) for pair in zip(question, values, strict=True)]
        if settings.trains and isinstance(values[1], list):  # panels of training runs are choices as well
            names = [name for name in values[1] if isinstance(name, str)]
            updates[1] = run_actions.method_choices(settings.runs, visitor, names)
    return stage, result, str(path), *files, *updates


def _photo(assets: Path, draft: Mapping[str, Any]) -> Path:
    """The file of the photo. Raises InputError."""
    number, path, copy = draft.get("number"), draft.get("path"), draft.get("copy")
    all_examples = examples.examples(assets)
    if type(number) is int and 0 <= number < len(all_examples):
        return all_examples[number].photo
    if isinstance(copy, str) and (file := exports.photo_file({"photo": {"preview": copy.removeprefix(state.URL)}})):
        return Path(file)
    if not isinstance(path, str) or not is_uploaded(path):
        raise InputError(NOT_UPLOADED)
    return Path(path)


def _parsed(text: Any, kind: type) -> Any:
    """JSON of this kind; None for anything else."""
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


def _update(component: Component, value: Any) -> Any:
    if not fits(component, value):
        return _unchanged(component)
    return value if _is_ours(component) else gr.update(value=value)


def _unchanged(component: Component) -> Any:
    """For an output that stays as it is on a page that has just come up."""
    return component.value if _is_ours(component) else gr.skip()


def _is_ours(component: Component) -> bool:
    """Whether its instance reads inputs in a way of its own. gradio makes a new one of a component that is updated, if
    only with `gr.skip`, and that way is lost for the visitor; a plain value does no harm."""
    return "preprocess" in vars(component)


def fits(component: Component, value: Any) -> bool:
    """Whether a component could have this value."""
    if isinstance(component, gr.CheckboxGroup | gr.Dropdown):
        return isinstance(value, list) and all(one in _choices(component) for one in value)
    if isinstance(component, gr.Radio):
        return value in _choices(component)
    if isinstance(component, gr.Slider | gr.Number):
        is_number = type(value) in (int, float) and math.isfinite(value)
        least, most = component.minimum, component.maximum
        return is_number and (least is None or value >= least) and (most is None or value <= most)
    return isinstance(component, gr.Textbox) and isinstance(value, str)


def _choices(component: Any) -> list[Any]:
    return [value for _, value in component.choices]
