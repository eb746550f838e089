"""Preference pairs: a photo, a question, a truthful and a hallucinated answer. Read, checked, written, split."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from halluapp.errors import InputError
from halluapp.photos import read_photo

FIELDS = ("image", "question", "chosen", "rejected")
LONGEST = 4000  # characters of a text


@dataclass(frozen=True)
class Pair:
    """One pair. image: a file, or the bytes of one. photo: equal for pairs of the same photo. objects: all that are in
    the photo, if that is known (None: unknown). kind: what is wrong with the rejected answer ("": unknown)."""

    image: Path | bytes
    photo: str
    question: str
    chosen: str
    rejected: str
    objects: tuple[str, ...] | None = None
    kind: str = ""

    def open(self):
        """The upright RGB photo. Raises InputError."""
        return read_photo(self.image)


def read_pairs(source: str | Path, check_photos: bool = True) -> list[Pair]:
    """Reads pairs -> list, in order.

    source: a folder with pairs.jsonl; a JSONL file with image, question, chosen, rejected a line (image: a path beside
    the file); RLHF-V rows (`text` holds a JSON string, `image` bytes or a path) as JSONL or parquet; or the hub id of
    such a data set, if `datasets` is installed. Raises InputError, one sentence that names the bad line.
    """
    path = Path(source)
    if path.is_dir():
        path = path / "pairs.jsonl"
    if not path.exists():
        rows, name, folder = _from_hub(str(source)), str(source), Path()
    elif path.suffix == ".parquet":
        rows, name, folder = _from_parquet(path), path.name, path.parent
    else:
        rows, name, folder = _from_jsonl(path), path.name, path.parent
    pairs = [_pair(row, f"Line {number} of {name}", folder, check_photos) for number, row in rows]
    if not pairs:
        raise InputError(f"{name} holds no pairs.")
    return pairs


def _from_jsonl(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not text in UTF-8; pairs are JSON, a line each.") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"Line {number} of {path.name} is not JSON ({error}).") from error
            if not isinstance(row, dict):
                raise InputError(f"Line {number} of {path.name} is not an object with {', '.join(FIELDS)}.")
            yield number, row


def _from_parquet(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"Reading {path.name} needs pyarrow; install it, or give the pairs as JSONL.") from error
    try:
        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), 1)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path.name} is not a readable parquet file.") from error


def _from_hub(name: str) -> Iterator[tuple[int, dict]]:
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(f"There are no pairs at {name}; give a folder with pairs.jsonl or a JSONL file.")
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"There is no file {name}, and reading it as a data set of the hub needs the package datasets; install it."
        ) from error
    try:
        rows = datasets.load_dataset(name, split="train").cast_column("image", datasets.Image(decode=False))
    except Exception as error:  # network, name, format: whatever the package raises
        raise InputError(f"The data set {name} could not be read ({' '.join(str(error).split())[:160]}).") from error
    yield from enumerate(rows, 1)


def _pair(row: dict[str, Any], where: str, folder: Path, check_photos: bool) -> Pair:
    if isinstance(row.get("text"), str) and "chosen" not in row:  # RLHF-V
        try:
            row = {**row, **json.loads(row["text"])}
        except (ValueError, TypeError) as error:
            raise InputError(f"{where}: its text is not the JSON of an RLHF-V pair.") from error
    image, name = _image(row.get("image"), folder)
    if image is None:
        raise InputError(f"{where} lacks an image (a path beside the file, or its bytes).")
    texts = {key: row.get(key) for key in FIELDS[1:]}
    lacking = [key for key, text in texts.items() if not isinstance(text, str) or not text.strip()]
    if lacking:
        raise InputError(f"{where} lacks {' and '.join(lacking)}.")
    question, chosen, rejected = (text.replace("<image>", "").strip() for text in texts.values())
    if chosen == rejected:
        raise InputError(f"{where}: the chosen and the rejected answer are the same.")
    if max(map(len, (question, chosen, rejected))) > LONGEST:
        raise InputError(f"{where} has a text of more than {LONGEST:,} characters.")
    if check_photos:
        try:
            read_photo(image)
        except InputError as error:
            raise InputError(f"{where}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    objects = row.get("objects")
    known = tuple(objects) if isinstance(objects, list) else None
    return Pair(image, name, question, chosen, rejected, known, str(row.get("kind") or ""))


def _image(value: Any, folder: Path) -> tuple[Path | bytes | None, str]:
    """The image of a row in any of its forms, and a name by which pairs of one photo are known."""
    if isinstance(value, dict):
        inner = value.get("bytes")
        if isinstance(inner, str):  # bytes in JSON
            inner = base64.b64decode(inner)
        return (inner, _digest(inner)) if inner else _image(value.get("path"), folder)
    if isinstance(value, bytes):
        return value, _digest(value)
    if isinstance(value, str) and value.strip():
        return folder / value, value
    return None, ""


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()[:16]


def write_pairs(folder: Path, photos: dict[str, bytes], rows: Iterable[dict[str, Any]]) -> Path:
    """Writes photos (by file name) and rows -> FOLDER/pairs.jsonl. Rows name their photo as `image`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in photos.items():
        (folder / name).write_bytes(content)
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def split(pairs: list[Pair], held_out: float = 0.2, seed: int = 0) -> tuple[list[int], list[int]]:
    """Row numbers of (training, held-out) pairs; all pairs of a photo are on one side. Raises InputError.

    held_out: share of the photos, at least one if not 0.
    """
    photos = sorted({pair.photo for pair in pairs})
    Random(f"split/{seed}").shuffle(photos)
    count = max(1, round(held_out * len(photos))) if held_out > 0 else 0
    if count >= len(photos):
        raise InputError(f"The pairs show {len(photos)} photos; at least {count + 1} are needed to hold {count} out.")
    kept_out = set(photos[:count])
    sides: tuple[list[int], list[int]] = ([], [])
    for row, pair in enumerate(pairs):
        sides[pair.photo in kept_out].append(row)
    return sides


def jpeg(image, quality: int = 85) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
