"""What the board draws, read from the run folders alone: a reloaded page shows the whole curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from halluapp.errors import InputError
from halluapp.training import recipes
from halluapp.training.runs import LIVE, Run, list_runs
from halluapp.ui import shelf
from halluapp.ui.train import measuring, texts

MOST_POINTS = 400  # of one curve on the wire
MOST_RUNS = 6  # overlaid in one plot
LOG_CHARACTERS = 3000
NOT_CURVES = ("step", "seconds", "held", "rate")
_read: dict[Path, tuple[tuple[int, int], list[dict]]] = {}


def live(root: Path) -> list[Run]:
    """Runs that train or wait, the one that trains first."""
    found = [run for run in list_runs(root) if run.status()["state"] in LIVE]
    return sorted(found, key=lambda run: run.status()["state"] == "waiting")


def first_choice(root: Path) -> str | None:
    """The run that the page shows when nobody has chosen: the one that trains, else the newest."""
    found = [*live(root), *list_runs(root)]
    return found[0].name if found else None


def snapshot(root: Path, chosen: str | None, overlay: list[str]) -> dict[str, Any]:
    """The board's state as JSON data. chosen: the run in full; overlay: runs whose curves are drawn with it."""
    runs = list_runs(root)
    names = [run.name for run in runs]
    chosen = chosen if chosen in [*names, *(run.name for run in shelf.imported(root))] else first_choice(root)
    drawn = [name for name in dict.fromkeys([chosen, *overlay]) if name in names][:MOST_RUNS]
    return {
        "chosen": chosen,
        "overlay": [name for name in overlay if name in names],
        "list": _said_of_waiting([_row(run) for run in runs]) + [_imported_row(run) for run in shelf.imported(root)],
        "curves": [{"name": name, "keys": _curves(root / name)} for name in drawn],
        "run": _whole(Run(root / chosen)) if chosen in names else None,
        "labels": texts.CURVES,
        "empty": texts.NO_RUNS,
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, parsed once for every version of it."""
    try:
        about = path.stat()
    except OSError:
        return []
    key = (about.st_mtime_ns, about.st_size)
    if path not in _read or _read[path][0] != key:
        _read[path] = key, [row for row in Run(path.parent).metrics() if isinstance(row, dict)]
    return _read[path][1]


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return value if good else None


def _curves(folder: Path) -> dict[str, dict[str, list]]:
    """key -> {"train": [[step, value]], "held": [[step, value]]}, thinned."""
    made: dict[str, dict[str, list]] = {}
    for row in _rows(folder / "metrics.jsonl"):
        held = row.get("held")
        values = held if isinstance(held, dict) else {k: v for k, v in row.items() if k not in NOT_CURVES}
        for key, value in values.items():
            if _number(value) is not None:
                side = made.setdefault(key, {"train": [], "held": []})["held" if isinstance(held, dict) else "train"]
                side.append([row["step"], value])
    order = {key: place for place, key in enumerate(texts.CURVES)}
    kept = {key: {side: _thin(points) for side, points in both.items()} for key, both in made.items()}
    return dict(sorted(kept.items(), key=lambda item: order.get(item[0], len(order))))


def _thin(points: list) -> list:
    if len(points) <= MOST_POINTS:
        return points
    stride = -(-len(points) // MOST_POINTS)
    return [*points[:-1:stride], points[-1]]


def _last(rows: list[dict], key: str, held: bool) -> float | None:
    for row in reversed(rows):
        source = row.get("held") if held else (None if "held" in row else row)
        if isinstance(source, dict) and _number(source.get(key)) is not None:
            return source[key]
    return None


def _row(run: Run) -> dict[str, Any]:
    """A run's line of the list."""
    status, rows = run.status(), _rows(run.folder / "metrics.jsonl")
    try:
        kind = recipes.RECIPES[run.config().kind].title
    except InputError:
        kind = "?"
    return {
        "name": run.name, "kind": kind, "state": texts.STATES.get(status["state"], status["state"]),
        "live": status["state"] in LIVE, "measuring": measuring.running(run),
        "step": status["step"], "steps": status["steps"],
        "loss": _last(rows, "loss", False), "held": _last(rows, "loss", True),
        "margin": _last(rows, "reward_margin", True), "panel": (run.folder / shelf.MARK).exists(),
        "seconds": max((row.get("seconds", 0) for row in rows), default=0),
        "memory": max((row.get("memory_mb", 0) for row in rows), default=0),
    }  # fmt: skip


def _said_of_waiting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A run that waits for nobody is starting: its process is loading the model."""
    if sum(row["live"] for row in rows) == 1:
        for row in rows:
            if row["live"] and row["state"] == texts.STATES["waiting"]:
                row["state"] = texts.STATES["starting"]
    return rows


def _imported_row(run: Run) -> dict[str, Any]:
    empty = dict.fromkeys(("measuring", "step", "steps", "loss", "held", "margin", "seconds", "memory"))
    panel = (run.folder / shelf.MARK).exists()
    return {**empty, "name": run.name, "kind": "adapter", "state": texts.MADE_ELSEWHERE, "live": False, "panel": panel}


def _whole(run: Run) -> dict[str, Any]:
    """The chosen run: progress, time left, memory, captions, what its process said, before-and-after numbers."""
    status, rows = run.status(), _rows(run.folder / "metrics.jsonl")
    row = _row(run)
    failed = status["state"] in ("failed", "interrupted")
    log = run.log(LOG_CHARACTERS) if failed or status["state"] in ("waiting", "preparing") else ""
    said = [line for line in log.splitlines() if line[:1].strip() and "Warning" not in line]
    return {
        **row, "status": status["state"], "error": status["error"], "left": _left(rows, row) if row["live"] else None,
        "note": said[-1] if said and row["live"] else "", "log": log if failed else "",
        "samples": [{"step": s.get("step"), "text": str(s.get("text", ""))} for s in run.samples()],
        "measured": _measured(run), "measuring_note": measuring.said(run),
    }  # fmt: skip


def _left(rows: list[dict], row: dict[str, Any]) -> float | None:
    """Seconds to the last step, by the pace of the latest steps."""
    done = [(one["step"], one["seconds"]) for one in rows if "loss" in one and "seconds" in one][-20:]
    if len(done) < 2 or done[-1][0] <= done[0][0]:
        return None
    pace = (done[-1][1] - done[0][1]) / (done[-1][0] - done[0][0])
    return max(0.0, pace * (row["steps"] - row["step"]))


def _measured(run: Run) -> list[dict[str, Any]]:
    """Rows of the before-and-after table, of every file that `train measure` wrote."""
    made = []
    for path in sorted(run.folder.glob("measured*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            for key in about["after"]:
                cells = {side: about[side][key] for side in ("before", "after", "difference")}
                made.append({"on": path.stem.removeprefix("measured").strip("-"), "key": key, **cells})
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return made
