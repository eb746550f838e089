"""Files that exist whole or not at all: written beside, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_SUFFIX = ".partial"  # ending of a file that a killed process has not finished


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it is renamed to `path` when the block ends without an error.

    The folder of `path` is created if it is missing. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    yield partial
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, with a line end at its end, whole or not at all. Raises OSError."""
    with atomic_write(path) as partial:
        partial.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
