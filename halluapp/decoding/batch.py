"""The rows of a running decode: one left-padded cache, and for every row its mask and positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.decoding.interventions import applied
from halluapp.decoding.plan import Prefix
from halluapp.lvlm.base import LVLM, Visual
from halluapp.methods.base import Intervention


@dataclass
class RowBatch:
    """cache: keys and values of all rows; mask [R, past]; positions [R]: the next token's, not counting padding."""

    cache: object
    mask: Tensor
    positions: Tensor
    interventions: list[Intervention | None]

    def select(self, rows: list[int]) -> None:
        """Keeps these rows, in this order, repetitions allowed."""
        index = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(index)
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.interventions = [self.interventions[row] for row in rows]

    def step(self, lvlm: LVLM, tokens: Tensor) -> Tensor:
        """Feeds one token to every row [R] -> logits of the next one [R, V]."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        with lvlm.lock, applied(lvlm, self.interventions):
            logits = lvlm.forward(self.cache, self.mask, self.positions[:, None], ids=tokens[:, None])
        self.positions = self.positions + 1
        return logits


def prefill(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], prompts: list[str], visuals: list[Visual]
) -> tuple[RowBatch, Tensor]:
    """One forward over all distinct prefixes, left-padded -> (their rows, logits of the first token [P, V])."""
    from transformers import DynamicCache

    rows = [_embed(lvlm, prefix, prompts[prefix.job], visuals[prefix.job]) for prefix in prefixes]
    longest = max(len(row) for row in rows)
    embeds = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    for index, row in enumerate(rows):
        embeds[index, longest - len(row) :] = row
        mask[index, longest - len(row) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)  # padding must not shift a row's own positions
    batch = RowBatch(DynamicCache(), mask, mask.sum(1), [prefix.intervention for prefix in prefixes])
    with lvlm.lock, applied(lvlm, batch.interventions):
        logits = lvlm.forward(batch.cache, mask, positions, embeds=embeds)
    return batch, logits


def _embed(lvlm: LVLM, prefix: Prefix, prompt: str, visual: Visual) -> Tensor:
    """Input embeddings [S, D] of one prefix, with the visual tokens that its intervention asks for."""
    ids = lvlm.prompt_ids(prompt, prefix.view)
    if prefix.view != "photo":
        return lvlm.embed(ids, None)
    tokens = lvlm.project(visual.features)
    change = prefix.intervention
    if change is not None and (projector := _projector(lvlm, change)) is not None:
        other = lvlm.project(visual.features, projector)
        tokens = other if change.strength == 1 else (1 - change.strength) * tokens + change.strength * other
    return lvlm.embed(ids, tokens)


def _projector(lvlm: LVLM, change: Intervention):
    """The other projector that an intervention names, or that its adapter brings along; None: the model's own."""
    if change.projector:
        return lvlm.projector(change.projector)
    return lvlm.adapter(change.adapter).projector if change.adapter else None
