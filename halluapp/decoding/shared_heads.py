"""Prompts about one photo begin alike: what they share is computed once, and only their ends for each of them.

An evaluation asks several questions about a photo; their prompts differ behind the visual tokens, which are most of
them. Rows of one photo, view and intervention whose first tokens are the same share a head; of all rows the tails are
then read in one forward behind their heads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding.hooks.interventions import apply_interventions
from halluapp.decoding.padding import joined_levels, pad_rows, select_rows
from halluapp.decoding.plan import Prefix
from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM, EmbeddedPrompt


@dataclass(frozen=True)
class Start:
    """The heads of all rows. cache, mask [R, S], image_mask [R, S]: of the heads; tails: what is still to be read."""

    cache: Any
    mask: Tensor
    image_mask: Tensor
    tails: list[EmbeddedPrompt]


def read_heads(
    lvlm: LVLM, rows: Sequence[EmbeddedPrompt], prefixes: Sequence[Prefix], views: Sequence[Views]
) -> Start | None:
    """One forward over the distinct heads of rows; None where no two rows share one, or where it would not be the same.

    prefixes: of the rows, which may share a head where they differ in their prompts alone. views: by job. Under a
    sliding window tokens have to stand side by side, and a head is of another length than its neighbour.
    """
    from transformers import DynamicCache

    keys = [(id(views[prefix.job]), replace(prefix, job=0)) for prefix in prefixes]
    heads = {} if _has_windows(lvlm) else _heads(rows, keys)
    if not heads:
        return None
    owners = list(dict.fromkeys(owner for owner, length in heads.values() if length))
    parts = [_part(rows[owner], slice(heads[owner][1])) for owner in owners]
    embeds, mask, positions, image_mask = pad_rows(parts)
    levels = joined_levels(parts)
    cache, order = DynamicCache(), [prefixes[owner].intervention for owner in owners]
    with lvlm.lock, lvlm.dequantized.active(), apply_interventions(lvlm, order, image_mask, positions=0):
        deepstack = (image_mask, levels) if levels else None
        lvlm.forward(cache, mask, positions, embeds=embeds, deepstack=deepstack, image_mask=image_mask)
    numbers = [owners.index(owner) if length else 0 for owner, length in heads.values()]
    index = torch.tensor(numbers, device=mask.device)
    select_rows(cache, index)
    visible = torch.tensor([length > 0 for _, length in heads.values()], device=mask.device)[:, None]
    tails = [_part(rows[row], slice(length, None)) for row, (_, length) in heads.items()]
    return Start(cache, mask[index] * visible, image_mask[index] & visible, tails)


def _heads(rows: Sequence[EmbeddedPrompt], keys: Sequence[Hashable]) -> dict[int, tuple[int, int]]:
    """Row -> (the row whose head is its own too, tokens of the head); {} where no two rows share one.

    A row without a photo that is no longer than the tails of the others has no head: it is read with the tails.
    """
    groups: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    heads: dict[int, tuple[int, int]] = {}
    for group in groups.values():
        if len(group) > 1 and (length := _common_length([rows[row] for row in group])):
            heads.update(dict.fromkeys(group, (group[0], length)))
    if not heads:
        return {}
    longest = max(len(rows[row].embeds) - length for row, (_, length) in heads.items())
    for row, one in enumerate(rows):
        heads.setdefault(row, (row, len(one.embeds) - 1 if len(one.embeds) > longest else 0))
    return dict(sorted(heads.items()))


def _common_length(rows: list[EmbeddedPrompt]) -> int:
    """How many first tokens rows share, at least one less than each has; 0 unless all of a photo is among them."""
    first, length = rows[0], min(len(row.embeds) for row in rows) - 1
    for row in rows[1:]:
        same = (row.embeds[:length] == first.embeds[:length]).all(-1)
        equal = row.positions[..., :length] == first.positions[..., :length]
        same &= equal if equal.ndim == 1 else equal.flatten(0, -2).all(0)
        length = int(same.long().cumprod(0).sum())
    whole = first.image_mask.any() and not any(row.image_mask[length:].any() for row in rows)
    return length if whole else 0


def _part(row: EmbeddedPrompt, tokens: slice) -> EmbeddedPrompt:
    """Some tokens of a row; the photo is in its head, or in its tail where that is all of it."""
    image_mask = row.image_mask[tokens]
    return replace(
        row, embeds=row.embeds[tokens], positions=row.positions[..., tokens], image_mask=image_mask,
        deepstack=row.deepstack if image_mask.any() else (),
    )  # fmt: skip


def _has_windows(lvlm: LVLM) -> bool:
    config = lvlm.attention_config
    kinds = set(getattr(config, "layer_types", None) or ())
    return bool(getattr(config, "sliding_window", None)) or bool(kinds - {"full_attention"})
