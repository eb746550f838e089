"""The one component that draws photo, boxes, summary, evidence and all panels, from the files beside this one."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp.data.photos import read_photo, small_jpeg
from halluapp.ui import component

THUMBNAIL = 160  # pixels of the longer side


def build(value: dict[str, Any], examples: Iterable[Path]) -> gr.HTML:
    """The component; its value is a state of `ui.compare.state`. Widgets that are built inside it stand in the rail."""
    folder = Path(__file__).resolve().parent
    return component.build(folder, value, replacements={"<!-- examples -->": thumbnails(examples)}, elem_id="panels")


def thumbnails(examples: Iterable[Path]) -> str:
    """A button an example photo, as markup."""
    return "".join(
        f'<button type="button" class="example" data-number="{number}" aria-label="Example: {_name(path)}" '
        f'title="{_name(path)}"><img alt="" src="{_picture(path)}"></button>'
        for number, path in enumerate(examples)
    )


def _name(path: Path) -> str:
    return escape(path.stem.replace("-", " "), quote=True)


def _picture(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(read_photo(path), THUMBNAIL)).decode()
