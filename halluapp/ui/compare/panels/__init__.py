"""The one component that draws photo, boxes, summary, evidence and all panels, from the files beside this one."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.data.photos import read_photo, small_jpeg
from halluapp.request import MAX_PANELS
from halluapp.ui import component
from halluapp.ui.compare.examples import Example

THUMBNAIL = 160  # pixels of the longer side


def build(value: dict[str, Any], examples: Iterable[Example], keeps: bool = False) -> gr.HTML:
    """The component; its value is a state of `ui.compare.state`. Widgets that are built inside it stand in the rail.

    keeps: whether the server keeps results that the history lists.
    """
    parts = {"<!-- examples -->": thumbnails(examples), "<!-- keeps -->": "yes" if keeps else "no",
             "<!-- most -->": str(MAX_PANELS)}  # fmt: skip
    return component.build(Path(__file__).resolve().parent, value, replacements=parts, elem_id="panels")


def thumbnails(examples: Iterable[Example]) -> str:
    """A button an example, as markup: its picture, its name, and source and licence as its title."""
    return "".join(
        f'<button type="button" class="example" data-number="{number}" aria-label="Example: {_text(example.name)}" '
        f'title="{_text(example.name)} · {escape(example.credit, quote=True)}">'
        f'<img alt="" src="{_picture(example.photo)}"></button>'
        for number, example in enumerate(examples)
    )


def _text(text: str) -> str:
    return escape(text.replace("-", " "), quote=True)


def _picture(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(read_photo(path), THUMBNAIL)).decode()
