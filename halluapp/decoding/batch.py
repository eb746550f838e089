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
from halluapp.decoding.plan import Prefix, full_prompt
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
        self.cache.batch_select_indices(index)
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


def prefill(
    lvlm: LVLM, prefixes: tuple[Prefix, ...], prompts: list[str], views: list[Views]
) -> tuple[RowBatch, Tensor]:
    """One forward over all distinct prefixes, left-padded -> (one row a prefix, logits of the first token [P, V])."""
    from transformers import DynamicCache

    rows = [
        embed_prefix(lvlm, prefix, full_prompt(prompts[prefix.job], prefix.instruction), views[prefix.job])
        for prefix in prefixes
    ]
    embeds, mask, positions, image_mask = pad_rows(rows)
    next_positions = torch.stack([row.positions.max() + 1 for row in rows])
    levels = tuple(torch.cat(level) for level in zip(*(row.deepstack for row in rows if row.deepstack), strict=True))
    batch = RowBatch(DynamicCache(), mask, next_positions, [prefix.intervention for prefix in prefixes], image_mask)
    with lvlm.lock, lvlm.dequantized.active(), apply_interventions(lvlm, batch.interventions, batch.image_mask):
        deepstack = (image_mask, levels) if levels else None
        logits = lvlm.forward(batch.cache, mask, positions, embeds=embeds, deepstack=deepstack, image_mask=image_mask)
    check_kept(batch.cache, mask.shape[1])
    return batch, logits


def pad_rows(rows: list[EmbeddedPrompt]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of any length, left-padded -> embeds [P, S, D], mask [P, S], positions [.., P, S], image mask [P, S]."""
    longest = max(len(row.embeds) for row in rows)
    embeds = rows[0].embeds.new_zeros(len(rows), longest, rows[0].embeds.shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    # Padding must not shift the positions of a row.
    positions = mask.new_zeros(*rows[0].positions.shape[:-1], len(rows), longest)
    image_mask = torch.zeros_like(mask, dtype=torch.bool)
    for index, row in enumerate(rows):
        columns = slice(longest - len(row.embeds), None)
        embeds[index, columns], mask[index, columns], image_mask[index, columns] = row.embeds, 1, row.image_mask
        positions[..., index, columns] = row.positions
    return embeds, mask, positions, image_mask


def embed_prefix(lvlm: LVLM, prefix: Prefix, prompt: str, views: Views, answer: Sequence[int] = ()) -> EmbeddedPrompt:
    """The decoder's input for one prefix, with visual tokens under its intervention, and for an answer's ids after it.

    prompt: with the prefix's instruction before it.
    """
    ids = [*lvlm.prompt_ids(prompt, prefix.view), *answer]
    if prefix.view != "photo":
        return lvlm.embed_prompt(ids)
    image = views.at(prefix.noise_step, tower_adapter(lvlm, prefix.intervention))
    return lvlm.embed_prompt(ids, image, visual_tokens(lvlm, image, prompt, prefix.intervention))
