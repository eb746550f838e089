"""Boxes in a view (a crop, perhaps mirrored) of a photo, and where they lie in words."""

from __future__ import annotations

ACROSS = "across the picture"


def crop_box(box: list[float], crop: list[float]) -> list[float] | None:
    """A box of the whole photo in the coordinates of a view; None where less than 40 % of it is left."""
    x0, y0, x1, y1, flip = crop
    sides = [(box[0] - x0) / (x1 - x0), (box[1] - y0) / (y1 - y0), (box[2] - x0) / (x1 - x0), (box[3] - y0) / (y1 - y0)]
    clipped = [min(max(side, 0.0), 1.0) for side in sides]
    area = (sides[2] - sides[0]) * (sides[3] - sides[1])
    if area <= 0 or (clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) < 0.4 * area:
        return None
    return [1 - clipped[2], clipped[1], 1 - clipped[0], clipped[3]] if flip else clipped


def position_words(box: list[float]) -> str:
    """Where a box lies, in words."""
    x, width = (box[0] + box[2]) / 2, box[2] - box[0]
    if width > 0.75:
        return ACROSS
    return "on the left" if x < 0.36 else "on the right" if x > 0.64 else "in the middle"


def area(box: list[float]) -> float:
    """Share of the photo that a box covers."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
