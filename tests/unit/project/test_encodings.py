"""Text files are UTF-8 whatever the machine's locale says: the encoding is named wherever a file is opened."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [ROOT / "app.py", *sorted((ROOT / "halluapp").rglob("*.py"))]
OPENERS = ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile", "TextIOWrapper")
NO_TEXT = ("FeatureStore", "Store", "Image", "tarfile", "gzip", "zipfile", "os", "webbrowser")
OWN_WRITER = 2  # positional arguments of our `write_text(path, text)`, which is UTF-8


def lacks_encoding(call: ast.Call) -> bool:
    """Whether a call opens a file as text without saying how its characters are written."""
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    owner = getattr(getattr(call.func, "value", None), "id", "")
    texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if name not in OPENERS or owner in NO_TEXT:
        return False
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name == "write_text" and isinstance(call.func, ast.Name) and len(call.args) == OWN_WRITER:
        return False
    if name == "read_text" and call.args:  # read_text("utf-8")
        return False
    if name == "open" and isinstance(call.func, ast.Attribute) and not call.args:  # a photo, a page: no file of text
        return False
    return not any("b" in text and set(text) <= set("rwaxbt+") for text in texts)


def test_every_file_of_text_is_opened_as_utf_8():
    """The kind: a result or a record that is lost, or read wrong, where the locale is not UTF-8."""
    lines = []
    for path in SOURCES:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        bad = [call for call in calls if lacks_encoding(call)]
        lines += [f"{path.relative_to(ROOT)}:{call.lineno} {ast.unparse(call)[:80]}" for call in bad]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("code, bad", [
    ("open(p)", True), ("open(p, 'w')", True), ("p.read_text()", True), ("p.write_text(t)", True),
    ("open(p, 'rb')", False), ("open(p, encoding='utf-8')", False), ("write_text(p, t)", False),
    ("Image.open(p)", False),
])  # fmt: skip
def test_the_check_sees_what_lacks_an_encoding(code, bad):
    assert lacks_encoding(ast.parse(code).body[0].value) is bad
