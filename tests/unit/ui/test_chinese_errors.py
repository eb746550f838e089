"""What goes wrong is said in the page's second language too: every sentence that rooms behind the page can raise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from halluapp.ui import language

PACKAGE = Path(language.__file__).resolve().parents[2]
# Rooms and files whose refusals the page shows; those of the command line and of programs are left out.
ROOMS = (
    "comparison.py", "data/pairs.py", "data/photos.py", "data/tables.py", "grounding", "inspection", "lvlm/adapters",
    "lvlm/catalog.py", "lvlm/decoder.py", "lvlm/families", "lvlm/loading.py", "lvlm/weights", "report", "request.py",
    "results.py", "serving", "training/batches", "training/endings/checkpoints.py", "training/library.py",
    "training/loop.py", "training/memory", "training/recipes.py", "training/runs.py", "ui/compare", "ui/inside",
    "ui/model_picker", "ui/train", "votes",
)  # fmt: skip
SAID = ("InputError", "Status")


def without_names(text: str) -> str:
    """The text with {} for every value in it: a source and the table name these differently."""
    return re.sub(r"\{[^{}]*\}", "{}", " ".join(text.split()))


def text_of(node: ast.expr, constants: dict[str, str]) -> str | None:
    """A text in a source, {} for every value in it; None for what is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.Call(func=ast.Attribute(value=template, attr="format")):
            return text_of(template, constants)
        case ast.Name(id=name):
            return constants.get(name)
    return None


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of all that a file raises or tells of its progress."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: text
        for node in tree.body
        if isinstance(node, ast.Assign) and (text := text_of(node.value, {})) is not None
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAID and node.args:
            text = text_of(node.args[0], constants)
            if text and re.search(r"[A-Za-z]{2}", re.sub(r"\{[^{}]*\}", "", text)):
                yield node.lineno, text


def files(room: str) -> list[Path]:
    path = PACKAGE / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def missing(room: str, table: set[str]) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}:{line} {text}"
        for path in files(room)
        for line, text in sentences(path)
        if without_names(text) not in table
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_every_refusal_behind_the_page_has_its_chinese(room):
    assert files(room)
    lines = missing(room, {without_names(key) for key in language.table()})
    assert not lines, "add to halluapp/ui/language/zh-CN/errors.json:\n" + "\n".join(lines)


def test_the_check_sees_what_is_missing():
    assert len(missing("request.py", set())) >= 8
    assert any("Looking at the photo" in line for line in missing("comparison.py", set()))
