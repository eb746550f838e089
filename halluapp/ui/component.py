"""A gr.HTML component from the files of a folder: template.html, style.css, pure.js and script.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

SHARED = Path(__file__).resolve().parent / "shared"


def script(folder: Path) -> str:
    """What the page runs: shared functions, the component's pure ones (`node --test` runs these too), the drawing."""
    files = (SHARED / "dom.js", folder / "pure.js", folder / "script.js")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def build(folder: Path, value: dict[str, Any], **options: Any) -> gr.HTML:
    """The component that draws `value`. Its script writes text nodes only: model output and names are untrusted."""
    return gr.HTML(
        value=value,
        html_template=(folder / "template.html").read_text(encoding="utf-8"),
        css_template=(folder / "style.css").read_text(encoding="utf-8"),
        js_on_load=script(folder),
        apply_default_css=False,
        show_label=False,
        **options,
    )
