"""The pocket detector: boxes, labels and scores from the trunk and neck that the pocket LVLM already ran.

Anchor-free on a 16 x 16 grid (as FCOS, Tian et al. 2019, without the centre branch), several labels a cell ("man" is
also "person"), plus one presence score a label for the whole photo that tempers the cells' scores.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from halluapp.efficientnet import FINE_CHANNELS
from halluapp.grounding.detectors.suppression import keep, overlaps


class DetectionHead(nn.Module):
    """(fine map [B, 120, 16, 16], neck tokens [B, 64 or more, D]) -> what is where.

    Returns cell logits [B, 256, K], boxes [B, 256, 4] and presence logits [B, K]. Boxes are x0, y0, x1, y1 in 0..1 of
    the squashed photo.
    """

    def __init__(self, labels: list[str], width: int = 320, hidden: int = 160):
        super().__init__()
        self.labels = list(labels)
        self.fine = nn.Conv2d(FINE_CHANNELS, hidden, 1)
        self.coarse = nn.Linear(width, hidden)
        self.tower = nn.Sequential(
            nn.GroupNorm(8, hidden), nn.GELU(), nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GroupNorm(8, hidden), nn.GELU(), nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GroupNorm(8, hidden), nn.GELU(),
        )  # fmt: skip
        self.label = nn.Conv2d(hidden, len(labels), 1)
        self.box = nn.Conv2d(hidden, 4, 1)
        self.presence = nn.Linear(2 * width, len(labels))
        # One cell in a hundred is an object: that keeps the first focal losses small.
        for layer, value in ((self.label, -4.6), (self.presence, -3.0), (self.box, -1.5)):
            assert layer.bias is not None
            nn.init.constant_(layer.bias, value)

    def forward(self, fine: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, grid = len(tokens), fine.shape[-1] // 2
        tokens = tokens[:, : grid * grid]  # those of the patches: what follows them is for the LVLM
        coarse = self.coarse(tokens).transpose(1, 2).reshape(batch, -1, grid, grid)
        x = self.tower(self.fine(fine) + F.interpolate(coarse, scale_factor=2, mode="nearest"))
        sides = self.box(x).float().flatten(2).transpose(1, 2).sigmoid()  # distances to left, top, right, bottom
        centres = cell_centres(2 * grid, sides.device)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        presence = self.presence(torch.cat([tokens.mean(1), tokens.amax(1)], -1))
        return self.label(x).flatten(2).transpose(1, 2), boxes, presence


def cell_centres(grid: int, device=None) -> Tensor:
    """Centres of the cells in 0..1, row by row [grid*grid, 2] as x, y."""
    line = (torch.arange(grid, device=device) + 0.5) / grid
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)


def iou(a: Tensor, b: Tensor, generalised: bool = False) -> Tensor:
    """IoU (or GIoU, Rezatofighi et al. 2019) of boxes [..., 4] pairwise along broadcast dimensions."""
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1), (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    union = (area_a + area_b - overlap).clamp(min=1e-6)
    value = overlap / union
    if not generalised:
        return value
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1).clamp(min=1e-6)
    return value - (hull - union) / hull


@torch.no_grad()
def decode(output, labels: list[str], least: float = 0.05, overlap: float = 0.5) -> list[list[tuple]]:
    """Network output -> for each photo [(label, score, [x0, y0, x1, y1])], best first.

    score = sqrt(cell probability x presence probability), so that both must agree. Boxes are suppressed among those of
    their own label, and no photo has too many: a limit over all labels is another threshold in every photo.
    """
    logits, boxes, presence = (part.float() for part in output)
    scores = (logits.sigmoid() * presence.sigmoid()[:, None]).sqrt()
    detections = []
    for score, box in zip(scores, boxes.clamp(0, 1), strict=True):
        shared, survivors = overlaps(box), []
        for name in (score > least).any(0).nonzero().flatten().tolist():
            survivors += [
                (cell, name, float(score[cell, name])) for cell in keep(score[:, name], shared, least, overlap)
            ]
        survivors.sort(key=lambda one: -one[2])
        detections.append(
            [(labels[name], value, [round(v, 4) for v in box[cell].tolist()]) for cell, name, value in survivors]
        )
    return detections


def save(head: DetectionHead, folder: Path, thresholds: dict[str, float], measured: dict) -> None:
    """Writes detector.safetensors (float16) and detector.json (labels, thresholds, measured quality)."""
    from safetensors.torch import save_file

    save_file(
        {k: v.to(torch.float16).contiguous() for k, v in head.state_dict().items()}, folder / "detector.safetensors"
    )
    about = {"labels": head.labels, "thresholds": thresholds, "measured": measured}
    (folder / "detector.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def load(folder: Path) -> tuple[DetectionHead, dict]:
    """Reads what `save` wrote -> (head in float32 and evaluation mode, the content of detector.json)."""
    from safetensors.torch import load_file

    about = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
    head = DetectionHead(about["labels"])
    head.load_state_dict({k: v.float() for k, v in load_file(folder / "detector.safetensors").items()})
    return head.eval(), about
