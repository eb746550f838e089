"""The rows of a running decode: one left-padded cache, and a mask and positions for every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding.hooks.early_exits import EarlyStates, record_depths
from halluapp.decoding.hooks.interventions import apply_interventions
from halluapp.decoding.hooks.vision_adapter import tower_adapter, visual_tokens
from halluapp.decoding.padding import joined_levels, pad_rows, select_rows
from halluapp.decoding.plan import Prefix, full_prompt
from halluapp.decoding.shared_heads import Start
from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM, EmbeddedPrompt
from halluapp.lvlm.decoder import check_kept
from halluapp.methods.base import Intervention

StepOutput = tuple[Tensor, EarlyStates]  # logits [R, V], and residual streams of early exits


@dataclass
class RowBatch:
    """cache: keys and values of all rows; mask [R, past]; positions [R]: the next token's, not counting padding.

    image_mask [R, S]: visual tokens of the prefill.
    """

    cache: Any
    mask: Tensor
    positions: Tensor
    interventions: list[Intervention | None]
    image_mask: Tensor | None = None

    def select(self, rows: list[int]) -> None:
        """Keeps these rows in this order; a row may be repeated."""
        index = torch.tensor(rows, device=self.mask.device)
        select_rows(self.cache, index)
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.image_mask = None if self.image_mask is None else self.image_mask[index]
        self.interventions = [self.interventions[row] for row in rows]

    def step(self, lvlm: LVLM, tokens: Tensor, depths: dict[int, tuple[int, ...]]) -> StepOutput:
        """Feeds one token to every row [R] -> (logits of the next one [R, V], its early states).

        depths: row -> depths of its early exits.
        """
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        hooks = apply_interventions(lvlm, self.interventions, self.image_mask)
        with lvlm.lock, lvlm.dequantized.active(), hooks, record_depths(lvlm, depths) as hidden:
            logits = lvlm.forward(self.cache, self.mask, self.positions[:, None], ids=tokens[:, None])
        self.positions = self.positions + 1
        return logits, hidden


def embed_prefixes(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], prompts: list[str], views: list[Views]
) -> list[EmbeddedPrompt]:
    """The decoder's input for every prefix."""
    return [
        embed_prefix(lvlm, prefix, full_prompt(prompts[prefix.job], prefix.instruction), views[prefix.job])
        for prefix in prefixes
    ]


def prefill(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], prompts: list[str], views: list[Views]
) -> tuple[RowBatch, Tensor]:
    """One forward over all distinct prefixes, left-padded -> (one row a prefix, logits of the first token [P, V])."""
    return prefill_rows(lvlm, prefixes, embed_prefixes(lvlm, prefixes, prompts, views))


def prefill_rows(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], rows: list[EmbeddedPrompt], start: Start | None = None
) -> tuple[RowBatch, Tensor]:
    """As `prefill`, of rows that are embedded. start: their heads, which were read before."""
    from transformers import DynamicCache

    changes = [prefix.intervention for prefix in prefixes]
    if start is not None:
        embeds, mask, positions, image_mask = pad_rows(start.tails)
        mask, image_mask = torch.cat([start.mask, mask], dim=1), torch.cat([start.image_mask, image_mask], dim=1)
        next_positions = torch.stack([row.positions.max() + 1 for row in rows])
        batch = RowBatch(start.cache, mask, next_positions, changes, image_mask)
        with lvlm.lock, lvlm.dequantized.active(), apply_interventions(lvlm, changes, image_mask):
            logits = lvlm.forward(batch.cache, mask, positions, embeds=embeds)
        check_kept(batch.cache, mask.shape[1])
        return batch, logits
    embeds, mask, positions, image_mask = pad_rows(rows)
    next_positions = torch.stack([row.positions.max() + 1 for row in rows])
    levels = joined_levels(rows)
    batch = RowBatch(DynamicCache(), mask, next_positions, changes, image_mask)
    with lvlm.lock, lvlm.dequantized.active(), apply_interventions(lvlm, batch.interventions, batch.image_mask):
        deepstack = (image_mask, levels) if levels else None
        logits = lvlm.forward(batch.cache, mask, positions, embeds=embeds, deepstack=deepstack, image_mask=image_mask)
    check_kept(batch.cache, mask.shape[1])
    return batch, logits


def embed_prefix(lvlm: LVLM, prefix: Prefix, prompt: str, views: Views, answer: Sequence[int] = ()) -> EmbeddedPrompt:
    """The decoder's input for one prefix, with visual tokens under its intervention, and for an answer's ids after it.

    prompt: with the prefix's instruction before it.
    """
    ids = [*lvlm.prompt_ids(prompt, prefix.view), *answer]
    if prefix.view != "photo":
        return lvlm.embed_prompt(ids)
    image = views.at(prefix.noise_step, tower_adapter(lvlm, prefix.intervention))
    return lvlm.embed_prompt(ids, image, visual_tokens(lvlm, image, prompt, prefix.intervention))
