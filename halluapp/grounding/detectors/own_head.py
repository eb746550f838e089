"""The embedded detector's head: which of its labels a photo shows, and where, from the maps of its own trunk.

Two witnesses of presence are added up: a linear look at the pooled photo, and the soft maximum over the cells of a
grid, which boxes have taught. A cell sees the trunk's last map and, for what is small, the four finer cells it covers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from halluapp.grounding.detectors.pocket_head import cell_centres
from halluapp.grounding.detectors.trunk import FINE_CHANNELS, WIDE_CHANNELS


class PresenceHead(nn.Module):
    """Maps fine [B, 112, 2g, 2g] and wide [B, 1280, g, g] -> what is there and where.

    Returns logits of presence [B, K] and of cells [B, g*g, K], and the cells' boxes [B, g*g, 4]: x0, y0, x1, y1 in 0..1
    of the squashed photo.
    """

    wide_mean: Tensor
    wide_scale: Tensor
    fine_mean: Tensor
    fine_scale: Tensor

    def __init__(self, labels: list[str], hidden: int = 384):
        super().__init__()
        self.labels, self.hidden = list(labels), hidden
        count = len(self.labels)
        self.pooled = nn.Linear(2 * WIDE_CHANNELS, count)
        self.wide = nn.Linear(WIDE_CHANNELS, hidden)
        self.fine = nn.Linear(4 * FINE_CHANNELS, hidden)
        self.label = nn.Linear(hidden, count)
        self.box = nn.Linear(hidden, 4)
        self.trust = nn.Parameter(torch.full((count,), 0.7))  # in the cells
        self.dropout = nn.Dropout1d(0.3)  # whole channels of a photo
        self.register_buffer("wide_mean", torch.zeros(WIDE_CHANNELS))
        self.register_buffer("wide_scale", torch.ones(WIDE_CHANNELS))
        self.register_buffer("fine_mean", torch.zeros(FINE_CHANNELS))
        self.register_buffer("fine_scale", torch.ones(FINE_CHANNELS))
        nn.init.normal_(self.label.weight, std=0.01)
        nn.init.constant_(self.label.bias, -4.6)  # one cell in a hundred is an object
        nn.init.zeros_(self.pooled.weight)
        nn.init.constant_(self.pooled.bias, -4.5)  # the soft maximum of all those cells starts above a photo's share
        nn.init.constant_(self.box.bias, -1.5)

    def forward(self, fine: Tensor, wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grid = wide.shape[-1]
        hidden = self.cells(fine, wide)
        cells = self.label(hidden).float()
        sides = self.box(hidden).float().sigmoid()  # distances to left, top, right, bottom
        centres = cell_centres(grid, sides.device)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        return self.pooled(pool(wide)).float() + self.trust * cells.logsumexp(1), cells, boxes

    def cells(self, fine: Tensor, wide: Tensor) -> Tensor:
        """What each cell sees [B, g*g, hidden]."""
        flat = self.dropout((wide.flatten(2) - self.wide_mean[:, None]) * self.wide_scale[:, None])
        fine = (fine - self.fine_mean[:, None, None]) * self.fine_scale[:, None, None]
        four = F.pixel_unshuffle(fine, 2).flatten(2).transpose(1, 2)  # [B, g*g, 448]
        hidden = F.gelu(self.wide(flat.transpose(1, 2)) + self.fine(four))
        return self.dropout(hidden.transpose(1, 2)).transpose(1, 2)


def pool(wide: Tensor) -> Tensor:
    """Mean and maximum of each channel over the photo: [B, 1280, g, g] -> [B, 2560]."""
    flat = wide.flatten(2)
    return torch.cat([flat.mean(2), flat.amax(2)], 1)
