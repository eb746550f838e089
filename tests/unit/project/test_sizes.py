"""The package stays readable: short files, short functions, folders that need no scrolling."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "halluapp").rglob("*.py"))
FILE_LINES, FUNCTION_LINES, FOLDER_ENTRIES = 300, 64, 15
LONG_FOLDERS = {"halluapp", "halluapp/methods", "halluapp/recipes/pocket"}  # docs/decisions.md says why


def test_no_file_is_over_300_lines():
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert not {name: lines for name, lines in lengths.items() if lines > FILE_LINES}


def test_no_function_is_over_64_lines():
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long += [f"{path.relative_to(ROOT)} {node.name}: {lines}"] if lines > FUNCTION_LINES else []
    assert not long, "\n".join(long)


def test_no_folder_needs_scrolling():
    for folder in {path.parent for path in SOURCES}:
        entries = [entry.name for entry in folder.iterdir() if entry.name != "__pycache__"]
        name = folder.relative_to(ROOT).as_posix()
        assert len(entries) <= FOLDER_ENTRIES or name in LONG_FOLDERS, f"{name} has {len(entries)} entries"
