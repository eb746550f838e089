"""The form of a run, made from the recipes' dataclasses: a new setting or method needs no code here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.training import library, recipes
from halluapp.training.runs import Config, relative_path
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
    photo: gr.Image
    settings: dict[Key, gr.components.Component]
    groups: dict[str, gr.Column]
    presets: dict[tuple[str, str], gr.Button]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `values` reads, in its order."""
        return [self.kind, self.name, self.source, self.path, self.upload_path, self.photo, *self.settings.values()]

    @property
    def fill_outputs(self) -> list[gr.components.Component]:
        """What `fill` writes, in its order."""
        return [self.kind, self.source, self.path, *self.settings.values()]


def build(settings: Settings, photo_input: Callable[..., gr.Image]) -> Form:
    """Builds the form, in the place where it is called."""
    titles = [(recipe.title, kind) for kind, recipe in recipes.RECIPES.items()]
    first = next(iter(recipes.RECIPES))
    kind = gr.Radio(titles, value=first, label=texts.KIND[0], info=texts.KIND[1], elem_id="train-kind")
    places = (
        [texts.SHIPPED_PAIRS, texts.UPLOADED_PAIRS]
        if settings.space
        else [texts.SHIPPED_PAIRS, texts.PAIRS_PATH, texts.UPLOADED_PAIRS]
    )
    source = gr.Radio(
        places, value=texts.SHIPPED_PAIRS, label=texts.SOURCE[0], info=texts.SOURCE[1], elem_id="train-source"
    )
    path = gr.Textbox("", label=texts.PATH[0], info=texts.PATH[1], visible=False, elem_id="train-path")
    upload = gr.File(label=texts.UPLOAD, file_count="multiple", visible=False, elem_id="train-upload", height=150)
    check = gr.Button(texts.CHECK, size="sm", elem_id="train-check")
    upload_path, made, groups, presets = gr.State(None), {}, {}, {}
    for name, recipe in recipes.RECIPES.items():
        with gr.Column(visible=name == first) as groups[name]:
            gr.Markdown(" ".join((recipe.__doc__ or "").split()), elem_classes="train-about")
            _settings_of(name, recipe, made)
            with gr.Accordion(texts.PRESETS, open=False), gr.Row(elem_classes="train-presets"):
                for title in recipes.PRESETS[name]:
                    presets[name, title] = gr.Button(title, size="sm", min_width=60)
    with gr.Accordion(texts.PHOTO, open=False):
        photo = photo_input(
            sources=["upload", "clipboard"], show_label=False, height=160, elem_id="train-photo", buttons=[]
        )
    name = gr.Textbox("", label=texts.NAME[0], info=texts.NAME[1], max_lines=1, elem_id="train-name")
    return Form(kind, name, source, path, upload, upload_path, check, photo, made, groups, presets)


def _settings_of(kind: str, recipe: type[recipes.Recipe], made: dict[Key, gr.components.Component]) -> None:
    """Widgets of one recipe: those that everybody sets, the method's own, then what is folded away."""
    known = {item.name: item for item in fields(recipe)}
    shared = {base: [item.name for item in fields(base)] for base in (recipes.Recipe, recipes.Lora)}
    general = set(shared[recipes.Recipe]) | (set(shared[recipes.Lora]) if issubclass(recipe, recipes.Lora) else set())
    with gr.Row():
        for name in FIRST:
            made[kind, name] = _widget(kind, known[name], 100)
    with gr.Accordion(f"{texts.METHOD_SETTINGS} {recipe.title}", open=False), gr.Row():
        for name in (name for name in known if name not in general):
            made[kind, name] = _widget(kind, known[name])
    for base, names in shared.items():
        rest = [name for name in names if name not in FIRST]
        if issubclass(recipe, base):
            with gr.Accordion(texts.GROUPS[base.__name__], open=False), gr.Row():
                for name in (name for name in rest if (kind, name) not in made):
                    made[kind, name] = _widget(kind, known[name])


def _widget(kind: str, item, width: int = 150) -> gr.components.Component:
    about, default = item.metadata, item.default
    shared: dict[str, Any] = {"label": about["label"], "value": default, "elem_id": f"train-{kind}-{item.name}"}
    if isinstance(default, bool):
        return gr.Checkbox(info=about["help"], min_width=width, **shared)
    if about["choices"]:
        return gr.Dropdown(list(about["choices"]), info=about["help"], min_width=width, **shared)
    # No bounds for the component: its own refusal is an error of the server, ours is a sentence.
    info = f"{about['help']} {_plain(about['least'])} to {_plain(about['most'])}."
    whole = {"precision": 0} if isinstance(default, int) else {}
    return gr.Number(info=info, step=about["step"] or 0.1, min_width=width, **whole, **shared)


def _plain(bound: float) -> str:
    """A bound as a person writes it."""
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def values(form: Form, given: Sequence[Any]) -> dict[str, Any]:
    """What a person chose: kind, name, source, path, uploaded, photo, and the settings of this kind by name."""
    kind, name, source, path, upload_path, photo, *rest = given
    own = {key[1]: value for key, value in zip(form.settings, rest, strict=True) if key[0] == kind}
    return {"kind": kind, "name": name, "source": source, "path": path, "uploaded": upload_path, "photo": photo,
            "settings": own}  # fmt: skip


def config(settings: Settings, chosen: dict[str, Any], photo: str) -> Config:
    """The run that a person asks for. Raises InputError for a setting out of bounds and for lacking pairs."""
    recipe = recipes.create(chosen["kind"], **chosen["settings"])
    pairs = data.source(settings, chosen["source"], chosen["path"], chosen["uploaded"])
    precision = settings.quantization if settings.quantization in ("nf4", "none") else "nf4"
    return Config(chosen["kind"], recipe, pairs, settings.model, precision, photo)


def command(settings: Settings, chosen: dict[str, Any]) -> str:
    """The command line that does the same, or the sentence that says what is wrong."""
    try:
        photo = chosen["photo"] or ""
        made = config(settings, chosen, Path(photo).name if settings.space else relative_path(photo) if photo else "")
        name = (chosen["name"] or "").strip() or library.free_name(settings.runs, made.kind)
        arguments = [relative_path(part) if part == made.data else part for part in made.command(Path("RUN"))]
        arguments[arguments.index("RUN")] = relative_path(settings.runs / name)
        return shlex.join(["python", "-m", "halluapp", *arguments])
    except InputError as error:
        return str(error)


def as_json(chosen: dict[str, Any]) -> str:
    """The settings as the file that `read` takes."""
    about = {"kind": chosen["kind"], "recipe": chosen["settings"]}
    if chosen["source"] == texts.PAIRS_PATH and chosen["path"]:
        about["data"] = chosen["path"]
    return json.dumps(about, indent=1, ensure_ascii=False)


def read(path: str | Path) -> tuple[str, dict[str, Any], str]:
    """A settings file, or a run's config.json -> kind, settings, data ("" if it names none). Raises InputError."""
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise ValueError("too long")
        about = json.loads(Path(path).read_text(encoding="utf-8"))
        kind, recipe, pairs = about["kind"], dict(about["recipe"]), about.get("data", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(texts.NOT_SETTINGS) from error
    made = recipes.create(str(kind), **recipe)
    return made.kind, {item.name: getattr(made, item.name) for item in fields(made)}, str(pairs)


def fill(form: Form, settings: Settings, kind: str, given: dict[str, Any], pairs: str = "") -> list[Any]:
    """Updates of `Form.filled`: this kind with these settings; other kinds, and pairs not named, stay as they are."""
    shipped = (settings.assets / "pairs").resolve()
    typed = pairs and Path(pairs).resolve() != shipped and not settings.space
    where = gr.skip() if not pairs else texts.PAIRS_PATH if typed else texts.SHIPPED_PAIRS
    made = [kind, where, pairs if typed else gr.skip()]
    return made + [given[name] if of == kind and name in given else gr.skip() for of, name in form.settings]


def preset(kind: str, title: str) -> dict[str, Any]:
    """Every setting that a preset of this kind names, at its default unless this one names it."""
    presets = recipes.PRESETS[kind]
    named = {name for one in presets.values() for name in one}
    plain = recipes.RECIPES[kind]()
    return {name: presets[title].get(name, getattr(plain, name)) for name in sorted(named)}
