"""Where the patches of a vision tower lie in the photo, as boxes [x0, y0, x1, y1] in 0..1 of its width and height."""

from __future__ import annotations

import math
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


def square(count: int, region: Box = WHOLE) -> list[Box]:
    """As many cells as a square has whose side fits into `count`."""
    side = math.isqrt(count)
    return grid_boxes(side, side, region)


def tiles_and_whole(count: int, tiles: int, size: tuple[int, int]) -> list[Box]:
    """`count` tokens of a photo cut into `tiles` - 1 square tiles, which stand before the photo as a whole.

    Of the grids with so many tiles it is the one nearest to the shape of the photo, (width, height).
    """
    cut, each = tiles - 1, count // tiles
    if cut < 1:
        return square(count)
    pairs = [(rows, cut // rows) for rows in range(1, cut + 1) if cut % rows == 0]
    rows, columns = min(pairs, key=lambda pair: abs(pair[1] / pair[0] - size[0] / size[1]))
    return [box for tile in (*grid_boxes(rows, columns), WHOLE) for box in square(each, tile)]


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
