"""Before-and-after numbers of a run, by the command that a person would type, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from halluapp.errors import InputError
from halluapp.training.runs import Run
from halluapp.ui.train import texts

PHOTOS = 24  # captioned with either model: a few minutes on two cores
LOG = "measure.log"
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
