"""The head's linear look at the pooled photo: a ridge regression, and how much this witness and the cells count.

It is trained apart from the cells: together it learns the training photos by heart (AP .97 there, .71 on others) and
leaves the cells nothing to learn. Photos of the training set's kind weigh both when they are joined; there the pooled
look does better than elsewhere, so the mentions that calibrate weigh them once more: two numbers for all labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from halluapp.grounding import presence
from halluapp.grounding.detectors.own_head import PresenceHead, pool
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence.calibrate import Case
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.heads import SMALL, Example, batches_of_maps
from halluapp.recipes.presence.labels import LABELS

EPOCHS, BATCH, RATE, RIDGE = 8, 128, 1e-3, 0.01
LABEL_PENALTY, PENALTY = 2.0, 1.0  # what holds a label's offset to 0 and the weights of the witnesses to 1


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


@torch.inference_mode()
def parts(head: PresenceHead, widen: OwnTrunk, store: Store, batch: int = 16) -> np.ndarray:
    """Both witnesses of presence for all photos of a store [n, 2, K]: pooled look and cells, whose sum is the score."""
    rows_out = []
    for fine, coarse in batches_of_maps(store, batch):
        wide = widen.widen(coarse)
        both, look = head(fine, wide)[0], head.pooled(pool(wide)).float()
        rows_out.append(torch.stack([look, both - look], 1))
    return torch.cat(rows_out).numpy()


def witness_weights(
    cases: Sequence[Case], witness: Mapping[str, np.ndarray], labels: Sequence[str]
) -> tuple[float, float]:
    """What the pooled look and the cells count by the truth of `cases`. witness: by photo [2, K], as `labels`."""
    number = {label: index for index, label in enumerate(labels)}
    columns = [number[case.label] for case in cases]
    x = np.zeros((len(cases), 2 + len(labels)))
    x[:, :2] = [witness[case.photo][:, column] for case, column in zip(cases, columns, strict=True)]
    x[np.arange(len(cases)), 2 + np.array(columns)] = 1
    truth, weight = (np.array([getattr(case, name) for case in cases], float) for name in ("present", "weight"))
    start = np.zeros(x.shape[1])
    start[:2] = 1
    penalty = np.full(x.shape[1], LABEL_PENALTY)
    penalty[:2] = PENALTY
    look, cells = presence.logistic(x, truth, weight, penalty, start)[:2]
    return float(max(look, 0.0)), float(max(cells, 0.0))


@torch.no_grad()
def weigh(head: PresenceHead, look: float, cells: float) -> PresenceHead:
    """The head with both witnesses multiplied."""
    head.pooled.weight.mul_(look)
    head.pooled.bias.mul_(look)
    head.trust.mul_(cells)
    return head
