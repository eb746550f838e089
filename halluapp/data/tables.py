"""Rows of a table on disk or on the hub, read one by one, each with its position ("Line 3") for error messages."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halluapp.data.files import is_hub_id
from halluapp.errors import InputError

BATCH = 16  # rows of a parquet file in memory: each holds a photo
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
FILES = ("pairs.jsonl", "pairs.json")  # in a folder


class RowError(ValueError):
    """What is wrong with a row, as the end of a sentence that begins with its position: " has ..", ": its .."."""


@dataclass(frozen=True)
class Table:
    """rows: ("Line 3", a row) each. name: for sentences. folder: what the paths in it are relative to."""

    name: str
    folder: Path
    rows: Iterator[tuple[str, Any]]


def open_table(source: str | Path) -> Table:
    """source: a folder with pairs.jsonl; a JSONL, JSON (an array of rows) or parquet file; the hub id of a data set
    with a train split, or a copy of one. Text is UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises InputError, also while rows are read: for what is not there, cannot be read, or is no JSON (names the line).
    """
    path = Path(source)
    path = next((path / name for name in FILES if (path / name).exists()), path)
    if not path.is_file():
        return Table(str(source), path, _data_set(path, str(source)))
    return Table(path.name, path.parent, _parquet(path) if path.suffix.lower() == ".parquet" else _json_rows(path))


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """One value a line, or the entries of one array."""
    try:
        with path.open("rb") as head:
            start = head.read(4)
        encoding = next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")
        with path.open(encoding=encoding) as lines:
            first = next((letter for letter in iter(lambda: lines.read(1), "") if not letter.isspace()), "")
            lines.seek(0)
            if (rows := _array(lines.read()) if first == "[" or path.suffix.lower() == ".json" else None) is not None:
                yield from ((f"Entry {number}", row) for number, row in enumerate(rows, 1))
                return
            lines.seek(0)
            for number, line in enumerate(lines, 1):
                if text := line.strip().lstrip("\ufeff"):  # a mark stands inside where files were joined
                    yield f"Line {number}", _parse(text, f"Line {number} of {path.name}")
    except UnicodeError as error:
        raise InputError(f"{path.name} is not text in UTF-8; give a .jsonl, .json or .parquet file.") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror or 'unknown reason'}).") from error


def _array(text: str) -> list | None:
    """The rows of a file that is one JSON value; None where it is not, as a file of lines is."""
    try:
        value = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else [value]


def _parse(text: str, position: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{position} is not JSON ({error}); give a .jsonl, .json or .parquet file.") from error
    except RecursionError as error:
        raise InputError(f"{position} is nested too deeply.") from error


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
    except (OSError, ArrowException, UnicodeError) as error:
        raise InputError(f"{path.name} cannot be read as a parquet file.") from error


def _data_set(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    if not path.is_dir() and not is_hub_id(name):
        raise InputError(f"There are no pairs at {name}; give a folder with pairs.jsonl, a JSONL or a parquet file.")
    import datasets

    try:
        rows = _without_decoding(datasets.load_dataset(name, split="train"))
    except Exception as error:  # network, name, format: whatever the package raises
        raise InputError(f"The data set {name} could not be read ({' '.join(str(error).split())[:160]}).") from error
    for number, row in enumerate(rows, 1):
        yield f"Row {number}", row


def _without_decoding(rows):
    """The rows of a data set with their images as bytes or paths."""
    from datasets import Image

    for name, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(name, Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), Image):  # a list of images
            rows = rows.cast_column(name, type(feature)(Image(decode=False)))
    return rows
