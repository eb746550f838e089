"""The head's box layer, trained once more when the cells stand still: each object counts, not each of its cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.pocket_head import cell_centres, iou
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.pocket.detector_loss import assign
from halluapp.recipes.presence.heads import Example, maps

STEPS, BATCH, RATE, DECAY = 1500, 512, 2e-3, 1e-3


def refine(head: PresenceHead, examples: list[Example], widen: OwnTrunk, steps: int = STEPS) -> PresenceHead:
    """Trains `head.box` alone on the cells of human boxes, by generalised intersection over union.

    A cell weighs one over the root of how many cells its object has, or large things would be all that counts.
    """
    cells = _cells(head, examples, widen)
    if not len(cells[0]):
        return head
    hidden, target, centre, weight = cells
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(hidden.shape[1], 4)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.constant_(layer.bias, -1.5)
    optimizer = torch.optim.AdamW(layer.parameters(), RATE, weight_decay=DECAY)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = torch.randint(0, len(hidden), (BATCH,), generator=generator)
        sides = layer(hidden[rows].float()).sigmoid()
        boxes = torch.cat([centre[rows] - sides[:, :2], centre[rows] + sides[:, 2:]], -1)
        loss = ((1 - iou(boxes, target[rows], generalised=True)) * weight[rows]).sum() / weight[rows].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    head.box.load_state_dict(layer.state_dict())
    return head


@torch.no_grad()
def _cells(head: PresenceHead, examples: list[Example], widen: OwnTrunk, batch: int = 32) -> list[Tensor]:
    """Cells that belong to a box: what they see [N, hidden], the box [N, 4], their centre [N, 2] and weight [N]."""
    parts: list[list[Tensor]] = []
    for first in range(0, len(examples), batch):
        chunk = examples[first : first + batch]
        fine, coarse = maps(chunk)
        with torch.autocast("cpu", torch.bfloat16):
            wide = widen.widen(coarse)
            hidden = head.cells(fine, wide).half()
        for example, row in zip(chunk, hidden, strict=True):
            _, target, has_box = assign(example.annotation.boxes, len(head.labels), wide.shape[-1])
            members = target[has_box]
            _, number, count = torch.unique(members, dim=0, return_inverse=True, return_counts=True)
            centres = cell_centres(wide.shape[-1])[has_box]
            parts.append([row[has_box], members, centres, 1 / count[number].float().sqrt()])
    return [torch.cat(part) for part in zip(*parts, strict=True)]
