"""Trains the head on stored maps: presence of the photo, labels and boxes of its cells."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.pocket_head import iou
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.pocket.detector_loss import assign
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.labels import LABELS, Annotation

CELL_WEIGHT, BOX_WEIGHT = 1.0, 0.5
TEACH, TEACH_RATE, PHOTOS, DRAWINGS = 300, 3e-4, 12, 4
SMALL = 0.05  # keeps channels that hardly ever speak from being blown up


@dataclass(frozen=True)
class Example:
    """A row of a store with what is known about it."""

    store: Store
    row: int
    annotation: Annotation


@dataclass(frozen=True)
class Plan:
    """How long and how fast the cells of a head are trained."""

    epochs: float = 3
    batch: int = 16
    rate: float = 1e-3
    decay: float = 0.1
    seed: int = 0


def maps(examples: list[Example]) -> tuple[Tensor, Tensor]:
    """The stored maps of some examples: fine [B, 112, 28, 28], coarse [B, 320, 14, 14], in float32."""
    fine = np.stack([e.store.fine[e.row] for e in examples])
    coarse = np.stack([e.store.coarse[e.row] for e in examples])
    return torch.from_numpy(fine).float(), torch.from_numpy(coarse).float()


def batches_of_maps(store: Store, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The maps of all photos of a store, as `maps` gives them, some at a time."""
    for first in range(0, len(store.keys), batch):
        rows = range(first, min(first + batch, len(store.keys)))
        yield maps([Example(store, row, None) for row in rows])  # type: ignore[arg-type]


def train(examples: list[Example], plan: Plan, widen: OwnTrunk, log=print) -> PresenceHead:
    """A head whose cells are trained, AdamW with a cosine rate; its look at the pooled photo is left blank."""
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    head = PresenceHead(list(LABELS)).train()
    _standardise(head, widen, [examples[i] for i in rng.permutation(len(examples))[:256]])
    head.pooled.weight.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in head.parameters() if p.requires_grad], plan.rate, weight_decay=plan.decay)
    steps, started, losses = max(1, round(plan.epochs * len(examples) / plan.batch)), time.perf_counter(), []
    order = np.concatenate([rng.permutation(len(examples)) for _ in range(math.ceil(plan.epochs) + 1)])
    for step in range(steps):
        rate = plan.rate * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        chunk = [examples[i] for i in order[step * plan.batch : (step + 1) * plan.batch]]
        loss = _loss(head, widen, chunk)
        losses.append(_step(head, optimizer, loss))
        if step % 100 == 99:
            log(f"step {step + 1} of {steps}, loss {np.mean(losses[-100:]):.3f}, "
                f"{time.perf_counter() - started:.0f} s", flush=True)  # fmt: skip
    return head.eval()


def teach(
    head: PresenceHead,
    photos: list[Example],
    drawn: list[Example],
    seed: int,
    widen: OwnTrunk,
    steps: int,
    log=print,
) -> PresenceHead:
    """Trains the cells of a trained head on: steps of PHOTOS photos and DRAWINGS drawings at a low rate.

    Its look at the pooled photo is emptied, as before it was joined: it is fitted anew afterwards.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        head.pooled.weight.zero_()
        head.pooled.bias.fill_(-4.5)
        head.trust.fill_(0.7)
    head.train().pooled.weight.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in head.parameters() if p.requires_grad], TEACH_RATE, weight_decay=0.1)
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = TEACH_RATE * min(1, (step + 1) / 20) * (1 - step / steps)
        rows = [photos[i] for i in rng.integers(len(photos), size=PHOTOS)]
        loss = _loss(head, widen, rows + [drawn[i] for i in rng.integers(len(drawn), size=DRAWINGS)])
        losses.append(_step(head, optimizer, loss))
        if step % 50 == 49:
            log(f"drawings: step {step + 1} of {steps}, loss {np.mean(losses[-50:]):.3f}", flush=True)
    return head.eval()


def _step(head: PresenceHead, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step of the optimizer -> the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _standardise(head: PresenceHead, widen: OwnTrunk, examples: list[Example]) -> None:
    fine, coarse = maps(examples)
    wide = widen.widen(coarse)
    head.wide_mean.copy_(wide.mean((0, 2, 3)))
    head.wide_scale.copy_(1 / (wide.std((0, 2, 3)) + SMALL))
    head.fine_mean.copy_(fine.mean((0, 2, 3)))
    head.fine_scale.copy_(1 / fine.std((0, 2, 3)).clamp(min=1e-3))


def _loss(head: PresenceHead, widen: OwnTrunk, examples: list[Example]) -> Tensor:
    fine, coarse = maps(examples)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            wide = widen.widen(coarse)
        presence, cells, boxes = head(fine, wide)
    present, weight, boxed = (
        torch.from_numpy(np.stack([getattr(example.annotation, part) for example in examples]))
        for part in ("present", "weight", "boxed")
    )
    raw = F.binary_cross_entropy_with_logits(presence, present, reduction="none")
    loss = (raw * weight).sum() / len(examples)
    parts = [assign(example.annotation.boxes, cells.shape[2], math.isqrt(cells.shape[1])) for example in examples]
    target, box_target, has_box = (torch.stack(part) for part in zip(*parts, strict=True))
    loss = loss + CELL_WEIGHT * _focal(cells, target, boxed)
    if has_box.any():
        overlap = iou(boxes[has_box], box_target[has_box], generalised=True)
        loss = loss + BOX_WEIGHT * (1 - overlap).mean()
    return loss


def _focal(logits: Tensor, target: Tensor, annotation: Tensor) -> Tensor:
    """Focal loss of cells (Lin et al. 2017, gamma 2, balance 0.25), a positive counting even where not all is boxed."""
    p = logits.sigmoid()
    empty = (F.softplus(logits) * p * p).sum(1)  # [B, K]: as if no cell held anything
    batch, cell, label = target.nonzero(as_tuple=True)
    x, q, weight = logits[batch, cell, label], p[batch, cell, label], annotation[batch, label]
    negatives = (F.softplus(x) * q * q * weight).sum()
    full = (F.softplus(-x) * (1 - q) ** 2).sum()
    return (1.5 * ((empty * annotation).sum() - negatives) + 0.5 * full) / max(len(x), 1)


@torch.inference_mode()
def presence_logits(head: PresenceHead, widen: OwnTrunk, store: Store, batch: int = 16) -> np.ndarray:
    """Presence logits of all photos of a store [n, K], in float32."""
    return torch.cat([head(fine, widen.widen(coarse))[0] for fine, coarse in batches_of_maps(store, batch)]).numpy()
