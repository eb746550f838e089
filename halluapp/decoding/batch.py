"""The rows of a running decode: one left-padded cache, and for every row its mask and positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.decoding.hooks.early_exits import Places, recorded
from halluapp.decoding.hooks.interventions import applied
from halluapp.decoding.hooks.vision_adapter import tower_sight, visual_tokens
from halluapp.decoding.plan import Prefix, asked
from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM, Embedded
from halluapp.methods.base import Intervention


@dataclass
class RowBatch:
    """cache: keys and values of all rows; mask [R, past]; positions [R]: the next token's, not counting padding.

    spots [R, S]: where visual tokens stood in the prefill.
    """

    cache: object
    mask: Tensor
    positions: Tensor
    interventions: list[Intervention | None]
    spots: Tensor | None = None

    def select(self, rows: list[int]) -> None:
        """Keeps these rows, in this order, repetitions allowed."""
        index = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(index)
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.spots = None if self.spots is None else self.spots[index]
        self.interventions = [self.interventions[row] for row in rows]

    def step(self, lvlm: LVLM, tokens: Tensor, depths: dict[int, tuple[int, ...]]) -> tuple[Tensor, Places]:
        """Feeds one token to every row [R] -> logits of the next one [R, V], and what `exits.recorded` kept of it.

        depths: row -> where it is read early.
        """
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        hooks = applied(lvlm, self.interventions, self.spots)
        with lvlm.lock, lvlm.unpacked.used(), hooks, recorded(lvlm, depths) as hidden:
            logits = lvlm.forward(self.cache, self.mask, self.positions[:, None], ids=tokens[:, None])
        self.positions = self.positions + 1
        return logits, hidden


def prefill(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], prompts: list[str], views: list[Views]
) -> tuple[RowBatch, Tensor]:
    """One forward over all distinct prefixes, left-padded -> (their rows, logits of the first token [P, V])."""
    from transformers import DynamicCache

    rows = [
        _embed(lvlm, prefix, asked(prompts[prefix.job], prefix.instruction), views[prefix.job]) for prefix in prefixes
    ]
    embeds, mask, positions, spots = _padded(rows)
    following = torch.stack([row.positions.max() + 1 for row in rows])
    deep = tuple(torch.cat(level) for level in zip(*(row.deep for row in rows if row.deep), strict=True))
    batch = RowBatch(DynamicCache(), mask, following, [prefix.intervention for prefix in prefixes], spots)
    with lvlm.lock, lvlm.unpacked.used(), applied(lvlm, batch.interventions, batch.spots):
        logits = lvlm.forward(batch.cache, mask, positions, embeds=embeds, deep=(spots, deep) if deep else None)
    return batch, logits


def _padded(rows: list[Embedded]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of any length, left-padded -> embeds [P, S, D], mask [P, S], positions [P, S] or [3, P, S], spots [P, S]."""
    longest = max(len(row.embeds) for row in rows)
    embeds = rows[0].embeds.new_zeros(len(rows), longest, rows[0].embeds.shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    # Padding must not shift a row's own positions.
    positions = mask.new_zeros(*rows[0].positions.shape[:-1], len(rows), longest)
    spots = torch.zeros_like(mask, dtype=torch.bool)
    for index, row in enumerate(rows):
        own = slice(longest - len(row.embeds), None)
        embeds[index, own], mask[index, own], spots[index, own] = row.embeds, 1, row.spots
        positions[..., index, own] = row.positions
    return embeds, mask, positions, spots


def _embed(lvlm: LVLM, prefix: Prefix, prompt: str, views: Views) -> Embedded:
    """One prefix as the decoder reads it, with the visual tokens that its intervention asks for."""
    ids = lvlm.prompt_ids(prompt, prefix.view)
    if prefix.view != "photo":
        return lvlm.read(ids)
    visual = views.at(prefix.noise_step, tower_sight(lvlm, prefix.intervention))
    return lvlm.read(ids, visual, visual_tokens(lvlm, visual, prompt, prefix.intervention))
