"""Targets and loss of the pocket detector's head."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from halluapp.grounding.detectors.pocket_head import cell_centres, iou


def assign(boxes: list[tuple[int, list[float]]], labels: int, grid: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Ground truth of one photo -> (cell labels [G*G, K], cell boxes [G*G, 4], cell has a box [G*G]).

    boxes: (label index, box). A cell belongs to the boxes whose middle (the central 60 %, at least 1.2 cells) covers
    its centre; its box target is the smallest of them.
    """
    centres = cell_centres(grid)
    target, box_target = torch.zeros(len(centres), labels), torch.zeros(len(centres), 4)
    smallest = torch.full((len(centres),), 2.0)
    for label, box in boxes:
        x0, y0, x1, y1 = box
        half_x, half_y = max(0.3 * (x1 - x0), 0.6 / grid), max(0.3 * (y1 - y0), 0.6 / grid)
        middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
        inside = ((centres[:, 0] - middle_x).abs() <= half_x) & ((centres[:, 1] - middle_y).abs() <= half_y)
        target[inside, label] = 1
        closer = inside & (smallest > (x1 - x0) * (y1 - y0))
        smallest[closer] = (x1 - x0) * (y1 - y0)
        box_target[closer] = torch.tensor(box)
    return target, box_target, smallest < 2


def detection_loss(
    output, target: Tensor, boxes: Tensor, has_box: Tensor, label_mask: Tensor, present: Tensor
) -> Tensor:
    """Focal loss on cells, GIoU on boxes, cross-entropy on presence; `label_mask` [B, K] is 0 for labels that the
    annotation does not cover.

    target [B, C, K], boxes [B, C, 4], has_box [B, C], present [B, K].
    """
    logits, predicted, presence = (part.float() for part in output)
    weight = torch.maximum(label_mask[:, None], target)
    p = logits.sigmoid()
    raw = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focal = raw * (1 - (p * target + (1 - p) * (1 - target))) ** 2 * (0.25 * target + 0.75 * (1 - target)).mul(2)
    positives = has_box.sum().clamp(min=1)
    cell_loss = (focal * weight).sum() / positives
    box_loss = (1 - iou(predicted, boxes, generalised=True))[has_box].sum() / positives
    raw = F.binary_cross_entropy_with_logits(presence, present, reduction="none")
    photo_weight = torch.maximum(label_mask, present)
    return cell_loss + box_loss + 2.0 * (raw * photo_weight).sum() / photo_weight.sum() * 10
