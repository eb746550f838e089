"""The form of a run, made from the recipes' dataclasses: a new setting or method needs no code here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.data.files import relative_path
from halluapp.errors import InputError
from halluapp.serving.uploads import only_uploads
from halluapp.settings import Settings
from halluapp.training import library, recipes
from halluapp.training.runs import Config
from halluapp.ui.train import data, texts

FIRST = ("steps", "batch", "rate")  # what everybody sets; the other settings of `Recipe` are folded away
MOST_BYTES = 100_000  # of a settings file
Key = tuple[str, str]


@dataclass(frozen=True)
class Form:
    """The components of the form. settings: of every recipe, by (kind, field). groups: what is shown, by kind."""

    kind: gr.Radio
    name: gr.Textbox
    source: gr.Radio
    path: gr.Textbox
    upload: gr.File
    upload_path: gr.State
    check: gr.Button
    pairs: gr.Gallery
    photo: gr.Image
    settings: dict[Key, Component]
    groups: dict[str, gr.Column]
    presets: dict[tuple[str, str], gr.Button]

    @property
    def inputs(self) -> list[Component]:
        """What `entries` reads, in its order."""
        return [self.kind, self.name, self.source, self.path, self.upload_path, self.photo, *self.settings.values()]

    @property
    def fill_outputs(self) -> list[Component]:
        """What `fill` writes, in its order."""
        return [self.kind, self.source, self.path, *self.settings.values()]


def build(settings: Settings, photo_input: Callable[..., gr.Image]) -> Form:
    """Builds the form, in the place where it is called."""
    titles = [(recipe.title, kind) for kind, recipe in recipes.RECIPES.items()]
    first = next(iter(recipes.RECIPES))
    kind = gr.Radio(titles, value=first, label=texts.KIND[0], info=texts.KIND[1], elem_id="train-kind")
    paths = [] if settings.public else [texts.PAIRS_PATH]  # visitors of a public server name none of its files
    source = gr.Radio(
        [texts.SHIPPED_PAIRS, *paths, texts.UPLOADED_PAIRS], value=texts.SHIPPED_PAIRS, label=texts.SOURCE[0],
        info=texts.SOURCE[1], elem_id="train-source",
    )  # fmt: skip
    path = gr.Textbox("", label=texts.PATH[0], info=texts.PATH[1], visible=False, elem_id="train-path")
    upload = only_uploads(
        gr.File(label=texts.UPLOAD, file_count="multiple", visible=False, elem_id="train-upload", height=150)
    )
    check = gr.Button(texts.CHECK, size="sm", elem_id="train-check")
    pairs = gr.Gallery(
        label=texts.PAIRS, columns=2, height="auto", object_fit="contain", visible=False, interactive=False,
        buttons=[], elem_id="train-pairs",
    )  # fmt: skip
    upload_path, widgets, groups, presets = gr.State(None), {}, {}, {}
    for recipe_kind, recipe in recipes.RECIPES.items():
        with gr.Column(visible=recipe_kind == first) as groups[recipe_kind]:
            gr.Markdown(" ".join((recipe.__doc__ or "").split()), elem_classes="train-about")
            widgets.update(_recipe_widgets(recipe_kind, recipe))
            with gr.Accordion(texts.PRESETS, open=False), gr.Row(elem_classes="train-presets"):
                for title in recipes.PRESETS[recipe_kind]:
                    presets[recipe_kind, title] = gr.Button(title, size="sm", min_width=60)
    with gr.Accordion(texts.PHOTO, open=False):
        photo = photo_input(
            sources=["upload", "clipboard"], show_label=False, height=160, elem_id="train-photo", buttons=[]
        )
    name = gr.Textbox("", label=texts.NAME[0], info=texts.NAME[1], max_lines=1, elem_id="train-name")
    return Form(kind, name, source, path, upload, upload_path, check, pairs, photo, widgets, groups, presets)


def _recipe_widgets(kind: str, recipe: type[recipes.Recipe]) -> dict[Key, Component]:
    """Widgets of one recipe: those that everybody sets, the method's own, then what is folded away."""
    items = {item.name: item for item in fields(recipe)}
    bases = [base for base in (recipes.Recipe, recipes.Lora) if issubclass(recipe, base)]
    general = {item.name for base in bases for item in fields(base)}
    widgets: dict[Key, Component] = {}
    with gr.Row():
        for name in FIRST:
            widgets[kind, name] = _widget(kind, items[name], 100)
    with gr.Accordion(f"{texts.METHOD_SETTINGS} {recipe.title}", open=False), gr.Row():
        for name in items:
            if name not in general:
                widgets[kind, name] = _widget(kind, items[name])
    for base in bases:
        with gr.Accordion(texts.GROUPS[base.__name__], open=False), gr.Row():
            for name in (item.name for item in fields(base)):
                if (kind, name) not in widgets:
                    widgets[kind, name] = _widget(kind, items[name])
    return widgets


def _widget(kind: str, item, width: int = 150) -> Component:
    metadata, default = item.metadata, item.default
    options: dict[str, Any] = {"label": metadata["label"], "value": default, "elem_id": f"train-{kind}-{item.name}"}
    if isinstance(default, bool):
        return gr.Checkbox(info=metadata["help"], elem_classes="train-switch", **options)  # a sentence stands beside it
    if metadata["choices"]:  # no list that opens: what is chosen in one stays English on a Chinese page
        return gr.Radio(list(metadata["choices"]), info=metadata["help"], min_width=width, **options)
    # No bounds for the component: its own refusal is an error of the server, ours is a sentence.
    info = f"{metadata['help']} {_readable(metadata['least'])} to {_readable(metadata['most'])}."
    return gr.Number(info=info, step=metadata["step"] or 0.1, min_width=width, **options)


def _readable(bound: float) -> str:
    """A bound as a person writes it."""
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def entries(form: Form, inputs: Sequence[Any]) -> dict[str, Any]:
    """What a person entered: kind, name, source, path, uploaded, photo, and the settings of this kind by name.

    inputs: values of `Form.inputs`.
    """
    kind, name, source, path, upload_path, photo, *values = inputs
    settings = {key[1]: value for key, value in zip(form.settings, values, strict=True) if key[0] == kind}
    return {"kind": kind, "name": name, "source": source, "path": path, "uploaded": upload_path, "photo": photo,
            "settings": settings}  # fmt: skip


def config(settings: Settings, entries: dict[str, Any], photo: str) -> Config:
    """The run that a person asks for. Raises InputError for a setting out of bounds and for lacking pairs."""
    recipe = recipes.create(entries["kind"], **entries["settings"])
    pairs = data.pairs_path(settings, entries["source"], entries["path"], entries["uploaded"])
    precision = settings.quantization if settings.quantization in ("nf4", "none") else "nf4"
    return Config(entries["kind"], recipe, pairs, settings.model, precision, photo)


def command(settings: Settings, entries: dict[str, Any]) -> str:
    """The command line that does the same, or the sentence that says what is wrong."""
    try:
        photo = entries["photo"] or ""
        run = config(settings, entries, Path(photo).name if settings.public else relative_path(photo) if photo else "")
        entered_name = (entries["name"] or "").strip()
        name = library.checked_name(settings.runs, entered_name) if entered_name else ""
        name = name or library.free_name(settings.runs, run.kind)
        pairs = Path(run.data).name if settings.public else relative_path(run.data)
        arguments = [pairs if part == run.data else part for part in run.command(Path("RUN"))]
        arguments[arguments.index("RUN")] = relative_path(settings.runs / name)
        return shlex.join(["python", "-m", "halluapp", *arguments])
    except InputError as error:
        return str(error)


def as_json(entries: dict[str, Any]) -> str:
    """The settings as the file that `read` takes."""
    content = {"kind": entries["kind"], "recipe": entries["settings"]}
    if entries["source"] == texts.PAIRS_PATH and entries["path"]:
        content["data"] = entries["path"]
    return json.dumps(content, indent=1, ensure_ascii=False)


def read(path: str | Path) -> tuple[str, dict[str, Any], str]:
    """A settings file, or a run's config.json -> kind, settings, data ("" if it names none). Raises InputError."""
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise ValueError("too long")
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        kind, values, pairs = content["kind"], dict(content["recipe"]), content.get("data", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(texts.NOT_SETTINGS) from error
    recipe = recipes.create(str(kind), **values)
    return recipe.kind, {item.name: getattr(recipe, item.name) for item in fields(recipe)}, str(pairs)


def fill(form: Form, settings: Settings, kind: str, values: dict[str, Any], pairs: str = "") -> list[Any]:
    """Updates of `Form.fill_outputs`: this kind with these settings; other kinds, and pairs not named, stay."""
    shipped = (settings.assets / "pairs").resolve()
    by_path = pairs and Path(pairs).resolve() != shipped and not settings.public
    source = gr.skip() if not pairs else texts.PAIRS_PATH if by_path else texts.SHIPPED_PAIRS
    updates = [kind, source, pairs if by_path else gr.skip()]
    return updates + [values[name] if of == kind and name in values else gr.skip() for of, name in form.settings]


def preset(kind: str, title: str) -> dict[str, Any]:
    """Every setting that a preset of this kind names, at its default unless this one names it."""
    presets = recipes.PRESETS[kind]
    names = {name for preset in presets.values() for name in preset}
    defaults = recipes.RECIPES[kind]()
    return {name: presets[title].get(name, getattr(defaults, name)) for name in sorted(names)}
