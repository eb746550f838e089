"""Annotated photos for the evaluation tests."""

from __future__ import annotations

import io
import json

from PIL import Image

DOG = {"objects": ["dog", "person"], "captions": ["A man with a dog"], "boxes": []}

CAR = {"objects": ["car"], "captions": ["A red car"], "boxes": []}


def write(folder, records: dict[str, dict], size: int = 16):
    for number, (key, record) in enumerate(records.items()):
        encoded = io.BytesIO()
        Image.new("RGB", (size, size), (40 * number, 90, 20)).save(encoded, "JPEG")
        (folder / f"{key}.jpg").write_bytes(encoded.getvalue())
        (folder / f"{key}.json").write_text(json.dumps(record))
    return folder
