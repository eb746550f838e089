"""Drawn scenes with exact truth: examples that can be shipped freely, and tests that know what is in the picture."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from halluapp.data.scenes.pen import SUPER, Pen
from halluapp.data.scenes.places import SCENES
from halluapp.errors import InputError, quotation

__all__ = ["SCENES", "render", "write"]
LEAST_VISIBLE = 0.0004  # of the picture; less than that of a thing cannot be seen


def render(
    scene: str | int, size: tuple[int, int] = (640, 480), seed: int = 0, without: tuple[str, ...] = ()
) -> tuple[Image.Image, list[dict[str, Any]]]:
    """Draws a scene -> (RGB picture, objects: [{"label", "box": [x0, y0, x1, y1 in 0..1]}], back to front).

    scene: a name of SCENES, or a number that picks a place and varies it (then `seed` is added to it). Boxes enclose
    the visible part. without: labels of things that are not drawn, all else unchanged. Backgrounds (sky, road, grass,
    rugs and towels) and parts of a thing are not listed. Raises InputError.
    """
    if isinstance(scene, int):
        names = list(SCENES)
        scene, seed = names[scene % len(names)], scene // len(names) + seed
    if scene not in SCENES:
        raise InputError(f"There is no scene {quotation(scene)}; choose one of {', '.join(SCENES)}.")
    if min(size) < 16 or max(size) > 2048:
        raise InputError(f"A scene is drawn at 16 to 2048 pixels a side, not {size[0]} x {size[1]}.")
    pen = Pen(size, Random(f"{scene} {seed}"), without)  # a string seed is hashed the same way in every process
    SCENES[scene](pen)
    objects = []
    for label, mask in pen.things:
        box, histogram = mask.getbbox(), mask.histogram()
        if box and histogram[255] >= LEAST_VISIBLE * mask.width * mask.height:
            sides = (box[0] / mask.width, box[1] / mask.height, box[2] / mask.width, box[3] / mask.height)
            objects.append({"label": label, "box": [round(side, 4) for side in sides]})
    return pen.image.reduce(SUPER), objects


def write(folder: Path) -> list[Path]:
    """Writes NAME.png for every place and scenes.json with the truth -> paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, truth = [], {}
    for name in SCENES:
        image, objects = render(name)
        paths.append(folder / f"{name}.png")
        image.save(paths[-1], optimize=True)
        truth[name] = {"file": f"{name}.png", "width": image.width, "height": image.height, "objects": objects}
    paths.append(folder / "scenes.json")
    paths[-1].write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return paths
