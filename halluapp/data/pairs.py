"""Preference pairs: a photo, a question, a truthful and a hallucinated answer. Read, checked, written, split."""

from __future__ import annotations

import hashlib
import io
import json
import os.path
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from halluapp.data import tables
from halluapp.data.files import content_hash, write_text
from halluapp.data.image_values import parse_image
from halluapp.data.layouts import TEXTS, pair_fields
from halluapp.data.photos import pixels_id, read_photo
from halluapp.data.tables import RowError
from halluapp.errors import InputError

MAX_CHARACTERS = 4000  # characters of a text
INVISIBLE = ("C", "Z")  # first letters of Unicode's categories of control, format and space characters


@dataclass(frozen=True)
class Pair:
    """One pair. image: a file, or the bytes of one. photo: equal for pairs that show the same upright pixels, however
    their rows spell it. objects: all that are in the photo, if that is known (None: unknown). kind: what is wrong with
    the rejected answer ("": unknown). name: the photo as its row spells it. position: where the pair stands."""

    image: Path | bytes
    photo: str
    question: str
    chosen: str
    rejected: str
    objects: tuple[str, ...] | None = None
    kind: str = ""
    name: str = field(default="", compare=False)
    position: str = field(default="", compare=False)

    def open(self):
        """The upright RGB photo. Raises InputError."""
        return read_photo(self.image)

    def content_hash(self) -> str:
        """SHA-256 of the photo's file: equal under any name. Raises InputError."""
        try:
            return content_hash(self.image)
        except OSError as error:
            raise InputError(f"The photo {self.photo} cannot be read any more ({error.strerror}).") from error


def read_pairs(source: str | Path, check_photos: bool = True) -> list[Pair]:
    """All pairs of `iter_pairs`."""
    return list(iter_pairs(source, check_photos))


def iter_pairs(source: str | Path, check_photos: bool = True, limit: int = 0) -> Iterator[Pair]:
    """Reads pairs one by one, in order; the first `limit` only (0: all).

    source: as `tables.open_table` takes it; a row: one of `layouts.LAYOUTS`; its image: as `parse_image` takes it.
    check_photos: every photo is decoded, and `Pair.photo` is the hash of its pixels; else no file is opened, and
    `Pair.photo` is its path or the hash of its bytes. Raises InputError, one sentence that names the bad row, or says
    that there is none.
    """
    table = tables.open_table(source)
    identities: dict[str, str] = {}
    count = 0
    for row_name, row in islice(table.rows, limit or None):
        position = f"{row_name} of {table.name}"
        try:
            pair = _parse_pair(row, position, table.folder, identities if check_photos else None)
        except RowError as error:
            raise InputError(f"{position}{error}") from error
        yield pair
        count += 1
    if not count:
        raise InputError(f"{table.name} holds no pairs.")


def _parse_pair(row: Any, position: str, folder: Path, identities: dict[str, str] | None) -> Pair:
    if not isinstance(row, Mapping):
        raise RowError(f" is not an object with image, {', '.join(TEXTS)}.")
    fields = pair_fields(row)
    image, spelling = parse_image(fields["image"], folder)
    if image is None:
        raise RowError(" lacks an image (a path beside the file, or its bytes).")
    texts = _check_texts(fields)
    photo = _spelled_id(image) if identities is None else _checked_id(image, identities)
    objects = _object_names(fields.get("objects"))
    return Pair(image, photo, *texts, objects, str(fields.get("kind") or ""), spelling or _spelled_id(image), position)


def _check_texts(fields: Mapping[str, Any]) -> list[str]:
    """Question, chosen and rejected answer as a tokenizer will see them. Raises RowError."""
    texts = {key: fields.get(key) for key in TEXTS}
    for key, text in texts.items():
        if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise RowError(f": its {key} holds half a character (a lone surrogate), which no tokenizer takes.")
    lacking = [key for key, text in texts.items() if not isinstance(text, str) or not _visible(text)]
    if lacking:
        raise RowError(f" lacks {' and '.join(lacking)}.")
    texts = {key: text.replace("<image>", "").strip() for key, text in texts.items()}
    if empty := [key for key, text in texts.items() if not _visible(text)]:
        raise RowError(f": nothing but <image> is in its {' and '.join(empty)}.")
    if texts["chosen"] == texts["rejected"]:
        raise RowError(": the chosen and the rejected answer are the same.")
    if _plain(texts["chosen"]) == _plain(texts["rejected"]):
        raise RowError(": the chosen and the rejected answer differ in white space or spelling of characters only.")
    if max(map(len, texts.values())) > MAX_CHARACTERS:
        raise RowError(f" has a text of more than {MAX_CHARACTERS:,} characters.")
    return list(texts.values())


def _visible(text: str) -> bool:
    return any(unicodedata.category(letter)[0] not in INVISIBLE for letter in text)


def _plain(text: str) -> str:
    """A text in one normal form, words one space apart, without characters that nobody sees."""
    letters = (" " if letter.isspace() else letter for letter in unicodedata.normalize("NFKC", text))
    return " ".join("".join(letter for letter in letters if letter == " " or _visible(letter)).split())


def _object_names(objects: Any) -> tuple[str, ...] | None:
    names = [objects] if isinstance(objects, str) else objects
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and _visible(name) for name in names):
        raise RowError(": its objects are not a list of names.")
    return tuple(names)


def _spelled_id(image: Path | bytes) -> str:
    """What tells a photo from others where it is not opened."""
    return hashlib.sha256(image).hexdigest()[:16] if isinstance(image, bytes) else os.path.normpath(image)


def _checked_id(image: Path | bytes, identities: dict[str, str]) -> str:
    """The hash of a photo's pixels; identities: of those that were decoded already. Raises RowError."""
    spelled = _spelled_id(image)
    if spelled not in identities:
        try:
            identities[spelled] = pixels_id(read_photo(image))
        except InputError as error:
            raise RowError(f": {str(error)[:1].lower()}{str(error)[1:]}") from error
    return identities[spelled]


def pairs_hash(pairs: Sequence[Pair]) -> str:
    """SHA-256 of photos, their names, texts, objects and order: equal for one set in two folders. Raises InputError."""
    hashes: dict[str, str] = {}
    for pair in pairs:
        if pair.photo not in hashes:
            hashes[pair.photo] = pair.content_hash()
    rows = [[p.photo, hashes[p.photo], p.question, p.chosen, p.rejected, p.objects] for p in pairs]
    return content_hash(json.dumps(rows).encode())


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

    held_out: share of the photos, at least one if not 0. Where all pairs show one photo, it is a share of the texts
    (`one_photo_notice`): what learns from texts alone can still be told from what it has learned by heart.
    """
    texts = one_photo_notice(pairs) != ""
    unit_of = _text_unit if texts else _photo_unit
    names: dict[str, str] = {}
    for pair in pairs:  # shuffled by name, as the runs of earlier versions did: a run's split must not change
        unit, name = unit_of(pair)
        names[unit] = min(name, names.get(unit, name))
    units = sorted(names, key=lambda unit: (names[unit], unit))
    Random(f"split/{seed}").shuffle(units)
    count = max(1, round(held_out * len(units))) if held_out > 0 else 0
    if count >= len(units):
        subject = f"one photo with {len(units)} texts" if texts else f"{len(units)} photos"
        raise InputError(
            f"The pairs show {subject}; at least {count + 1} are needed to hold {count} out "
            "(a held-out share of 0 learns from all)."
        )
    held_out_units = set(units[:count])
    sides: tuple[list[int], list[int]] = ([], [])
    for row, pair in enumerate(pairs):
        sides[unit_of(pair)[0] in held_out_units].append(row)
    return sides


def one_photo_notice(pairs: Sequence[Pair]) -> str:
    """What a person must know about pairs with several texts that all show one photo; "" for others."""
    if len({pair.photo for pair in pairs}) != 1 or len({_text_unit(pair) for pair in pairs}) < 2:
        return ""
    return (
        f"All {len(pairs)} pairs show one and the same photo, so no photo can be held out: other texts about it are. "
        "Held-out numbers say nothing about other photos; if the photos should differ, look at their files."
    )


def _photo_unit(pair: Pair) -> tuple[str, str]:
    return pair.photo, pair.name or pair.photo


def _text_unit(pair: Pair) -> tuple[str, str]:
    return (content_hash(json.dumps([pair.question, pair.chosen, pair.rejected]).encode()),) * 2


def jpeg(image, quality: int = 85) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
