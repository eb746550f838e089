"""Maps of the frozen trunk for every photo and view, computed once, in memory-mapped float16 files.

A photo is stored whole and, for training, as mirrored or cropped views. Work stops and goes on at any photo.
"""

from __future__ import annotations

import io
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from halluapp.data import shards
from halluapp.grounding.detectors.trunk import COARSE_CHANNELS, FINE_CHANNELS, GRID, OwnTrunk, to_pixels
from halluapp.recipes.pocket.features import open_files
from halluapp.recipes.views import View, view_of

# (flip, least share of each side that a crop keeps) of a view's name; None: the whole photo.
VIEWS: dict[str, View | None] = {"whole": None, "mirrored": (True, 0.7)}
# Whole photos by which curves and cuts are chosen are computed as the detector does it, in float32; the others in
# bfloat16, which is 2.7 times as fast and differs by less than a crop does.
EXACT = ("coco-dev", "flickr8k-dev", "coco-val2017")
LOG_EACH = 200


@dataclass
class Store:
    """One shard's photos in one view. coarse [n, 320, 14, 14], fine [n, 112, 28, 28], crops [n, 5]: box and flip."""

    coarse: np.ndarray
    fine: np.ndarray
    crops: np.ndarray
    keys: list[str]
    records: list[dict]

    @classmethod
    def open(cls, folder: Path) -> Store:
        rows, arrays = open_files(folder)
        return cls(*arrays, [row["key"] for row in rows], [row["record"] for row in rows])

    def take(self, rows: list[int]) -> Store:
        """Some of the photos, their maps in memory."""
        arrays = [np.asarray(array[rows]) for array in (self.coarse, self.fine, self.crops)]
        return Store(*arrays, [self.keys[row] for row in rows], [self.records[row] for row in rows])


def build(data: Path, pattern: str, view: str, folder: Path, limit: int = 0, log=print) -> Store:
    """Computes the maps of all shards that match `pattern`, or goes on where an earlier run stopped."""
    if (folder / "done").exists():
        return Store.open(folder)
    folder.mkdir(parents=True, exist_ok=True)
    samples = [s for _, s in zip(range(limit or 10**9), shards.read(data, pattern), strict=False)]
    with open(folder / "records.jsonl", "w", encoding="utf-8") as out:
        out.writelines(json.dumps({"key": s.key, "record": s.record}) + "\n" for s in samples)
    progress = folder / "progress.json"
    start = json.loads(progress.read_text(encoding="utf-8")) if progress.exists() else 0
    shapes = {
        "coarse": ((len(samples), COARSE_CHANNELS, GRID, GRID), np.float16),
        "fine": ((len(samples), FINE_CHANNELS, 2 * GRID, 2 * GRID), np.float16),
        "crops": ((len(samples), 5), np.float32),
    }
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "r+" if start else "w+", dtype, shape)
        for name, (shape, dtype) in shapes.items()
    }
    rough = view != "whole" or not pattern.startswith(EXACT)
    trunk = OwnTrunk().eval()
    trunk.load_package()
    trunk.to(memory_format=torch.channels_last)
    for row in range(start, len(samples)):
        photo = Image.open(io.BytesIO(samples[row].jpeg))
        calibrated, arrays["crops"][row] = view_of(photo, VIEWS[view], random.Random(f"{view}/{samples[row].key}"))
        # One photo at a time is the fastest on a core.
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=rough):
            fine, coarse = trunk(to_pixels([calibrated]))
        arrays["fine"][row] = fine[0].to(torch.float16).numpy()
        arrays["coarse"][row] = coarse[0].to(torch.float16).numpy()
        if row % LOG_EACH == LOG_EACH - 1:
            progress.write_text(str(row + 1), encoding="utf-8")
            log(f"features {pattern} {view}: {row + 1} of {len(samples)}", flush=True)
    for array in arrays.values():
        array.flush()
    (folder / "done").touch()
    return Store.open(folder)
