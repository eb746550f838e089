"""`halluapp doctor`: versions, devices, memory, model files and folders: what is wrong, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

from halluapp.cli.support import diagnosis, licences

TITLES = {
    "versions": "Versions",
    "devices": "Devices",
    "memory": "Memory",
    "files": "Model files",
    "folders": "Folders",
}
MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000


def add(commands) -> None:
    """Adds the command."""
    about = "versions, devices, memory, model files and folders: what is wrong and what to do"
    command = commands.add_parser("doctor", help=about, description=about)
    command.set_defaults(run=run)
    command.add_argument("--devices", action="store_true", help="ask torch for its devices, which takes seconds")
    command.add_argument("--licences", action="store_true", help="list every package with its version and licence")
    command.add_argument("--json", action="store_true", help="print the findings as JSON, schema 1")


def run(options) -> int:
    """Prints the findings -> exit code: 0 where nothing is wrong, else 1."""
    if options.licences:
        packages = licences.packages()
        print(json.dumps(packages) if options.json else "\n".join(f"{n} {v}: {text}" for n, v, text in packages))
        return 0
    findings = diagnosis.examine(options.devices)
    print(json.dumps(findings, indent=1, ensure_ascii=False) if options.json else as_text(findings))
    return 1 if findings["problems"] else 0


def as_text(findings: dict[str, Any]) -> str:
    """The findings for a person, problems last."""
    lines = []
    for key, title in TITLES.items():
        lines += [title, *(f"  {line}" for line in _lines(key, findings[key]))]
    problems = findings["problems"]
    lines += ["", f"{len(problems)} wrong:" if problems else "Nothing is wrong."]
    return "\n".join(lines + [f"  ✗ {problem['what']} {problem['remedy']}".rstrip() for problem in problems])


def _lines(key: str, content: Any) -> list[str]:
    if key == "versions":
        return [f"{name} {version or 'not installed'}" for name, version in content.items()]
    if key == "devices":
        return [f"{device['name']}: {device['about']}" for device in content]
    if key == "memory":
        return [f"{name} {bytes_ / GIGABYTE:.1f} GB" for name, bytes_ in content.items() if bytes_ is not None]
    if key == "files":
        wrong = sum(bool(file["problem"]) for file in content)
        total = sum(file["bytes"] or 0 for file in content)
        files = [
            f"{file['name']}: {(file['bytes'] or 0) / MEGABYTE:.2f} MB {file['problem']}".rstrip() for file in content
        ]
        return [*files, f"{len(content) - wrong} of {len(content)} complete, {total / MEGABYTE:.1f} MB"]
    return [f"{folder['path']}: {'writable' if folder['writable'] else 'NOT writable'}" for folder in content]
