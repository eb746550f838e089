"""The project as a whole: the Space's front matter, the two commands, file sizes, and which module may import which."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "halluapp").rglob("*.py"))
COMMAND = re.compile(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", re.DOTALL)


def front_matter() -> dict:
    match = re.match(r"---\n(.*?)\n---\n", README, re.DOTALL)
    assert match, "README.md must start with the front matter of a Space"
    return yaml.safe_load(match[1])


def test_front_matter_is_what_a_space_needs():
    matter = front_matter()
    assert matter["sdk"] == "gradio"
    assert matter["license"] == "apache-2.0"
    assert (ROOT / matter["app_file"]).is_file()
    assert isinstance(matter["python_version"], str), "unquoted, 3.10 would be read as the number 3.1"
    version = tuple(int(number) for number in matter["python_version"].split("."))
    assert version >= (3, 11)
    assert len(matter["short_description"]) <= 60
    assert {"title", "emoji", "colorFrom", "colorTo", "tags"} <= set(matter)


def test_gradio_is_pinned_to_the_sdk_version():
    pins = re.findall(r"^gradio(?:\[[\w,]+\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pins == [str(front_matter()["sdk_version"])]


def test_metadata_agrees_with_the_readme():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["scripts"] == {"halluapp": "halluapp.cli.main:main"}
    assert project["license"].lower() == front_matter()["license"]
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]


def test_readme_has_exactly_two_commands_of_one_line():
    commands = dict(COMMAND.findall(README))
    assert list(commands) == ["start", "tests"]
    assert README.count("-m venv") == README.count("<!-- command:") == 2
    for command in commands.values():
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_runs_the_command_of_the_readme():
    output = subprocess.run(
        ["bash", str(ROOT / ".ci/run"), "--print"], capture_output=True, text=True, check=True
    ).stdout
    assert output.rstrip("\n") == dict(COMMAND.findall(README))["tests"]
    script = (ROOT / ".ci/run").read_text()
    assert ".venv/bin" not in script
    assert "-m pytest" not in script
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_no_committed_text_names_a_package_host():
    for path in [*tracked(".md"), *tracked(".txt"), *tracked(".toml"), ROOT / ".ci/run"]:
        text = path.read_text(encoding="utf-8")
        assert "index-url" not in text, path
        assert "find-links" not in text, path


def tracked(suffix: str = "") -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name.endswith(suffix) and name]
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_is_over_10_mb():
    assert not [path for path in tracked() if path.stat().st_size > 10_000_000]


def test_the_environment_is_read_by_settings_only():
    for path in [*SOURCES, ROOT / "app.py"]:
        if path.is_file() and path != ROOT / "halluapp/settings.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
            assert not names & {"environ", "getenv", "environb"}, path


def test_help_is_instant():
    """Heavy packages are imported where they are used."""
    import sys

    code = "import sys, halluapp.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'gradio')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 0


def test_make_ci_and_the_hooks_run_the_same_checks():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"], "hooks download nothing"
    parts = [hook["entry"].split()[1] for hook in hooks[0]["hooks"]]
    script = (ROOT / ".ci/checks").read_text()
    assert all(f"check_{part}() {{" in script for part in parts)
    assert script.count("() {") == len(parts)
    assert ".ci/checks" in (ROOT / "Makefile").read_text()
    assert " .ci/checks " in (ROOT / ".ci/run").read_text()
    assert (ROOT / ".ci/checks").stat().st_mode & 0o111
