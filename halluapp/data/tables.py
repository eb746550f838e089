"""Rows of a table on disk or on the hub, read one by one, each with its position ("Line 3") for error messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halluapp.errors import InputError

BATCH = 16  # rows of a parquet file in memory: each holds a photo


@dataclass(frozen=True)
class Table:
    """rows: ("Line 3", a row) each. name: for sentences. folder: what the paths in it are relative to."""

    name: str
    folder: Path
    rows: Iterator[tuple[str, Any]]


def open_table(source: str | Path) -> Table:
    """source: a folder with pairs.jsonl, a JSONL or parquet file, or the hub id of a data set with a train split, or
    a copy of one.

    Raises InputError, also while rows are read: for what is not there, cannot be read, or is no JSON (names the line).
    """
    path = Path(source)
    if (path / "pairs.jsonl").exists():
        path = path / "pairs.jsonl"
    if not path.is_file():
        return Table(str(source), path, _data_set(path, str(source)))
    return Table(path.name, path.parent, _parquet(path) if path.suffix == ".parquet" else _json_lines(path))


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"Line {number}", _loaded(line, f"Line {number} of {path.name}")
        except UnicodeDecodeError as error:
            raise InputError(f"{path.name} is not text in UTF-8; give a .jsonl or .parquet file.") from error


def _loaded(text: str, position: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{position} is not JSON ({error}).") from error


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        number = 0
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"Row {number}", row
    except (OSError, ArrowException) as error:
        raise InputError(f"{path.name} cannot be read as a parquet file.") from error


def _data_set(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    if not path.is_dir() and (name.count("/") != 1 or name.startswith((".", "/"))):
        raise InputError(f"There are no pairs at {name}; give a folder with pairs.jsonl, a JSONL or a parquet file.")
    import datasets

    try:
        rows = datasets.load_dataset(name, split="train")
        if isinstance(rows.features.get("image"), datasets.Image):
            rows = rows.cast_column("image", datasets.Image(decode=False))
    except Exception as error:  # network, name, format: whatever the package raises
        raise InputError(f"The data set {name} could not be read ({' '.join(str(error).split())[:160]}).") from error
    for number, row in enumerate(rows, 1):
        yield f"Row {number}", row
