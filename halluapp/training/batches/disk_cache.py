"""Tensors that runs compute once and share on disk: outputs of the vision tower, and the reference's hidden states.

A file is named by the hash of everything it depends on. The files that were not used for longest are deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from halluapp.data.files import atomic_write

LOCK = ".lock"  # in the folder of the files: one process at a time deletes
FORMAT = 2  # counted up where the same pairs, photos and settings give other tensors than in earlier versions
MAX_BYTES = 16 * 2**30  # the output of LLaVA-1.5's tower has 1.2 MB: 6,000 images, clean and corrupted


def key(*parts) -> str:
    """A short name for what the parts hold: the file name of something that is computed once.

    parts: JSON values with everything that the result depends on, contents as hashes, never a mere name of them.
    """
    return hashlib.sha256(json.dumps((FORMAT, *parts), sort_keys=True).encode()).hexdigest()[:16]


def read(path: Path | None, count: int) -> dict[str, list[Tensor]] | None:
    """What `write` wrote, `count` tensors a list; None where there is no such file or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path is None or not path.exists():
        return None
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError):  # deleted by another process just now, or damaged: compute anew
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # now it is the one used last
    names = {"clean", "corrupted", *(name.rpartition(".")[0] for name in tensors)}
    lists = {
        part: [tensors[f"{part}.{row}"] for row in range(count) if f"{part}.{row}" in tensors] for part in sorted(names)
    }
    whole = len(lists["clean"]) == count and all(len(rows) in (0, count) for rows in lists.values())
    return lists if whole else None


def write(path: Path | None, lists: dict[str, list[Tensor]]) -> None:
    """Writes lists of tensors ("clean", "corrupted", others), whole or not at all; does nothing without a path."""
    from safetensors.torch import save_file

    if path is None:
        return
    with atomic_write(path) as partial:
        save_file({f"{part}.{i}": t.contiguous() for part, rows in lists.items() for i, t in enumerate(rows)}, partial)
    evict_oldest(path)


def evict_oldest(latest: Path, room: int = MAX_BYTES) -> None:
    """Deletes files of the folder that were not used for longest, until all fit into `room` bytes; never `latest`."""
    with FileLock(latest.parent / LOCK):  # processes of `accelerate launch`, and runs of other folders, meet here
        used = 0
        for path in sorted(latest.parent.glob("*.safetensors"), key=lambda path: (path == latest, _last_use(path)))[
            ::-1
        ]:
            with contextlib.suppress(OSError):  # gone already, or open in another process (Windows): the next run tries
                used += path.stat().st_size
                if used > room and path != latest:
                    path.unlink()


def _last_use(path: Path) -> float:
    """Modification time, which `read` sets; seconds since 1970, 0 for a file that is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
