"""Where the patches of a vision tower lie in the photo, as boxes [x0, y0, x1, y1] in 0..1 of its width and height."""

from __future__ import annotations

from typing import Any

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def grid_boxes(rows: int, columns: int, region: Box = WHOLE) -> list[Box]:
    """The cells of a grid over a region, row by row."""
    x0, y0, width, height = region[0], region[1], region[2] - region[0], region[3] - region[1]
    return [
        (
            x0 + width * column / columns,
            y0 + height * row / rows,
            x0 + width * (column + 1) / columns,
            y0 + height * (row + 1) / rows,
        )
        for row in range(rows)
        for column in range(columns)
    ]


def seen_region(image_processor: Any, size: tuple[int, int]) -> Box:
    """The part of a photo of `size` (width, height) that an image processor keeps: all of it, or a crop of its middle.

    A processor that scales both sides to fixed numbers keeps the whole photo, squeezed; one that scales the shorter
    side and crops the middle keeps a square.
    """
    settings = getattr(image_processor, "size", None) or {}
    edge = settings.get("shortest_edge")
    if not getattr(image_processor, "do_center_crop", False) or not edge:
        return WHOLE
    crop, (width, height) = image_processor.crop_size, size
    scale = edge / min(width, height)
    x, y = min(1.0, crop["width"] / (width * scale)), min(1.0, crop["height"] / (height * scale))
    return ((1 - x) / 2, (1 - y) / 2, (1 + x) / 2, (1 + y) / 2)
