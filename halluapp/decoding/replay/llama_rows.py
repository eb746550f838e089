"""Rows of a small Llama on a CPU: keys and values are written in place, a step goes without transformers' modules."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from halluapp.decoding.batch import StepOutput
from halluapp.decoding.hooks.attention import amplify_attention
from halluapp.decoding.hooks.interventions import intervention_hooks
from halluapp.decoding.replay.fixed_cache import FixedCache, FixedRows
from halluapp.decoding.replay.llama_step import Hooks, LlamaStep
from halluapp.lvlm.base import LVLM


class FilledCache(FixedCache):
    """As FixedCache, of which only the filled positions are attended to; past_length: their number before a step."""

    past_length = 0

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes one token's keys and values [R, H, 1, d] in place -> those of all positions so far, as views."""
        index, end = self.past_length, self.past_length + 1
        layer_keys, layer_values = self.keys[layer_idx], self.values[layer_idx]
        layer_keys[:, :, index:end], layer_values[:, :, index:end] = keys, values
        return layer_keys[:, :, :end], layer_values[:, :, :end]


class LlamaRows(FixedRows):
    """As FixedRows, with `LlamaStep` for a step."""

    cache: FilledCache
    cache_type: ClassVar[type[FixedCache]] = FilledCache
    _step: LlamaStep | None = None
    _hooks: Hooks | None = None

    @property
    def visible_mask(self) -> Tensor:
        """As `FixedRows.visible_mask`."""
        return self.mask[..., : self.past_length + 1]

    def select(self, rows: list[int]) -> None:
        """As `FixedRows.select`."""
        super().select(rows)
        self._hooks = None

    def run(self, lvlm: LVLM, depths: dict[int, tuple[int, ...]]) -> StepOutput:
        """As `FixedRows.run`."""
        self.cache.past_length = self.past_length
        with lvlm.lock, amplify_attention(lvlm, self.interventions, self.image_mask):
            if self._step is None:
                self._step = LlamaStep(lvlm)
            if self._hooks is None:
                self._hooks = {}
                for module, hook in intervention_hooks(lvlm, self.interventions):
                    self._hooks.setdefault(module, []).append(hook)
            return self._step(self.cache, self.visible_mask, self.positions, self.tokens, self._hooks, depths)

    def both_ways(self, lvlm: LVLM) -> tuple[Tensor, Tensor]:
        """Logits [R, V] of a step with any token, without modules and through them; the rows' changes do not act."""
        changes, self.interventions = self.interventions, [None] * len(self.interventions)
        try:
            self.feed(torch.zeros_like(self.tokens[:, 0]))
            without, _ = self.run(lvlm, {})
            return without, super().run(lvlm, {})[0]
        finally:
            self.interventions, self._hooks = changes, None
