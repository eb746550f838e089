"""Trunk features of the training photos, computed once and kept in memory-mapped files.

A photo is stored in several *views*: whole, and crops (mirrored or not) with jittered aspect ratio and colour. The
trunk is frozen, so training never runs it again.
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
from halluapp.data.files import write_text
from halluapp.data.shards import Sample
from halluapp.efficientnet import COARSE_CHANNELS, FINE_CHANNELS, Trunk
from halluapp.grounding.detectors.pocket import PIXELS, to_pixels
from halluapp.recipes.views import View, view_of

GRID = PIXELS // 32
# (flip, least share of each side that a crop keeps); None: the whole photo, squashed to the square.
VIEWS: tuple[View | None, ...] = (None, (True, 0.85), (False, 0.7))


def open_files(folder: Path) -> tuple[list[dict], list[np.ndarray]]:
    """(Keys and records, the mapped arrays coarse, fine and crops) of a folder of features."""
    rows = [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    return rows, [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("coarse", "fine", "crops")]


@dataclass
class FeatureStore:
    """Features and records of `n` photos in `v` views.

    coarse [n, v, 352, 8, 8] and fine [n, v, 120, 16, 16] float16; crops [n, v, 5]: x0, y0, x1, y1 in 0..1 and flip.
    """

    coarse: np.ndarray
    fine: np.ndarray
    crops: np.ndarray
    keys: list[str]
    records: list[dict]

    @classmethod
    def open(cls, folder: Path) -> FeatureStore:
        rows, arrays = open_files(folder)
        progress = folder / "progress.json"
        if progress.exists():  # a training may begin while the last features are being computed
            ready = json.loads(progress.read_text(encoding="utf-8"))
            arrays, rows = [array[:ready] for array in arrays], rows[:ready]
        return cls(*arrays, [row["key"] for row in rows], [row["record"] for row in rows])


def build(
    data: Path, pattern: str, folder: Path, views=VIEWS, seed: int = 0, batch: int = 32, log=print
) -> FeatureStore:
    """The features of all shards that match `pattern`, as `compute`."""
    if (folder / "done.json").exists():
        return FeatureStore.open(folder)
    return compute(list(shards.read(data, pattern)), folder, views, seed, batch, log)


def compute(samples: list[Sample], folder: Path, views=VIEWS, seed: int = 0, batch: int = 32, log=print):
    """Computes (once; resumable batch by batch) the features of pictures -> FeatureStore."""
    done = folder / "done.json"
    if done.exists():
        return FeatureStore.open(folder)
    folder.mkdir(parents=True, exist_ok=True)
    n, v = len(samples), len(views)
    with open(folder / "records.jsonl", "w", encoding="utf-8") as out:
        out.writelines(json.dumps({"key": s.key, "record": s.record}) + "\n" for s in samples)
    shapes = {
        "coarse": ((n, v, COARSE_CHANNELS, GRID, GRID), np.float16),
        "fine": ((n, v, FINE_CHANNELS, 2 * GRID, 2 * GRID), np.float16),
        "crops": ((n, v, 5), np.float32),
    }
    progress = folder / "progress.json"
    start = json.loads(progress.read_text(encoding="utf-8")) if progress.exists() else 0
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "r+" if start else "w+", dtype, shape)
        for name, (shape, dtype) in shapes.items()
    }
    trunk = Trunk().eval()
    trunk.load_package()
    trunk.to(memory_format=torch.channels_last)
    for first in range(start, n, batch):
        chunk = samples[first : first + batch]
        for index, view in enumerate(views):
            views_of_chunk = [
                view_of(Image.open(io.BytesIO(s.jpeg)), view, random.Random(f"{seed}/{s.key}/{index}"), PIXELS)
                for s in chunk
            ]
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                fine, coarse = trunk(to_pixels([photo for photo, _ in views_of_chunk]))
            rows = slice(first, first + len(chunk))
            arrays["fine"][rows, index] = fine.to(torch.float16).numpy()
            arrays["coarse"][rows, index] = coarse.to(torch.float16).numpy()
            arrays["crops"][rows, index] = [crop for _, crop in views_of_chunk]
        write_text(progress, str(first + len(chunk)))
        if first // batch % 20 == 0:
            log(f"features {folder.name}: {first + len(chunk)} of {n}", flush=True)
    for array in arrays.values():
        array.flush()
    write_text(done, "true")
    return FeatureStore.open(folder)
