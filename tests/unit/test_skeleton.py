"""The project as a whole: the Space's front matter, the two commands, file sizes, and which module may import which."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "halluapp").rglob("*.py"))
COMMAND = re.compile(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", re.DOTALL)

# Part of the package -> the parts it may import ("*": all). "pocket" runs the embedded weights, "recipe" rebuilds them.
# ("__init__" is the facade of the package, which imports on demand.)
BASE = {"errors", "settings", "shards", "photos", "parameters"}
CORE = {"methods", "lvlm", "pocket"}
ALLOWED = {
    "errors": set(),
    "parameters": set(),
    "settings": set(),
    "shards": {"errors"},
    "photos": {"errors"},
    "scenes": {"errors"},
    "grounding": BASE | {"pocket"},
    "pocket": BASE | {"grounding"},
    "lvlm": BASE | {"pocket"},
    "methods": BASE | {"lvlm"},
    "decoding": BASE | {"methods", "lvlm"},
    "report": BASE | {"decoding"},
    "evaluation": BASE | CORE | {"grounding", "decoding"},
    "training": BASE | CORE | {"grounding", "decoding", "comparison", "evaluation", "scenes"},
    "comparison": BASE | CORE | {"grounding", "decoding", "report"},
    "recipe": BASE | CORE | {"grounding", "decoding", "training", "evaluation", "comparison"},
    "bench": BASE | CORE | {"grounding", "decoding", "comparison", "evaluation", "scenes"},
    "__init__": {"comparison"},
    "cli": {"*"},
    "ui": {"*"},
}
RUNTIME_OF_POCKET = {"__init__", "model", "trunk", "detector", "features", "presence", "wording"}


def part_of(module: str) -> str:
    """halluapp.decoding.engine -> decoding; the training recipe of the pocket model is a part of its own."""
    names = module.split(".")[1:] or ["__init__"]
    if names[0] == "pocket" and len(names) > 1 and names[1] not in RUNTIME_OF_POCKET:
        return "recipe"
    return "cli" if names[0] == "__main__" else names[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere, functions included; not those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            module = node.module or ""
            # "from halluapp import report" and "from halluapp.pocket import train" name modules, not attributes.
            submodules = {f"{module}.{alias.name}" for alias in node.names}
            known = {name for name in submodules if (ROOT / name.replace(".", "/")).with_suffix(".py").exists()}
            found |= known or {module}
    return found


def front_matter() -> dict:
    match = re.match(r"---\n(.*?)\n---\n", README, re.DOTALL)
    assert match, "README.md must start with the front matter of a Space"
    return yaml.safe_load(match[1])


def test_front_matter_is_what_a_space_needs():
    matter = front_matter()
    assert matter["sdk"] == "gradio" and matter["license"] == "apache-2.0"
    assert (ROOT / matter["app_file"]).is_file()
    assert isinstance(matter["python_version"], str), "unquoted, 3.10 would be read as the number 3.1"
    version = tuple(int(number) for number in matter["python_version"].split("."))
    assert version >= (3, 11)
    assert len(matter["short_description"]) <= 60 and {"title", "emoji", "colorFrom", "colorTo", "tags"} <= set(matter)


def test_gradio_is_pinned_to_the_sdk_version():
    pins = re.findall(r"^gradio(?:\[[\w,]+\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pins == [str(front_matter()["sdk_version"])]


def test_metadata_agrees_with_the_readme():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11" and project["scripts"] == {"halluapp": "halluapp.cli:main"}
    assert project["license"].lower() == front_matter()["license"]
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]


def test_readme_has_exactly_two_commands_of_one_line():
    commands = dict(COMMAND.findall(README))
    assert list(commands) == ["start", "tests"]
    assert README.count("-m venv") == README.count("<!-- command:") == 2
    for command in commands.values():
        assert "\n" not in command and command.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_runs_the_command_of_the_readme():
    shown = subprocess.run(
        ["bash", str(ROOT / ".ci/run"), "--print"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.rstrip("\n") == dict(COMMAND.findall(README))["tests"]
    script = (ROOT / ".ci/run").read_text()
    assert ".venv/bin" not in script and "-m pytest" not in script
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_no_committed_text_names_a_package_host():
    for path in [*tracked(".md"), *tracked(".txt"), *tracked(".toml"), ROOT / ".ci/run"]:
        text = path.read_text(encoding="utf-8")
        assert "index-url" not in text and "find-links" not in text, path


def tracked(suffix: str = "") -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name.endswith(suffix) and name]
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_is_over_10_mb():
    assert not [path for path in tracked() if path.stat().st_size > 10_000_000]


def test_gradio_is_imported_by_the_page_only():
    for path in [*SOURCES, ROOT / "app.py"]:
        if path.is_file() and part_of(module_of(path)) != "ui":
            assert not [name for name in imports(path) if name.split(".")[0] in ("gradio", "gradio_client")], path


def test_the_environment_is_read_by_settings_only():
    for path in [*SOURCES, ROOT / "app.py"]:
        if path.is_file() and path != ROOT / "halluapp/settings.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
            assert not names & {"environ", "getenv", "environb"}, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    part = part_of(module_of(path))
    assert part in ALLOWED, f"say in ALLOWED what {part} may import"
    for module in imports(path):
        if module.split(".")[0] != "halluapp" or module == "halluapp":
            continue
        other = part_of(module)
        if other != part:
            assert other != "ui" and (other in ALLOWED[part] or "*" in ALLOWED[part]), (
                f"{part} must not import {module}"
            )


def test_the_table_of_imports_has_no_cycle_but_the_detectors():
    """Grounding uses the pocket detector, whose package reads the vocabulary of grounding."""
    edges = {part: set(others) - {"*"} for part, others in ALLOWED.items()}
    edges["pocket"] = edges["pocket"] - {"grounding"}
    done: set[str] = set()
    while len(done) < len(edges):
        free = {part for part, others in edges.items() if part not in done and others <= done}
        assert free, f"cycle among {set(edges) - done}"
        done |= free


def test_help_is_instant():
    """Heavy packages are imported where they are used."""
    import sys

    code = "import sys, halluapp.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'gradio')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 0
