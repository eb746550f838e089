"""Drawn scenes among the training photos: the app's own examples are drawings, and photos alone teach nothing of them.

What a drawing shows is known exactly, so its labels are complete.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from halluapp.data import scenes
from halluapp.grounding.detectors.trunk import OwnTrunk, to_pixels
from halluapp.grounding.words import vocabulary
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.labels import LABELS

COUNT, FRESH, SEED = (
    360,
    60,
    5000,
)  # the shipped examples have seed 0, the shipped pairs and fresh scenes lie below SEED
NAME = "drawings"


def draw(number: int) -> tuple[Image.Image, dict]:
    """The number-th training scene, some of its things left out -> (picture, its record)."""
    rng = random.Random(f"presence/{SEED}/{number}")
    scene = list(scenes.SCENES)[number % len(scenes.SCENES)]
    things = sorted({item["label"] for item in scenes.render(scene, (64, 48), SEED + number)[1]})
    without = tuple(rng.sample(things, rng.randint(0, len(things) // 2)))
    picture, objects = scenes.render(scene, (448, 336), SEED + number, without)
    return picture.convert("RGB"), record(objects)


def record(objects: list[dict]) -> dict:
    """What a scene shows, in the form of a completely labelled photo; people are persons."""
    boxes = [[_label(item["label"]), *item["box"]] for item in objects]
    boxes = [box for box in boxes if box[0] in LABELS]
    return {"objects": sorted({box[0] for box in boxes}), "boxes": boxes, "complete_labels": list(LABELS)}


def _label(name: str) -> str:
    return name if name in LABELS else vocabulary.parent(name) or name


def store(folder: Path, count: int = COUNT, log=print) -> Store:
    """The maps of the drawn scenes, computed once and kept in `folder`."""
    file = folder / f"{NAME}-{count}.npz"
    drawn = [draw(number) for number in range(count)]
    if not file.exists():
        trunk = OwnTrunk().eval()
        trunk.load_package()
        trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fine, coarse = [], []
        for number, (picture, _) in enumerate(drawn):
            with torch.inference_mode():
                maps = trunk(to_pixels([picture]))
            fine.append(maps[0][0].half().numpy())
            coarse.append(maps[1][0].half().numpy())
            if number % 100 == 99:
                log(f"drawings: {number + 1} of {count}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, fine=np.stack(fine), coarse=np.stack(coarse))
    arrays = np.load(file)
    whole = np.tile(np.array([0, 0, 1, 1, 0], np.float32), (count, 1))
    keys = [f"{NAME}-{number}" for number in range(count)]
    return Store(arrays["coarse"], arrays["fine"], whole, keys, [about for _, about in drawn])


def figures(folder: Path, count: int = FRESH) -> dict[str, int]:
    """Verdicts on scenes that trained nothing: how many labels are grounded and how many of these are drawn, how many
    are drawn and how many of these are contradicted."""
    from halluapp.grounding.detectors.own import PresenceDetector

    detector, totals = PresenceDetector(folder), dict.fromkeys(("grounded", "right", "drawn", "contradicted"), 0)
    for number in range(count):
        picture, objects = scenes.render(number, (448, 336), 2 * SEED)
        proven = set(record(objects)["objects"])
        look = detector.look(picture.convert("RGB"))
        p, cuts, support = look["presence"], look["cuts"], look["support"]
        grounded = {label for label in p if p[label] >= cuts["grounded"] and support[label]["grounded"]}
        absent = {label for label in p if p[label] <= cuts["contradicted"] and support[label]["contradicted"]}
        totals["grounded"] += len(grounded)
        totals["right"] += len(grounded & proven)
        totals["drawn"] += len(proven)
        totals["contradicted"] += len(absent & proven)
    return {"count": count, **totals}
