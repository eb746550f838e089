"""What a server leaves on the disk, and for how long: one policy of age and size for all that comes from visitors.

All temporary files of a served process lie in one folder of its own: uploads, reports, archives. It goes when the
server stops, or, after a crash, when the next one starts. Beside the runs lie uploaded pairs and photos; those that no
run names any more go by age.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from halluapp.settings import Settings

PREFIX = "halluapp-server-"
RUN_FILES = (".uploads", ".photos")  # in the folder of runs, as `ui.train.data` writes them
SWEEP_SECONDS, SAFE_SECONDS = 600.0, 900.0  # between two sweeps; nothing younger goes for its size: a page may show it
logger = logging.getLogger("halluapp.disk")


def own_folder() -> Path:
    """A temporary folder of this process, which `tempfile` uses from now on; those of ended servers are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not _is_used(folder):
            shutil.rmtree(folder, ignore_errors=True)
    created = int(psutil.Process().create_time())
    tempfile.tempdir = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{created}-")
    return Path(tempfile.tempdir)


def _is_used(folder: Path) -> bool:
    """Whether the process that a folder is named for still runs; a number may belong to another one by now."""
    pid, _, rest = folder.name.removeprefix(PREFIX).partition("-")
    try:
        return str(int(psutil.Process(int(pid)).create_time())) == rest.partition("-")[0]
    except (ValueError, OverflowError, psutil.NoSuchProcess):
        return False
    except psutil.AccessDenied:
        return True


def sweep(folders: Iterable[Path], hours: float, megabytes: float) -> int:
    """Deletes files older than so many hours, then the oldest ones until the rest is small enough -> bytes deleted."""
    now, freed, rest = time.time(), 0, []
    for path, size, modified in sorted(_files(folders), key=lambda file: file[2]):
        if now - modified > hours * 3600:
            freed += size if _delete(path) else 0
        else:
            rest.append((path, size, modified))
    total = sum(size for _, size, _ in rest)
    for path, size, modified in rest:
        if total <= megabytes * 1_000_000 or now - modified < SAFE_SECONDS:
            break
        if _delete(path):
            freed, total = freed + size, total - size
    return freed


def sweep_runs(root: Path, hours: float) -> int:
    """Deletes uploaded pairs and photos beside the runs that are old and that no run names -> how many went."""
    count, configurations = 0, None
    for folder in (root / name for name in RUN_FILES):
        for entry in folder.iterdir() if folder.is_dir() else ():
            if time.time() - entry.stat().st_mtime < hours * 3600:
                continue
            configurations = _texts(root) if configurations is None else configurations
            if not any(entry.name in text for text in configurations):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
                count += 1
    return count


def _texts(root: Path) -> list[str]:
    """The settings of every run, in which the paths of its pairs and its photo stand."""
    return [path.read_text(encoding="utf-8", errors="replace") for path in root.glob("*/*.json")]


def _files(folders: Iterable[Path]) -> Iterable[tuple[Path, int, float]]:
    """(path, bytes, time of the last change) of all files below."""
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                info = path.lstat()
            except OSError:  # deleted by its owner just now
                continue
            if not path.is_dir() or path.is_symlink():
                yield path, info.st_size, info.st_mtime


def _delete(path: Path) -> bool:
    try:
        path.unlink()
        path.parent.rmdir()  # where it was the last one; gradio gives each upload a folder
    except FileNotFoundError:
        return False
    except OSError:
        return not path.exists()
    return True


def keep_small(settings: Settings, folders: Callable[[], list[Path]], besides: Callable[[], object]) -> None:
    """Sweeps now and every ten minutes, in a thread that ends with the process. besides: is called each time too."""

    def work() -> None:
        while True:
            besides()
            try:
                sweep(folders(), settings.disk_hours, settings.disk_mb)
                sweep_runs(settings.runs, settings.disk_hours)
            except OSError as error:  # a full or failing disk must not end the sweeping
                logger.warning("Old files cannot be deleted: %s", error.strerror)
            time.sleep(SWEEP_SECONDS)

    threading.Thread(target=work, name="halluapp-disk", daemon=True).start()
