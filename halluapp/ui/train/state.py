"""What the board draws, read from the run folders alone: a reloaded page shows the whole curve."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

from halluapp.errors import InputError
from halluapp.serving.visitors import OWNER_OF_ALL, Visitor
from halluapp.training import library, recipes
from halluapp.training.endings import checkpoints
from halluapp.training.runs import LIVE, RESUMABLE, SAMPLE_PHOTO, Run, list_runs, queue
from halluapp.ui.train import captions, checkpoint, measurement, texts

MOST_POINTS = 400  # of one curve on the wire
MOST_RUNS = 6  # overlaid in one plot
LOG_CHARACTERS, LOG_LINES = 3000, 30  # of a run that failed, whole; of others without the warnings of libraries
ACTIONS = (
    "add",
    "remove",
    "resume",
    "lengthen",
    "step",
    "judge",
    "download",
    "use",
    "rename",
    "measure",
    "delete",
)  # of `run_actions.Actions`
# What a run prints before its first step; lines of other kinds (a note on the pairs) tell of no stage.
LOG_PATTERNS = {
    "photos": re.compile(r"looked at (?P<done>\d+) of (?P<total>\d+) photos"),
    "reference": re.compile(r"reference: (?P<done>\d+) of (?P<total>\d+) pairs"),
    "held-out": re.compile(r"step 0 of \d+, "),
}
MEMORY_STEPS = 4  # columns of the table of memory
NOT_CURVES = ("step", "seconds", "held")
_row_cache: dict[Path, tuple[tuple[int, int], list[dict]]] = {}


def live_runs(root: Path, visitor: Visitor = OWNER_OF_ALL) -> list[Run]:
    """The visitor's runs that train or wait, the one that trains first."""
    states = [(run, status) for run in _runs_of(root, visitor) if (status := run.status())["state"] in LIVE]
    states.sort(key=lambda pair: (pair[1]["state"] == "waiting", pair[1].get("since", 0.0)))
    return [run for run, _ in states]


def _runs_of(root: Path, visitor: Visitor) -> list[Run]:
    return [run for run in list_runs(root) if visitor.owns(run)]


def default_run(root: Path, visitor: Visitor = OWNER_OF_ALL) -> str | None:
    """The run that the page shows when nobody has chosen: the one that trains, else the newest."""
    candidates = [*live_runs(root, visitor), *_runs_of(root, visitor)]
    return candidates[0].name if candidates else None


def snapshot(root: Path, selection: str | None, overlay: list[str], visitor: Visitor = OWNER_OF_ALL) -> dict[str, Any]:
    """The board's state as JSON data, with the visitor's runs only.

    selection: the run in full; overlay: runs whose curves are drawn with it.
    """
    runs = _runs_of(root, visitor)
    imported = [run for run in library.imported_runs(root) if visitor.owns(run)]
    names = [run.name for run in runs]
    if selection not in [*names, *(run.name for run in imported)]:
        selection = default_run(root, visitor)
    plotted = [name for name in dict.fromkeys([selection, *overlay]) if name in names][:MOST_RUNS]
    waiting = [entry for entry in queue(root) if entry[1] in names]
    rows = _starting([list_line(run) for run in runs], waiting) + [_imported_row(run) for run in imported]
    row = next((row for row in rows if row["name"] == selection), None)
    return {
        "chosen": selection,
        "possible": possible_actions(Run(root / selection), row) if selection and row else [],
        "overlay": [name for name in overlay if name in names],
        "list": rows,
        "curves": [{"name": name, "keys": _curves(root / name)} for name in plotted],
        "comparison": measurement.side_by_side([Run(root / name) for name in plotted]),
        "run": _details(Run(root / selection), row) if selection in names and row else None,
        "labels": texts.CURVES,
        "empty": texts.NO_RUNS,
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, parsed once for every version of it."""
    try:
        stat = path.stat()
    except OSError:
        return []
    key = (stat.st_mtime_ns, stat.st_size)
    if path not in _row_cache or _row_cache[path][0] != key:
        _row_cache[path] = key, [row for row in Run(path.parent).metrics() if isinstance(row, dict)]
    return _row_cache[path][1]


def _curves(folder: Path) -> dict[str, dict[str, list]]:
    """key -> {"train": [[step, value]], "held": [[step, value]]}, thinned."""
    curves: dict[str, dict[str, list]] = {}
    for row in _rows(folder / "metrics.jsonl"):
        held = row.get("held")
        values = held if isinstance(held, dict) else {k: v for k, v in row.items() if k not in NOT_CURVES}
        for key, value in values.items():
            if measurement.finite(value) is not None:
                points = curves.setdefault(key, {"train": [], "held": []})[
                    "held" if isinstance(held, dict) else "train"
                ]
                points.append([row["step"], value])
    order = {key: index for index, key in enumerate(texts.CURVES)}
    thinned = {key: {side: _thin(points) for side, points in sides.items()} for key, sides in curves.items()}
    return dict(sorted(thinned.items(), key=lambda item: order.get(item[0], len(order))))


def _thin(points: list) -> list:
    if len(points) <= MOST_POINTS:
        return points
    stride = -(-len(points) // MOST_POINTS)
    return [*points[:-1:stride], points[-1]]


def _last(rows: list[dict], key: str, held: bool) -> float | None:
    for row in reversed(rows):
        source = row.get("held") if held else (None if "held" in row else row)
        if isinstance(source, dict) and measurement.finite(source.get(key)) is not None:
            return source[key]
    return None


def list_line(run: Run) -> dict[str, Any]:
    """A run's line of the list."""
    status, rows = run.status(), _rows(run.folder / "metrics.jsonl")
    try:
        kind = recipes.RECIPES[run.config().kind].title
    except InputError:
        kind = "?"
    return {
        "name": run.name, "kind": kind, "state": texts.STATES.get(status["state"], status["state"]),
        "live": status["state"] in LIVE, "measuring": measurement.running(run),
        "step": status["step"], "steps": status["steps"],
        "loss": _last(rows, "loss", False), "held": _last(rows, "loss", True),
        "margin": _last(rows, "reward_margin", True), "panel": (run.folder / library.PANEL_FILE).exists(),
        "seconds": max((row.get("seconds", 0) for row in rows), default=0),
        "memory": max((row.get("memory_mb", 0) for row in rows), default=0),
    }  # fmt: skip


def _starting(rows: list[dict[str, Any]], waiting: list[tuple[float, str]]) -> list[dict[str, Any]]:
    """A run that waits for nobody is starting: its process is not yet there."""
    if waiting and sum(row["live"] for row in rows) == len(waiting):
        for row in rows:
            if row["name"] == waiting[0][1]:
                row["state"] = texts.STATES["starting"]
    return rows


def possible_actions(run: Run, row: dict[str, Any]) -> list[str]:
    """Which of ACTIONS can be done with a run. row: its line of the list."""
    has_adapter, trained_here = run.adapter.is_dir(), not library.is_imported(run)
    over = not row["live"] and not row["measuring"]
    conditions = {
        "add": has_adapter and not row["panel"], "remove": row["panel"], "download": True, "use": trained_here,
        "resume": trained_here and over and run.status()["state"] in RESUMABLE,
        "lengthen": trained_here and over and (run.folder / "state.pt").exists(),
        "judge": (run.folder / SAMPLE_PHOTO).exists() and not captions.is_judged(run),
        "step": trained_here and over and len(checkpoints.step_folders(run)) > 1,
        "measure": trained_here and over and has_adapter, "rename": over, "delete": over,
    }  # fmt: skip
    return [name for name in ACTIONS if conditions[name]]


def _imported_row(run: Run) -> dict[str, Any]:
    empty = dict.fromkeys(("measuring", "step", "steps", "loss", "held", "margin", "seconds", "memory"))
    panel = (run.folder / library.PANEL_FILE).exists()
    return {**empty, "name": run.name, "kind": "adapter", "state": texts.IMPORTED, "live": False, "panel": panel}


def _details(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """The chosen run: progress, time left, memory, captions, the last lines of its log, before-and-after numbers.

    row: its line of the list.
    """
    status, rows = run.status(), _rows(run.folder / "metrics.jsonl")
    failed, log = status["state"] in ("failed", "interrupted"), run.log(LOG_CHARACTERS)
    messages = [line for line in log.splitlines() if line[:1].strip() and "Warning" not in line]
    return {
        **row, "status": status["state"], "error": status["error"],
        "left": _seconds_left(rows, row) if row["live"] else None,
        "note": _stage(run, row, messages[-1] if messages else "") if row["live"] else "",
        "log": log if failed else "\n".join(messages[-LOG_LINES:]),
        "photo": _sample_photo(run.folder / SAMPLE_PHOTO),
        **captions.judged(run, checkpoints.adapter_step(run)),
        "checkpoint": checkpoint.sentence(run, status, rows),
        "kinds": _memory_kinds(rows), "measured": measurement.rows(run), "map": measurement.representation_map(run),
        "measuring_note": measurement.last_line(run),
    }  # fmt: skip


def _stage(run: Run, row: dict[str, Any], message: str) -> str:
    """What a run does before its first step, and for how long its process is there; "" from then on, and while it
    waits for others.

    row: its line of the list; message: the last line of its log.
    """
    status = run.status()
    is_waiting = status["state"] == "waiting"
    if status["state"] == "running" or (is_waiting and row["state"] != texts.STATES["starting"]):
        return ""
    stage, values = "starting" if is_waiting else "reading", {}
    for name, pattern in LOG_PATTERNS.items():
        if not is_waiting and (match := pattern.match(message)):
            stage, values = name, match.groupdict()
    seconds = max(0.0, time.time() - (status.get("born") or time.time()))
    return texts.STAGE.format(stage=texts.STAGES[stage].format(**values), seconds=f"{seconds:.0f}")


def _memory_kinds(rows: list[dict]) -> dict[str, Any] | None:
    """Memory by kind of some steps from the first to the last, MB; None for a run that did not count it.

    "steps": [step]; "rows": [{"label", "values": one a step}].
    """
    counted = [row for row in rows if isinstance(row.get("memory"), dict)]
    if not counted:
        return None
    stride = (len(counted) - 1) / (MEMORY_STEPS - 1)
    samples = [counted[index] for index in dict.fromkeys(round(k * stride) for k in range(MEMORY_STEPS))]
    return {
        "steps": [row["step"] for row in samples],
        "rows": [
            {"label": label, "values": [measurement.finite(row["memory"].get(kind)) for row in samples]}
            for kind, label in texts.MEMORY_KINDS.items()
        ],
    }


def _sample_photo(path: Path) -> str:
    """The photo that the run captions, as a data URL; "" while there is none."""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""


def _seconds_left(rows: list[dict], run: dict[str, Any]) -> float | None:
    """Seconds to the last step, by the pace of the latest steps."""
    times = [(row["step"], row["seconds"]) for row in rows if "loss" in row and "seconds" in row][-20:]
    if len(times) < 2 or times[-1][0] <= times[0][0]:
        return None
    pace = (times[-1][1] - times[0][1]) / (times[-1][0] - times[0][0])
    return max(0.0, pace * (run["steps"] - run["step"]))
