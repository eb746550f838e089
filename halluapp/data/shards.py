"""Reads photos with their records: a folder or tar shards of KEY.jpg + KEY.json (the layout of webdataset)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One photo: its key, encoded bytes and record (captions, entities, detections, objects, boxes, qa)."""

    key: str
    jpeg: bytes
    record: dict


def read(source: str | Path, pattern: str = "*") -> Iterator[Sample]:
    """Yields the samples under `source` in a stable order.

    source: a .tar file, or a folder that holds tar shards (whose names match `pattern`) or loose KEY.jpg + KEY.json.
    Raises ValueError when nothing can be read there, naming the layouts that it reads.
    """
    source = Path(source)
    if source.is_file():
        yield from _read_tar(source)
        return
    if not source.is_dir():
        raise ValueError(f"No data at {source}: give a folder or a .tar of KEY.jpg + KEY.json files.")
    tars = sorted(source.glob(pattern + ".tar"))
    if tars:
        for tar in tars:
            yield from _read_tar(tar)
        return
    records = sorted(path for path in source.glob("*.json") if path.with_suffix(".jpg").exists())
    if not records:
        raise ValueError(f"{source} holds neither tar shards ({pattern}.tar) nor KEY.jpg + KEY.json pairs.")
    for path in records:
        yield Sample(path.stem, path.with_suffix(".jpg").read_bytes(), _parse(path.read_bytes(), path))


def _read_tar(path: Path) -> Iterator[Sample]:
    try:
        with tarfile.open(path) as tar:
            half: dict[str, dict[str, bytes]] = {}
            for member in tar:
                stem, _, suffix = member.name.rpartition(".")
                if not member.isfile() or suffix not in ("jpg", "json"):
                    continue
                content = tar.extractfile(member)
                parts = half.setdefault(stem, {})
                parts[suffix] = content.read() if content else b""
                if len(parts) == 2:
                    parts = half.pop(stem)
                    yield Sample(stem, parts["jpg"], _parse(parts["json"], path))
    except tarfile.TarError as error:
        raise ValueError(f"{path.name} is not a readable tar file ({error}).") from error


def _parse(content: bytes, path: Path) -> dict:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"A record in {path.name} is not JSON ({error}).") from error
