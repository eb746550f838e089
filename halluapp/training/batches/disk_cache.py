"""What runs compute once (tower outputs, reference log-probs), on disk beside them; the oldest give way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from torch import Tensor

from halluapp.data.files import atomic_write

MAX_BYTES = (
    16 * 2**30
)  # bytes: LLaVA-1.5's tower says 1.2 MB about a photo, so this is 6,000 photos, clean and corrupted


def key(*parts) -> str:
    """A short name for what the parts say: the file name of something that is computed once."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read(path: Path | None, count: int) -> dict[str, list[Tensor]] | None:
    """What `write` wrote, `count` tensors a list; None where there is no such file or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path is None or not path.exists():
        return None
    try:
        tensors = load_file(path)
        os.utime(path)  # now it is the one used last
    except (OSError, SafetensorError):  # half written by a killed run of an older version, or damaged: compute anew
        return None
    lists = {
        part: [tensors[f"{part}.{row}"] for row in range(count) if f"{part}.{row}" in tensors]
        for part in ("clean", "corrupted")
    }
    return lists if len(lists["clean"]) == count and len(lists["corrupted"]) in (0, count) else None


def write(path: Path | None, lists: dict[str, list[Tensor]]) -> None:
    """Writes lists of tensors ("clean", "corrupted"), whole or not at all; does nothing without a path."""
    from safetensors.torch import save_file

    if path is None:
        return
    with atomic_write(path) as partial:
        save_file({f"{part}.{i}": t.contiguous() for part, rows in lists.items() for i, t in enumerate(rows)}, partial)
    evict_oldest(path)


def evict_oldest(latest: Path, room: int = MAX_BYTES) -> None:
    """Deletes files of the folder that were not used for longest, until all fit into `room` bytes; never `latest`."""
    files = sorted(latest.parent.glob("*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    taken = latest.stat().st_size
    for path in files:
        if path == latest:
            continue
        taken += path.stat().st_size
        if taken > room:
            with contextlib.suppress(OSError):  # another process was first, or has it open: the next run tries again
                path.unlink()
