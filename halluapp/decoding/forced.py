"""Teacher forcing: prefixes with an answer that is there already, read in one forward instead of token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.decoding.batch import embed_prefix
from halluapp.decoding.hooks.early_exits import EarlyStates, record_depths
from halluapp.decoding.hooks.interventions import apply_interventions
from halluapp.decoding.padding import joined_levels, pad_rows
from halluapp.decoding.plan import Prefix, full_prompt
from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Intervention

CHUNK_TOKENS = 12_288  # positions of one forward: more rows are read one group after another


@dataclass(frozen=True)
class Forced:
    """What one forward has read. states: (row, depth) -> residual stream [count, D]; image_mask, mask [P, S]."""

    states: EarlyStates
    image_mask: Tensor
    mask: Tensor


@torch.no_grad()
def read_answer(
    lvlm: LVLM,
    prefixes: Sequence[Prefix],
    prompts: Sequence[str],
    views: Sequence[Views],
    answer: Sequence[int],
    count: int,
    depths: dict[int, tuple[int, ...]],
    also: AbstractContextManager | None = None,
) -> Forced:
    """One forward over every prefix with an answer's ids after it; rows are left-padded as in decoding.

    prompts, views: by job. count: how many last positions are recorded; the last one follows the whole answer.
    depths: row -> depths, as in `record_depths`. also: a context that is entered once the model is locked.
    """
    from transformers import DynamicCache

    rows = [
        embed_prefix(lvlm, prefix, full_prompt(prompts[prefix.job], prefix.instruction), views[prefix.job], answer)
        for prefix in prefixes
    ]
    embeds, mask, positions, image_mask = pad_rows(rows)
    levels = joined_levels(rows)
    changes = [prefix.intervention for prefix in prefixes]
    with (
        lvlm.lock,
        also or nullcontext(),
        lvlm.dequantized.active(),
        apply_interventions(lvlm, changes, image_mask, len(answer) + 1),
        record_depths(lvlm, depths, count) as states,
    ):
        deepstack = (image_mask, levels) if levels else None
        lvlm.forward(DynamicCache(), mask, positions, embeds=embeds, deepstack=deepstack, image_mask=image_mask)
    return Forced(states, image_mask, mask)


def final_logits(lvlm: LVLM, states: Tensor, intervention: Intervention | None) -> Tensor:
    """Residual stream after the last layer [n, D] of a row -> logits [n, V] in float32, by the row's own LM head.

    An adapter may change the head too; early exits read out by the plain one, as in decoding.
    """
    with lvlm.lock, apply_interventions(lvlm, [intervention]):
        return lvlm.read_out(states[None])[0]


def final_states(
    lvlm: LVLM,
    prefixes: Sequence[Prefix],
    prompts: Sequence[str],
    views: Sequence[Views],
    answer: Sequence[int],
    count: int,
) -> Iterator[Tensor]:
    """The residual stream after the last layer [count, D] of every prefix, in groups that memory holds."""
    last, start, first = len(lvlm.layers), 0, prefixes[0]
    with torch.no_grad():
        prompt = full_prompt(prompts[first.job], first.instruction)
        length = len(embed_prefix(lvlm, first, prompt, views[first.job], answer).embeds)
    size = max(1, CHUNK_TOKENS // length)
    while start < len(prefixes):
        group = prefixes[start : start + size]
        depths: dict[int, tuple[int, ...]] = {row: (last,) for row in range(len(group))}
        states = read_answer(lvlm, group, prompts, views, answer, count, depths).states
        yield from (states[row, last] for row in range(len(group)))
        start += size
