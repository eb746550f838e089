"""The page's scripts: they parse, their pure functions pass `node --test`, and lint rules that need no package hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from halluapp.ui import component, inside, model_picker
from halluapp.ui.compare import panels
from halluapp.ui.train import board

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = [Path(module.__file__).parent for module in (panels, inside, board, model_picker)]
SOURCES = sorted((ROOT / "halluapp").rglob("*.js"))
TESTS = sorted((ROOT / "tests" / "js").glob("*.test.mjs"))
TOP_LEVEL = re.compile(r"^(?:async )?(?:function|const|let) \{?\s*(\w+)", re.MULTILINE)
FORBIDDEN = {
    "var": re.compile(r"\bvar\s+\w"),
    "== or !=": re.compile(r"(?<![=!<>])[=!]=(?!=)"),
    "text that becomes markup": re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b"),
    "text that becomes code": re.compile(r"\beval\b|\bnew Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]"),
    "a debugger's leftover": re.compile(r"\bdebugger\b|\bconsole\.log\b"),
}
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def code(source: str) -> str:
    """A script without comments and the content of its strings, in which the rules below would see words."""
    return re.sub(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", '""', source)


def test_the_rules_see_what_they_forbid():
    bad = ("var x = 1;", "a == b", "a != b", "node.innerHTML = x", "eval(x)", "new Function(x)", "console.log(1)")
    for line in bad:
        assert any(rule.search(code(line)) for rule in FORBIDDEN.values()), line
    for line in ("a === b", "a !== b", "a <= b", "(a) => b", 'make("var x")'):
        assert not any(rule.search(code(line)) for rule in FORBIDDEN.values()), line


def test_scripts_keep_the_lint_rules():
    assert len(SOURCES) == sum(len(component.scripts(folder)) for folder in FOLDERS) + 4  # shared, heads
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        for name, rule in FORBIDDEN.items():
            match = rule.search(code(source))
            assert not match, f"{path.name} holds {name}: {match and match[0]}"


def test_lines_are_at_most_120_characters():
    for path in [*SOURCES, *sorted((ROOT / "tests" / "js").iterdir())]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert len(line) <= 120, f"{path.name}, line {number}"
            assert line == line.rstrip(), f"{path.name}, line {number} ends in spaces"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_styles_and_markup_can_stand_in_a_template_string(folder):
    """gradio evaluates both as one: a lone backslash before a digit, or a back quote, and nothing is drawn at all."""
    for path in (folder / "style.css", folder / "template.html"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)(?:\\\\)*\\[0-9]", source), path
        assert "`" not in source, path


def test_every_component_runs_in_strict_mode():
    for folder in FOLDERS:
        assert component.script(folder).startswith('"use strict";\n')
        assert (folder / "pure.js").read_text(encoding="utf-8").startswith('"use strict";\n')


def test_nothing_at_the_top_is_unused_or_defined_twice():
    everything = "\n".join(component.script(folder) for folder in FOLDERS)
    for folder in FOLDERS:
        script = code(component.script(folder))
        names = TOP_LEVEL.findall(script)
        assert len(names) == len(set(names)), f"{folder.name} defines a name twice"
        shared = TOP_LEVEL.findall((component.SHARED / "dom.js").read_text(encoding="utf-8"))
        for name in names:
            uses = len(re.findall(rf"\b{name}\b", code(everything) if name in shared else script))
            assert uses > (len(FOLDERS) if name in shared else 1), f"{folder.name}: {name} is not used"


def test_pure_functions_touch_neither_the_page_nor_the_component():
    for path in (*(folder / "pure.js" for folder in FOLDERS), FOLDERS[0] / "difference.js"):
        pure = code(path.read_text(encoding="utf-8"))
        assert not re.search(r"(?<!\.)\b(?:document|window|element|props|watch|trigger|find|make|shape)\b", pure), (
            path.name
        )


@needs_node
def test_scripts_parse(tmp_path):
    for folder in FOLDERS:
        path = tmp_path / f"{folder.name}.js"
        path.write_text(component.script(folder), encoding="utf-8")  # as the page gets it
        result = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


@needs_node
def test_pure_functions_pass_their_own_tests():
    assert len(TESTS) >= 2
    result = subprocess.run(
        ["node", "--test", *map(str, TESTS)], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    counts = {name: int(count) for name, count in re.findall(r"^(?:#|ℹ) (\w+) (\d+)$", result.stdout, re.MULTILINE)}
    assert counts["fail"] == counts["skipped"] == 0
    assert counts["pass"] >= 30
