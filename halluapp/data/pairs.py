"""Preference pairs: a photo, a question, a truthful and a hallucinated answer. Read, checked, written, split."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from halluapp.data import tables
from halluapp.data.files import write_text
from halluapp.data.photos import read_photo
from halluapp.errors import InputError

TEXTS = ("question", "chosen", "rejected")
MAX_CHARACTERS = 4000  # characters of a text


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
    """All pairs of `iter_pairs`."""
    return list(iter_pairs(source, check_photos))


def iter_pairs(source: str | Path, check_photos: bool = True, limit: int = 0) -> Iterator[Pair]:
    """Reads pairs one by one, in order; the first `limit` only (0: all).

    source: a folder with pairs.jsonl; a JSONL or parquet file; the hub id of a data set. A row has image, question,
    chosen, rejected or, as in RLHF-V, image and `text`, which holds the three as JSON. An image is a path beside the
    file, bytes, or {"bytes", "path"} (bytes in base64 where the file is JSON). Raises InputError, one sentence that
    names the bad row, or says that there is none.
    """
    table = tables.open_table(source)
    count = 0
    for position, row in islice(table.rows, limit or None):
        yield _parse_pair(row, f"{position} of {table.name}", table.folder, check_photos)
        count += 1
    if not count:
        raise InputError(f"{table.name} holds no pairs.")


def _parse_pair(row: Any, position: str, folder: Path, check_photos: bool) -> Pair:
    if not isinstance(row, Mapping):
        raise InputError(f"{position} is not an object with image, {', '.join(TEXTS)}.")
    if row.get("text") is not None and "chosen" not in row:  # RLHF-V
        row = {**row, **_parse_texts(row["text"], position)}
    image, name = _parse_image(row.get("image"), folder)
    if image is None and isinstance(row.get("image_path"), str):  # RLHF-V where the bytes are left out
        image, name = _parse_image(row["image_path"], folder)
    if image is None:
        raise InputError(f"{position} lacks an image (a path beside the file, or its bytes).")
    texts = {key: row.get(key) for key in TEXTS}
    lacking = [key for key, text in texts.items() if not isinstance(text, str) or not text.strip()]
    if lacking:
        raise InputError(f"{position} lacks {' and '.join(lacking)}.")
    question, chosen, rejected = (text.replace("<image>", "").strip() for text in texts.values())
    if chosen == rejected:
        raise InputError(f"{position}: the chosen and the rejected answer are the same.")
    if max(map(len, (question, chosen, rejected))) > MAX_CHARACTERS:
        raise InputError(f"{position} has a text of more than {MAX_CHARACTERS:,} characters.")
    if check_photos:
        try:
            read_photo(image)
        except InputError as error:
            raise InputError(f"{position}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    objects = row.get("objects")
    object_names = tuple(objects) if isinstance(objects, list) else None
    return Pair(image, name, question, chosen, rejected, object_names, str(row.get("kind") or ""))


def _parse_texts(text: Any, position: str) -> Mapping[str, Any]:
    """The three texts of an RLHF-V row: a JSON string or its object."""
    try:
        fields = json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise InputError(f"{position}: its text is not JSON ({error}).") from error
    if not isinstance(fields, Mapping):
        raise InputError(f"{position}: its text is not the JSON of an RLHF-V pair.")
    return {key: fields.get(key) for key in TEXTS}


def _parse_image(value: Any, folder: Path) -> tuple[Path | bytes | None, str]:
    """The image of a row in any of its forms, and an id that is equal for pairs of the same photo."""
    if isinstance(value, Mapping):
        inner = value.get("bytes")
        if isinstance(inner, str):  # bytes in JSON
            try:
                inner = base64.b64decode(inner, validate=True)
            except (ValueError, binascii.Error):
                return None, ""
        return _parse_image(inner or value.get("path"), folder)
    if isinstance(value, bytes) and value:
        return value, hashlib.sha256(value).hexdigest()[:16]
    if isinstance(value, str) and value.strip():
        return folder / value, value
    return None, ""


def write_pairs(folder: Path, photos: dict[str, bytes], rows: Iterable[dict[str, Any]]) -> Path:
    """Writes photos (by file name) and rows -> FOLDER/pairs.jsonl. Rows name their photo as `image`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in photos.items():
        (folder / name).write_bytes(content)
    path = folder / "pairs.jsonl"
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
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
    held_out_photos = set(photos[:count])
    sides: tuple[list[int], list[int]] = ([], [])
    for row, pair in enumerate(pairs):
        sides[pair.photo in held_out_photos].append(row)
    return sides


def jpeg(image, quality: int = 85) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
