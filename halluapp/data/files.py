"""Files that exist whole or not at all: written beside, then renamed. Places for results, checked before the work."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from halluapp.errors import InputError

PARTIAL_SUFFIX = ".partial"  # ending of a file that a killed process has not finished
MAX_NAME = 200  # bytes of a name that a temporary file keeps; file systems end at 255
RESERVED = 4096  # bytes: a block of most file systems
BLOCK = 2**20  # bytes that are hashed at once
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")  # OWNER/NAME
TABLES = (
    ".jsonl",
    ".json",
    ".ndjson",
    ".parquet",
    ".tar",
    ".csv",
    ".tsv",
    ".zip",
    ".gz",
)  # no hub ids


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it is renamed to `path` when the block ends without an error, else removed.

    The folder of `path` is created if it is missing; a link is followed; what is no plain file (/dev/stdout) is written
    to as it is. Every process has a temporary path of its own. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    _remove_leftovers(path)
    partial = path.with_name(f"{_short_name(path)}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:  # also a signal: a half file on a full disk would keep the next one from being written
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _remove_leftovers(path: Path) -> None:
    """Removes temporary files of this path whose process was killed."""
    name = _short_name(path)
    for old in path.parent.glob(f"{_escaped(name)}.*{PARTIAL_SUFFIX}"):
        number = old.name.removeprefix(f"{name}.").removesuffix(PARTIAL_SUFFIX)
        if number.isdigit() and not psutil.pid_exists(int(number)):
            with suppress(OSError):
                old.unlink(missing_ok=True)


def _short_name(path: Path) -> str:
    """The name of a file, or what stands for it where an ending would make it too long for the file system."""
    name = path.name
    return name if len(os.fsencode(name)) <= MAX_NAME else content_hash(os.fsencode(name))


def _escaped(name: str) -> str:
    """A file name as a pattern that finds it alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, with a line end at its end, whole or not at all. Raises OSError."""
    with atomic_write(path) as partial:
        partial.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def write_reserved(path: Path, text: str) -> None:
    """As `write_text`, padded with spaces to RESERVED bytes: on a full disk the old one is written over. OSError.

    For a file that must tell that the disk is full. A reader may then find it half written for a moment.
    """
    padded = text.encode().ljust(RESERVED - 1) + b"\n"
    try:
        with atomic_write(path) as partial:
            partial.write_bytes(padded)
    except OSError:
        if not path.exists() or path.stat().st_size < len(padded):
            raise
        with open(path, "r+b") as file:  # no byte more than the file has: the disk has room for it
            file.write(padded.ljust(path.stat().st_size))


def check_output(path: Path, inputs: Iterable[Path] = (), folder: bool = False) -> None:
    """Makes the folder of a result and tries to write there. Raises InputError in one sentence.

    inputs: files that the work reads, which must not be overwritten. folder: `path` itself is to be a folder.
    """
    try:
        if not folder and path.is_dir():
            raise InputError(f"{path} is a folder; give the name of a file in it for the result.")
        if any(path.resolve() == other.resolve() for other in inputs):
            raise InputError(f"{path} is what the command reads; give another file for the result.")
        home = path if folder else path.parent
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists() or folder or path.is_file():
            trial = home / f".{_short_name(path)}.{os.getpid()}{PARTIAL_SUFFIX}"
            trial.write_bytes(b" ")
            trial.unlink()
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Nothing can be written to {path} ({reason}); choose another place.") from error


def content_hash(content: Path | bytes) -> str:
    """SHA-256 of a file or of bytes, 32 hex digits: equal for equal contents whatever their names. Raises OSError."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:32]
    digest = hashlib.sha256()
    with open(content, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()[:32]


def is_hub_id(name: str) -> bool:
    """Whether a name that is no file or folder here can be one on the hub: OWNER/NAME.

    What looks like a path is none: runs/pairs where runs is a folder here, pairs/a.jsonl, ./a/b, ~/a.
    """
    return (
        HUB_ID.fullmatch(name) is not None
        and not name.startswith((".", "~", "/", "-"))
        and not name.lower().endswith(TABLES)
        and not Path(name.split("/")[0]).exists()
    )


def absolute_path(path: str) -> str:
    """The absolute path of what is here; anything else, such as an id of the hub, as it is."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path


def relative_path(path: str | Path) -> str:
    """A path as a person types it: below the working directory if it lies there."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
