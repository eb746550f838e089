"""An image as a row of a table holds it: a path, bytes, base64, a data: URL, {"bytes", "path"} -> a file or bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from halluapp.data.photos import printable
from halluapp.data.tables import RowError

LEAST_BASE64 = 40  # characters: no photo is smaller, and no path is taken for one
PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
URL_SAFE = str.maketrans("-_", "+/")


def parse_image(value: Any, folder: Path) -> tuple[Path | bytes | None, str]:
    """The image of a row, and how the row spells it ("" for bytes); (None, "") where there is none.

    folder: what relative paths begin at. Raises RowError.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        return _parse_mapping(value, folder)
    if isinstance(value, bytes | bytearray) and value:
        return bytes(value), ""
    if not isinstance(value, str) or not value.strip():
        return None, ""
    if value[:5].lower() == "data:":
        return _data_url(value), ""
    if value[:5].lower() == "file:":
        value = unquote(urlsplit(value).path)
    if _scheme(value) in ("http", "https", "s3", "gs", "hf"):
        raise RowError(f": its image is an address ({printable(value)}); download it and name the file.")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RowError(f": no file has the name {printable(value)} of its image.")
    path = _file(value, folder)
    content = _base64(value) if len(value) >= LEAST_BASE64 and not _exists(path) else None
    if content and (content.startswith(PHOTO_STARTS) or content[4:8] == b"ftyp"):
        return content, ""
    return path, value


def _scheme(text: str) -> str:
    """The scheme of an address in small letters, "" for a path."""
    scheme, separator, _ = text.partition("://")
    return scheme.strip().lower() if separator else ""


def _parse_mapping(value: Mapping, folder: Path) -> tuple[Path | bytes | None, str]:
    inner = value.get("bytes")
    if isinstance(inner, str) and inner.strip():  # bytes in JSON
        content = _data_url(inner) if inner[:5].lower() == "data:" else _base64(inner)
        if content is None:
            raise RowError(": the bytes of its image are not base64.")
        return content, ""
    if isinstance(inner, list) and inner:  # bytes as a list of numbers
        try:
            return bytes(inner), ""
        except (TypeError, ValueError) as error:
            raise RowError(": the bytes of its image are not numbers from 0 to 255.") from error
    return parse_image(inner or value.get("path") or value.get("url"), folder)


def _data_url(text: str) -> bytes:
    """data:image/png;base64,.. -> bytes. Raises RowError."""
    head, comma, content = text.partition(",")
    data = _base64(content) if head.lower().rstrip().endswith(";base64") else unquote_to_bytes(content)
    if not comma or not data:
        raise RowError(": the data: URL of its image holds no image.")
    return data


def _base64(text: str) -> bytes | None:
    """Base64 of either alphabet, with line breaks and without padding, as tools write it; None for what is none."""
    joined = "".join(text.split()).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


def _file(value: str, folder: Path) -> Path:
    """A path beside the table, also one that Windows wrote."""
    path = folder / value
    if "\\" in value and not _exists(path):
        return folder / PureWindowsPath(value).as_posix()
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or a character that no name has
        return False
