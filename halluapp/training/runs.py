"""A training run is a folder: settings, curve, captions, adapter and state. One run of a folder trains at a time.

config.json    kind, recipe, data, model          metrics.jsonl  losses, training and held-out pairs, memory
status.json    state, step, one sentence on error samples.jsonl  a photo captioned every k steps
adapter/       what `lvlm.adapters` loads         state.pt       optimizer, weights, step: to resume
stop           put there to stop the run          log.txt        what the process printed
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from halluapp.data.files import absolute_path, check_output, write_reserved, write_text
from halluapp.errors import InputError
from halluapp.training import recipes
from halluapp.training.recipes import Recipe

LOCK, LOCK_OWNER = ".running.lock", ".running"  # beside the runs: what is locked, and the name of the run that holds it
STATES = ("waiting", "preparing", "running", "finished", "stopped", "failed", "interrupted")
SAMPLE_PHOTO, SAMPLE_FACTS = "sample.jpg", "sample.json"  # the photo that is captioned, small; what it shows
NAMED_MODELS = ("pocket", "auto")  # no folders, whatever is called so in the working folder
LIVE = ("waiting", "preparing", "running")
MAX_CLOCK_SHIFT = 2.0  # seconds
MAX_SENTENCE = 600  # characters of an error in status.json, whose place on the disk is reserved
RESUMABLE = ("stopped", "failed", "interrupted")
PROCESS_GONE = (
    "Its process ended at step {step} without a word: it was killed, the machine restarted, or memory ran out. "
    "Resume it (--resume); if memory was short, start another run with a lower batch."
)


@dataclass(frozen=True)
class Config:
    """Settings, data and model of a run. photo: captioned while it trains ("": the first held-out one).

    pairs_hash: of the pairs that it began to learn from ("": it has not begun). Folders and files are absolute paths,
    so that a run goes on from any folder.
    """

    kind: str
    recipe: Recipe
    data: str
    model: str = "pocket"
    quantization: str = "nf4"
    photo: str = ""
    pairs_hash: str = ""

    def command(self, out: Path, resume: bool = False) -> list[str]:
        """The command line of the same run; settings with their default are left out."""
        arguments = ["train", self.kind, "--data", self.data, "--out", str(out), "--model", self.model]
        arguments += ["--quantization", self.quantization] + (["--photo", self.photo] if self.photo else [])
        default = asdict(recipes.RECIPES[self.kind]())
        for name, value in asdict(self.recipe).items():
            if value != default[name]:
                arguments += [
                    f"--{name.replace('_', '-')}",
                    json.dumps(value) if isinstance(value, bool) else str(value),
                ]
        return arguments + (["--resume"] if resume else [])


class Run:
    """A run's folder. Reads are safe while another process writes."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.folder.name

    def config(self) -> Config:
        """Raises InputError when the folder holds no run."""
        try:
            about = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
            about["recipe"] = recipes.create(about["kind"], **about["recipe"])
            return Config(**about)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self.folder} holds no training run.") from error

    def write_config(self, config: Config) -> None:
        """Writes config.json. Raises OSError."""
        about = {**asdict(config), "recipe": asdict(config.recipe)}
        write_text(self.folder / "config.json", json.dumps(about, indent=1, ensure_ascii=False))

    def status(self) -> dict[str, Any]:
        """state (one of STATES), step, steps, error. A run whose process is gone is "interrupted"."""
        try:
            status = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"state": "interrupted", "step": 0, "steps": 0, "error": ""}
        if status["state"] in LIVE and not _alive(status.get("pid", 0), status.get("born", "")):
            status |= {"state": "interrupted", "error": PROCESS_GONE.format(step=status["step"])}
        return status

    def write_status(self, state: str, step: int = 0, error: str = "", **more: Any) -> None:
        """Writes status.json, on a full disk too. An OSError is printed, not raised: the error may be about it."""
        steps = self.config().recipe.steps
        about = {
            "state": state,
            "step": step,
            "steps": steps,
            "error": error[:MAX_SENTENCE],
            "pid": os.getpid(),
            **more,
        }
        about["born"] = _start_time(about["pid"])
        if state == "waiting":
            about["since"] = time.time()
        try:
            write_reserved(self.folder / "status.json", json.dumps(about))
        except OSError as problem:
            print(f"status not written: {problem}", file=sys.stderr)

    def metrics(self) -> list[dict[str, Any]]:
        """All rows so far, by step."""
        return list(_lines(self.folder / "metrics.jsonl"))

    def samples(self) -> list[dict[str, Any]]:
        """{"step", "text"} of every caption so far."""
        return list(_lines(self.folder / "samples.jsonl"))

    def append_row(self, file: str, row: dict[str, Any]) -> None:
        """Appends a row to metrics.jsonl or samples.jsonl."""
        with open(self.folder / file, "a", encoding="utf-8") as out:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")

    def drop_rows_after(self, step: int) -> None:
        """Drops rows later than the state from which a run resumes, which will compute them again."""
        for file in ("metrics.jsonl", "samples.jsonl"):
            path = self.folder / file
            if path.exists():
                lines = [json.dumps(row, ensure_ascii=False) for row in _lines(path) if row.get("step", 0) <= step]
                write_text(path, "\n".join(lines)) if lines else path.unlink()

    def stop(self) -> None:
        """Asks the run to end after its present step; the adapter is saved then."""
        (self.folder / "stop").touch()

    @property
    def adapter(self) -> Path:
        """The folder that `lvlm.adapters.load` takes."""
        return self.folder / "adapter"

    def log(self, last: int = 20_000) -> str:
        """The last characters of the process's output."""
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace")[-last:] if path.exists() else ""

    def delete(self) -> None:
        """Removes the folder. Raises InputError while the run lives."""
        self._check_ended()
        self.config()
        shutil.rmtree(self.folder)

    def rename(self, name: str) -> Run:
        """The run under another name. Raises InputError."""
        self._check_ended()
        if not name or Path(name).name != name or name.startswith(".") or (self.folder.parent / name).exists():
            raise InputError(f"{name!r} cannot be the name of a run; choose one that is new and has no slash.")
        return Run(self.folder.rename(self.folder.parent / name))

    def _check_ended(self) -> None:
        if self.status()["state"] in LIVE:
            raise InputError(f"The run {self.name} is not over; stop it first.")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):  # a caption may hold other ends of lines (U+2028)
            try:
                yield json.loads(line)
            except ValueError:  # the last line of a killed process
                continue


def _start_time(pid: int) -> float:
    """When a process started, in seconds since 1970, which tells it from a later one of its number; 0: unknown."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def _alive(pid: int, born: float | str = 0.0) -> bool:
    """Whether a process runs; a zombie does not, and after a restart its number may belong to another (`born`)."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        # Two readings of one start may differ by the clock's own correction of the boot time.
        same = not born or abs(process.create_time() - float(born)) < MAX_CLOCK_SHIFT
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def list_runs(root: str | Path) -> list[Run]:
    """All runs under a folder, newest first."""
    folders = [path.parent for path in Path(root).glob("*/config.json")]
    return [Run(path) for path in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)]


def create(out: str | Path, config: Config, resume: bool = False) -> Run:
    """A new run's folder, or that of one to resume. Raises InputError."""
    run = Run(out)
    if resume:
        existing = run.config()
        if existing.kind != config.kind:
            raise InputError(
                f"{out} is a {existing.kind} run; resume it with: train {existing.kind} --out {out} --resume"
            )
        (run.folder / "stop").unlink(missing_ok=True)
        return run
    if run.folder.exists() and any(path.name != "log.txt" for path in run.folder.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder, or add --resume to go on with the run in it.")
    check_output(run.folder, folder=True)
    model = config.model if config.model in NAMED_MODELS else absolute_path(config.model)
    run.write_config(
        replace(config, data=absolute_path(config.data), photo=absolute_path(config.photo), model=model, pairs_hash="")
    )
    run.write_status("waiting")
    return run


@contextmanager
def training_lock(run: Run, wait: bool = False) -> Iterator[None]:
    """Holds the lock of the folder of runs; the kernel releases it however the process ends.

    wait: until it is free and no other run has waited for longer, or the file `stop` appears (the run is then stopped:
    InputError); without it InputError at once, with the name of the run that holds the lock.
    """
    lock, owner = FileLock(run.folder.parent / LOCK), run.folder.parent / LOCK_OWNER
    if wait and run.status()["state"] != "waiting":
        run.write_status("waiting", run.status()["step"])
    while wait and not _is_next(run):
        _wait_in_queue(run)
    while not lock.is_locked:
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            if not wait:
                other = owner.read_text(encoding="utf-8").strip() if owner.exists() else "that has just begun"
                raise InputError(f"The run {other} is training; one at a time. Stop it or wait.") from error
            _wait_in_queue(run)
    try:
        owner.write_text(run.name, encoding="utf-8")
        yield
    finally:
        lock.release()


def _wait_in_queue(run: Run) -> None:
    """Waits half a second. Raises InputError where the file `stop` is."""
    if (run.folder / "stop").exists():
        run.write_status("stopped", run.status()["step"])
        raise InputError(f"{run.name} was stopped before its turn came.")
    time.sleep(0.5)


def _is_next(run: Run) -> bool:
    """Whether no other run has waited for longer."""
    waiting = queue(run.folder.parent)
    return not waiting or waiting[0][1] == run.name


def queue(root: Path) -> list[tuple[float, str]]:
    """(waiting since, name) of the runs that wait for their turn, the next one first."""
    statuses = [(run.status(), run.name) for run in list_runs(root)]
    return sorted((status.get("since", 0.0), name) for status, name in statuses if status["state"] == "waiting")


def launch(out: str | Path, config: Config, resume: bool = False) -> Run:
    """Starts a run in a process of its own, which outlives this one; it waits for its turn. Raises InputError."""
    run = create(out, config, resume)
    arguments = [sys.executable, "-m", "halluapp", *run.config().command(run.folder, resume=True), "--launched"]
    with open(run.folder / "log.txt", "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
    run.write_status("waiting", run.status().get("step", 0), pid=process.pid)
    return run
