"""Before-and-after numbers of a run, by the command that a person would type, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from halluapp.errors import InputError
from halluapp.training.runs import Run
from halluapp.ui.train import texts

PHOTOS = 24  # captioned with either model: a few minutes on two cores
LOG = "measure.log"
GROUPS = ("photo", "truthful", "hallucinated")  # of the representation map
_processes: dict[Path, subprocess.Popen] = {}


def running(run: Run) -> bool:
    """Whether this run is being measured, by this server."""
    process = _processes.get(run.folder.resolve())
    return process is not None and process.poll() is None


def start(run: Run) -> None:
    """Measures in the background; the numbers appear in the run's folder. Raises InputError while another is."""
    if not run.adapter.is_dir():
        raise InputError(texts.NO_ADAPTER.format(name=run.name))
    if any(process.poll() is None for process in _processes.values()):
        raise InputError(texts.MEASURING_ALREADY)
    folder = run.folder.resolve()
    command = [sys.executable, "-m", "halluapp", "train", "measure", str(folder), "--photos", str(PHOTOS)]
    with open(folder / LOG, "w", encoding="utf-8") as log:
        _processes[folder] = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            cwd=Path(__file__).resolve().parents[3],
        )  # fmt: skip


def last_line(run: Run) -> str:
    """The last line of what the measurement printed, in a sentence, while it runs or when it failed; "" otherwise."""
    process = _processes.get(run.folder.resolve())
    if process is None or process.poll() == 0:
        return ""
    path = run.folder / LOG
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    messages = [line for line in lines if line[:1].strip() and "Warning" not in line]
    sentence = texts.MEASURING if process.poll() is None else texts.MEASURE_FAILED
    return sentence.format(line=messages[-1][:300] if messages else "…")


def _measurements(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """(other pairs it was measured on, numbers) of every file that `train measure` wrote; damaged ones are left out."""
    for path in sorted(run.folder.glob("measured*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if all(isinstance(content[side], dict) for side in ("before", "after", "difference")):
                yield path.stem.removeprefix("measured").strip("-"), content
        except (OSError, ValueError, KeyError, TypeError):
            continue


def rows(run: Run) -> list[dict[str, Any]]:
    """Rows of the before-and-after table."""
    return [
        {"on": on, "n": _size(content), **_label(key),
         **{side: _cell(content[side].get(key)) for side in ("before", "after", "difference")}}
        for on, content in _measurements(run) for key in content["after"]
    ]  # fmt: skip


def side_by_side(runs: list[Run]) -> dict[str, Any] | None:
    """What several runs changed on the pairs that each held out: a column a run; None for fewer than two of them.

    "runs": [{"name", "n"}]; "rows": [{"key", "label", "better", "cells": [[difference, low, high] of every run]}].
    """
    columns = [(run.name, content) for run in runs for on, content in _measurements(run) if not on]
    if len(columns) < 2:
        return None
    keys = dict.fromkeys(key for _, content in columns for key in content["difference"])
    return {
        "runs": [{"name": name, "n": _size(content)} for name, content in columns],
        "rows": [
            {**_label(key), "cells": [_cell(content["difference"].get(key)) for _, content in columns]} for key in keys
        ],
    }


def _label(key: str) -> dict[str, Any]:
    return {"key": key, "label": texts.MEASURES.get(key, key.replace("_", " ")), "better": texts.BETTER.get(key)}


def _size(content: dict[str, Any]) -> str:
    """How many pairs and photos were measured, after which step."""
    numbers = [content.get(name) for name in ("pairs", "photos", "step")]
    pairs, photos, step = (number if isinstance(number, int) else None for number in numbers)
    parts = [texts.MEASURED_N.format(pairs=pairs, photos=photos)] if pairs is not None and photos is not None else []
    return ", ".join([*parts, *([texts.MEASURED_STEP.format(step=step)] if step is not None else [])])


def _cell(value: Any) -> list[float | None]:
    return [finite(number) for number in value[:3]] if isinstance(value, list) else [None]


def finite(value: Any) -> float | None:
    """The value where it is a finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return value if number else None


def representation_map(run: Run) -> dict[str, Any] | None:
    """Points of the map: side -> group -> [[x, y]], of the first file that has one."""
    for _, content in _measurements(run):
        try:
            return {
                side: {name: [[float(x), float(y)] for x, y in content["map"][side][name]] for name in GROUPS}
                for side in ("before", "after")
            }
        except (KeyError, TypeError, ValueError):
            continue
    return None
