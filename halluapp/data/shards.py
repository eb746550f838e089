"""Reads photos with their records: a folder or tar shards of KEY.jpg + KEY.json (the layout of webdataset)."""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from halluapp.data.photos import SUFFIXES, printable
from halluapp.errors import InputError

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
# A cut or damaged archive ends in any of these, by its kind of compression.
ARCHIVE_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)
ZIP = b"PK\x03\x04"
BLOCK = 512  # bytes of a tar's header; two empty ones end it
LAYOUT = "photos (.jpg, .png, .webp, .heic, ..) with a KEY.json beside each"


@dataclass(frozen=True)
class Sample:
    """One photo: its key, encoded bytes (of any format that `read_photo` takes) and record (captions, entities,
    detections, objects, boxes, qa). source: the archive or folder that it comes from."""

    key: str
    jpeg: bytes
    record: Any
    source: str = ""


@dataclass(frozen=True)
class LeftOut:
    """What is not read: the key of a photo or record, or the name of an archive, and why."""

    key: str
    reason: str


def read(source: str | Path, pattern: str = "*", left_out: list[LeftOut] | None = None) -> Iterator[Sample]:
    """Yields the samples under `source` in a stable order; records are what their JSON says, not checked.

    source: an archive (.tar, .tar.gz, ..), or a folder of archives (whose names match `pattern`) and of loose photos
    with records. left_out: gets every photo without a record, every record without a photo, and what is there twice.
    Hidden files, as macOS writes them beside others, are no data. Raises InputError when nothing can be read there.
    """
    source = Path(source)
    left_out = [] if left_out is None else left_out
    if source.is_file():
        yield from _read_archive(source, left_out)
        return
    if not source.is_dir():
        raise InputError(f"No data at {source}: give a folder or a .tar of {LAYOUT}.")
    files = sorted(path for path in source.iterdir() if path.is_file() and not _is_hidden(path.name))
    archives = [path for path in files if path.name.lower().endswith(ARCHIVES) and path.match(pattern + ".*")]
    records = [path for path in files if path.suffix.lower() == ".json"]
    if not archives and not records:
        raise InputError(f"{source} holds neither tar shards ({pattern}.tar) nor {LAYOUT}{_elsewhere(source)}.")
    for archive in archives:
        yield from _read_archive(archive, left_out)
    if pattern == "*" or not archives:
        yield from _read_loose(source, files, left_out)


def _read_loose(folder: Path, files: list[Path], left_out: list[LeftOut]) -> Iterator[Sample]:
    groups: dict[str, dict[str, list[Path]]] = {}
    others: dict[str, str] = {}
    for path in files:
        kind = _kind(path.name)
        if not kind:
            others[path.stem] = path.name
        else:
            groups.setdefault(path.stem, {"photo": [], "json": []})[kind].append(path)
    for key, group in sorted(groups.items()):
        photos, records = group["photo"], group["json"]
        if len(photos) != 1 or len(records) != 1:
            names = " and ".join(path.name for path in photos + records)
            reason = _missing(bool(photos), bool(records), others.get(key)) or f"{names} are of one name"
            left_out.append(LeftOut(key, reason))
            continue
        try:
            content = photos[0].read_bytes()
            record = _parse(records[0].read_bytes(), records[0].name)
        except OSError as error:
            raise InputError(f"{key} in {folder} cannot be read ({error.strerror or 'unknown reason'}).") from error
        yield Sample(key, content, record, folder.name)


def _read_archive(path: Path, left_out: list[LeftOut]) -> Iterator[Sample]:
    halves: dict[str, dict[str, bytes]] = {}
    complete: set[str] = set()
    others: dict[str, str] = {}
    for name, content in _members(path, left_out, others):
        key, kind = str(PurePosixPath(name).with_suffix("")), str(_kind(name))
        if key in complete or kind in halves.get(key, ()):
            left_out.append(LeftOut(key, f"is twice in {path.name}; the first one counts"))
            continue
        parts = halves.setdefault(key, {})
        parts[kind] = content
        if len(parts) == 2:
            del halves[key]
            complete.add(key)
            record = _parse(parts["json"], f"{printable(key)}.json in {path.name}")
            yield Sample(key, parts["photo"], record, path.name)
    left_out += [
        LeftOut(key, _missing("photo" in parts, "json" in parts, others.get(key))) for key, parts in halves.items()
    ]


def _members(path: Path, left_out: list[LeftOut], others: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of every photo and record of an archive, also of one that is a link to another (tar writes equal
    files so). others: gets key -> name of further files. Raises InputError for a damaged archive, at whatever place."""
    try:
        with path.open("rb") as file:
            if file.read(4) == ZIP:
                raise InputError(f"{path.name} is a zip file; unpack it and name the folder, or make a tar file of it.")
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isdir() or _is_hidden(member.name):
                    continue
                content = _content(tar, member) if _kind(member.name) else None
                if content is None:
                    others[str(PurePosixPath(member.name).with_suffix(""))] = PurePosixPath(member.name).name
                else:
                    yield member.name, content
            _check_end(tar, path, left_out)
    except ARCHIVE_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path.name} is not a readable tar file, or was cut short ({reason}).") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    """A member's bytes; None for a device, and for a link out of the archive."""
    try:
        content = tar.extractfile(member)
    except KeyError:  # tarfile's word for a link to what is not in the archive
        return None
    return content.read() if content else None


def _check_end(tar: tarfile.TarFile, path: Path, left_out: list[LeftOut]) -> None:
    """tarfile takes damage between two files for the end, and archives that were joined for one. Raises TarError.

    Compressed archives are read to their last byte: their check sum stands there.
    """
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    end_mark = tar.fileobj.read(BLOCK)
    if end_mark.strip(b"\0") or 0 < len(end_mark) < BLOCK:
        raise tarfile.ReadError("damaged between two files")
    if not end_mark:
        left_out.append(LeftOut(path.name, "has no end mark: files may be missing at its end"))
    blocks = iter(lambda: tar.fileobj.read(1 << 20), b"")
    if sum(bool(block.strip(b"\0")) for block in blocks):
        left_out.append(LeftOut(path.name, "goes on behind its end mark; unpack archives that were joined"))


def _kind(name: str) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    return "json" if suffix == ".json" else "photo" if suffix in SUFFIXES else None


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") and part.strip(".") for part in parts)


def _elsewhere(folder: Path) -> str:
    """The end of a sentence: which folder inside has what this one lacks."""
    inside = (path for path in sorted(folder.iterdir()) if path.is_dir() and not _is_hidden(path.name))
    name = next((path.name for path in inside if any(_kind(file.name) for file in path.iterdir())), "")
    return f"; its folder {printable(name)} has some, so name that one" if name else ""


def _missing(has_photo: bool, has_record: bool, other: str | None = None) -> str:
    """What one half lacks, "" if both are there. other: a further file of the same name."""
    if has_photo and has_record:
        return ""
    if has_photo:
        return "the photo has no record (KEY.json)"
    return f"the record has no photo ({', '.join(SUFFIXES)})" + (f"; {printable(other)} is none" if other else "")


def _parse(content: bytes, name: str) -> Any:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return json.loads(content.decode(encoding))
    except UnicodeError as error:
        raise InputError(f"{name} is not text in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON ({error}).") from error
