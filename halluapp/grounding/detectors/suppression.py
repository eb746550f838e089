"""Non-maximum suppression, label by label, with no limit on how many boxes a photo or a label may have."""

from __future__ import annotations

from torch import Tensor


def overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of every pair of boxes [N, 4] (x0, y0, x1, y1) -> [N, N]; 0 for boxes without area."""
    import torch

    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)
    return shared / (area[:, None] + area[None] - shared).clamp(min=1e-6)


def keep(scores: Tensor, overlap: Tensor, least: float, most: float = 0.5) -> list[int]:
    """Which boxes of one label stay, best first.

    scores [N] of the label, overlap [N, N] of the boxes (`overlaps`). A box stays when its score is above `least` and
    it overlaps no better one of the label by more than `most`.
    """
    left = scores > least
    survivors = []
    for index in scores.argsort(descending=True, stable=True)[: int(left.sum())].tolist():
        if left[index]:
            survivors.append(index)
            left &= overlap[index] <= most
    return survivors
