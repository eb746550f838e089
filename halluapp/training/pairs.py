"""Pairs of a truthful and a hallucinated answer about one photo, from JSONL of ours or from sets like RLHF-V."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from halluapp.errors import InputError

TEXTS = ("question", "chosen", "rejected")


@dataclass(frozen=True)
class Pair:
    """image: a file, or the encoded bytes of one. chosen: truthful; rejected: hallucinated."""

    image: Path | bytes
    question: str
    chosen: str
    rejected: str


def read(path: Path, limit: int = 0) -> Iterator[Pair]:
    """The pairs of a .jsonl or .parquet file, the first `limit` only (0: all); image paths are relative to the file.

    A row is {"image", "question", "chosen", "rejected"}, or, as in RLHF-V, {"image", "text"} where text is JSON (or an
    object) with the three and image a path or {"bytes", "path"} (bytes in base64 where the file is JSON). Raises
    InputError that names the bad row, or says that there is none.
    """
    rows = _parquet(path) if path.suffix == ".parquet" else _json_lines(path)
    found = 0
    for place, row in islice(rows, limit or None):
        yield _pair(row, place, path)
        found += 1
    if not found:
        raise InputError(f"{path.name} holds no pairs.")


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"Line {number}", _loaded(line, f"Line {number} of {path.name}")
        except UnicodeDecodeError as error:
            raise InputError(f"{path.name} is not text; give a .jsonl or .parquet file.") from error


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(f"Reading {path.name} needs pyarrow; install it, or convert the set to JSONL.") from error
    try:
        number = 0
        with ParquetFile(path) as file:
            columns = [name for name in ("image", "text", "image_path", *TEXTS) if name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=16, columns=columns):  # a few photos at a time
                for row in batch.to_pylist():
                    number += 1
                    yield f"Row {number}", row
    except ArrowException as error:
        raise InputError(f"{path.name} cannot be read as a parquet file.") from error


def _loaded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}).") from error


def _pair(row: Any, place: str, path: Path) -> Pair:
    where = f"{place} of {path.name}"
    row = row if isinstance(row, dict) else {}
    texts = row
    if row.get("text") is not None:
        texts = _loaded(row["text"], f"The text of {where}") if isinstance(row["text"], str) else row["text"]
    texts = texts if isinstance(texts, dict) else {}
    image = _image(row, path)
    missing = ["image"] * (image is None) + [key for key in TEXTS if not isinstance(texts.get(key), str)]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}.")
    return Pair(image, *(texts[key] for key in TEXTS))


def _image(row: dict, path: Path) -> Path | bytes | None:
    """The image of a row: a path, bytes, or None if there is neither."""
    given = row.get("image")
    parts = given if isinstance(given, dict) else {"path": given} if isinstance(given, str) else {"bytes": given}
    data = parts.get("bytes")
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error):
            return None
    if isinstance(data, bytes) and data:
        return data
    name = parts.get("path") or row.get("image_path")
    return path.parent / name if isinstance(name, str) and name else None
