"""Rows of any length as one input of the decoder, and the rows of its cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from halluapp.lvlm.base import EmbeddedPrompt


def joined_levels(rows: list[EmbeddedPrompt]) -> tuple[Tensor, ...]:
    """The additions of all rows to the outputs of the first decoder layers, [n, D] each; () where no row has any."""
    return tuple(torch.cat(level) for level in zip(*(row.deepstack for row in rows if row.deepstack), strict=True))


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


def select_rows(cache: Any, index: Tensor) -> None:
    """Keeps these rows of a cache, each layer of it on its own device."""
    for layer in cache.layers:
        layer.batch_select_indices(index if layer.keys is None else index.to(layer.keys.device))
