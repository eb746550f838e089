"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # what a killed process leaves ends so


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends without an error.

    The folder of `path` is made where it is missing. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    yield partial
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, with a line end at its end, whole or not at all. Raises OSError."""
    with written_whole(path) as partial:
        partial.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
