"""The page in a second language: one table from English texts to Chinese ones, applied to the page in the browser.

Texts stay English everywhere in the code, in states and in reports. `head.js` watches the page and replaces whole texts
and texts that fit a pattern ("Done in {seconds} s."), whoever wrote them: gradio's widgets, our scripts, the server.
What a model, a person or a file says stands in elements with translate="no" and stays as it is.
gradio's own `gr.I18n` translates properties that are known when the page is built, under keys that programs would then
see as labels in its API; most texts of this page arrive later, or stand in components of ours.
"""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent
CHINESE = FOLDER / "zh-CN"


def table() -> dict[str, str]:
    """English text -> Chinese text, {names} in both; of every file of the folder."""
    return {
        english: chinese
        for file in sorted(CHINESE.glob("*.json"))
        for english, chinese in json.loads(file.read_text(encoding="utf-8")).items()
    }


def build() -> gr.HTML:
    """The switch between the languages, in the header where it is called; `head` brings it to life."""
    return gr.HTML(
        (FOLDER / "template.html").read_text(encoding="utf-8"), elem_id="language", apply_default_css=False,
        css_template=(FOLDER / "style.css").read_text(encoding="utf-8"),
    )  # fmt: skip


def head() -> str:
    """The script for the page's <head>: it runs before anything is drawn, so that no English text flashes up."""
    content = json.dumps(table(), ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("pure.js", "head.js"))
    return f"<script>(() => {{\n{scripts.replace('CHINESE_TABLE', content)}\n}})();</script>"
