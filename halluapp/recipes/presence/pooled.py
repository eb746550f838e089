"""The head's linear look at the pooled photo: a ridge regression, and how its word and the cells' are weighed.

It is trained apart from the cells: together it learns the training photos by heart (AP .97 there, .71 on others) and
leaves the cells nothing to learn.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from halluapp.grounding import presence
from halluapp.grounding.detectors.own_head import PresenceHead, pool
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.heads import SMALL, Example
from halluapp.recipes.presence.labels import LABELS

EPOCHS, BATCH, RATE, RIDGE = 8, 128, 1e-3, 0.01


@torch.inference_mode()
def pooled(store: Store, widen: OwnTrunk, batch: int = 16) -> np.ndarray:
    """Pooled maps of all photos of a store [n, 2560]."""
    rows_out = []
    for first in range(0, len(store.keys), batch):
        coarse = torch.from_numpy(store.coarse[first : first + batch].astype(np.float32))
        rows_out.append(pool(widen.widen(coarse)).numpy().astype(np.float16))
    return np.concatenate(rows_out)


def fit(examples: list[Example], features: dict[int, np.ndarray], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights [K, 2560] and offsets [K] of a linear layer on pooled maps. features: by id of an example's store."""
    x = np.stack([features[id(example.store)][example.row] for example in examples]).astype(np.float32)
    mean, scale = x.mean(0), x.std(0) + SMALL
    inputs = torch.from_numpy((x - mean) / scale)
    present, weight = (
        torch.from_numpy(np.stack([getattr(e.annotation, part) for e in examples])) for part in ("present", "weight")
    )
    torch.manual_seed(seed)
    layer = torch.nn.Linear(inputs.shape[1], len(LABELS))
    torch.nn.init.zeros_(layer.weight)
    layer.bias.data = torch.logit(((present * weight).sum(0) + 0.5) / (weight.sum(0) + 1))
    optimizer, steps = torch.optim.Adam(layer.parameters(), RATE), max(1, EPOCHS * len(x) // BATCH)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        rows = torch.randint(0, len(x), (BATCH,))
        raw = F.binary_cross_entropy_with_logits(layer(inputs[rows]), present[rows], reduction="none")
        loss = (raw * weight[rows]).sum() / BATCH + RIDGE * (layer.weight**2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = layer.weight.detach().numpy() / scale
    return weights, layer.bias.detach().numpy() - weights @ mean


def join(
    head: PresenceHead, linear: tuple[np.ndarray, np.ndarray], maps: np.ndarray, cells: np.ndarray, truth: np.ndarray
) -> PresenceHead:
    """Writes the linear layer into the head, both witnesses weighed by photos that trained neither.

    maps [n, 2560], cells [n, K] (the head's presence logits so far) and truth [n, K] of those photos.
    """
    weights, offsets = linear
    score = maps.astype(np.float32) @ weights.T + offsets
    x = np.stack([score.ravel(), cells.ravel(), np.ones(score.size)], 1)
    start, flat = np.array([0.5, 0.5, 0.0]), truth.ravel()
    a, b, c = presence.logistic(x, flat, np.ones(len(flat)), np.ones(3), start)
    with torch.no_grad():
        head.pooled.weight.copy_(torch.from_numpy(a * weights))
        head.pooled.bias.copy_(torch.from_numpy(a * offsets) + b * head.pooled.bias + c)
        head.trust.mul_(b)
    return head
