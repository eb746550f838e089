"""The model card of a run's adapter: command, data, and the metrics before and after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from halluapp.data.files import relative_path, write_text
from halluapp.training.endings import checkpoints
from halluapp.training.runs import Run

SIDES = ("before", "after", "difference")
SCORES = {"chair": ("chair_i", "chair_s", "recall", "length"), "pope": ("accuracy", "yes_ratio")}


def write(run: Run, name: str = "") -> Path:
    """Writes README.md beside the adapter's weights, with every measured*.json and evaluated*.json of the run.

    name: of the folder that the card shows in its command (default: the run's). Raises InputError where no run is.
    """
    config, about = run.config(), _read_json(run.adapter / "about.json")
    command = replace(config, data=relative_path(config.data)).command(Path("runs") / (name or run.name))
    steps = f"{about.get('step', '?')} of {about.get('steps', '?')} steps"
    lines = [
        f"# {config.recipe.title} adapter for {about.get('model', config.model)}",
        "",
        f"{config.recipe.source}. {steps}, base model in {config.quantization}, {about.get('pairs', '?')} pairs"
        f" (`{Path(config.data).name}`), seed {config.recipe.seed}. Research use. It belongs to this base model only.",
        *([sentence] if (sentence := checkpoints.summary(run)["sentence"]) else []),
        "",
        "```sh",
        " ".join(["python -m halluapp", *command]),
        "```",
    ]
    for path in sorted(run.folder.glob("measured*.json")):
        lines += ["", *_measurement_lines(path)]
    for path in sorted(run.folder.glob("evaluated*.json")):
        lines += ["", *_evaluation_lines(path)]
    out = run.adapter / "README.md"
    write_text(out, "\n".join(lines))
    return out


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _measurement_lines(path: Path) -> list[str]:
    result = _read_json(path)
    on = path.stem.removeprefix("measured").strip("-") or "pairs that the run held out"
    step = f", measured after step {result['step']}" if result.get("step") is not None else ""
    lines = [
        f"On {on}: {result['pairs']} pairs of {result['photos']} photos, 95 % bootstrap intervals over photos{step}.",
        "",
        "| | before | after | difference |",
        "|---|---|---|---|",
    ]
    for name in result["after"]:
        lines.append(f"| {name} | " + " | ".join(_cell(result[side][name]) for side in SIDES) + " |")
    return lines


def _cell(value: list[float | None]) -> str:
    if value[0] is None:
        return "undefined"
    spread = "" if value[1] is None or value[2] is None else f" [{value[1]:.3f}, {value[2]:.3f}]"
    return f"{value[0]:.3f}{spread}"


def _evaluation_lines(path: Path) -> list[str]:
    """The scores of `evaluate --json`, a column a method."""
    result = _read_json(path)
    on = path.stem.removeprefix("evaluated").strip("-") or result["data"]
    columns = [row for row in result["methods"] if row["error"] is None]
    lines = [f"On {on}: {result['photos']} photos, vocabulary {result['vocabulary']}, 95 % intervals over photos.", ""]
    lines += ["| | " + " | ".join(row["method"] for row in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for part, names in SCORES.items():
        for name in names if columns and columns[0].get(part) else ():
            cells = [_cell([row[part][name], *row["intervals"][part][name]]) for row in columns]
            lines.append(f"| {'yes/no ' if part == 'pope' else ''}{name} | " + " | ".join(cells) + " |")
    return lines
