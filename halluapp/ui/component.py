"""A gr.HTML component from the files of a folder: template.html, style.css, texts.js, pure.js, script.js and others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

SHARED = Path(__file__).resolve().parent / "shared"
FIRST, LAST = ("texts.js", "pure.js"), "script.js"


def scripts(folder: Path) -> list[Path]:
    """The component's own scripts in the order in which they run: its texts and pure functions (`node --test` runs
    these too), parts of the drawing, and last the one that draws.
    """
    first = [folder / name for name in FIRST if (folder / name).exists()]
    parts = sorted(path for path in folder.rglob("*.js") if path.name not in (*FIRST, LAST))
    return [*first, *parts, folder / LAST]


def script(folder: Path) -> str:
    """What the page runs: shared functions, then the component's."""
    return "\n".join(file.read_text(encoding="utf-8") for file in (SHARED / "dom.js", *scripts(folder)))


def build(
    folder: Path, value: dict[str, Any], replacements: Mapping[str, str] | None = None, **options: Any
) -> gr.HTML:
    """The component that draws `value`. Its script writes text nodes only: model output and names are untrusted.

    replacements: parts of the template -> markup of ours in their place.
    """
    template = (folder / "template.html").read_text(encoding="utf-8")
    for part, markup in (replacements or {}).items():
        template = template.replace(part, markup)
    return gr.HTML(
        value=value,
        html_template=template,
        css_template=(folder / "style.css").read_text(encoding="utf-8"),
        js_on_load=script(folder),
        apply_default_css=False,
        show_label=False,
        **options,
    )
