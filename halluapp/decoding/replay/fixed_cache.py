"""Rows whose keys and values lie in buffers of a fixed size: every step has the same shapes at the same addresses.

A recorded step (`cuda_graph.py`) needs that. transformers' StaticCache is not used: it cannot drop or copy rows, it
counts in every layer, so that a step cannot be taken twice, and its prefill attends over the empty positions too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from halluapp.decoding.batch import RowBatch, StepOutput
from halluapp.decoding.hooks.early_exits import record_depths
from halluapp.decoding.hooks.interventions import apply_interventions
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Intervention

ALIGNED = 64  # lengths are whole multiples: attention kernels on GPUs want aligned masks


class FixedCache:
    """Keys and values of every layer, [R, H, T, d] each; slot [1]: the position of the token that is fed now.

    The part of a cache that a decoder of transformers uses when it is fed one token a row with mask and positions.
    """

    def __init__(self, keys: list[Tensor], values: list[Tensor], slot: Tensor):
        self.keys, self.values, self.slot = keys, values, slot

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes one token's keys and values [R, H, 1, d] in place -> those of all T positions; unused ones are 0."""
        layer_keys, layer_values = self.keys[layer_idx], self.values[layer_idx]
        return layer_keys.index_copy_(2, self.slot, keys), layer_values.index_copy_(2, self.slot, values)


@dataclass
class FixedRows:
    """The rows of a running decode, as `RowBatch`; all inputs of a step are tensors with constant addresses.

    mask [R, 1, 1, T]: 0 at visible keys, -inf elsewhere, in the keys' precision; positions [R, 1]; tokens
    [R, 1]: the token ids that are fed; past_length: the number of filled positions of the cache.
    """

    cache: FixedCache
    mask: Tensor
    positions: Tensor
    tokens: Tensor
    interventions: list[Intervention | None]
    image_mask: Tensor | None
    past_length: int
    cache_type: ClassVar[type[FixedCache]] = FixedCache

    @classmethod
    def of(cls, batch: RowBatch, length: int) -> Self:
        """Takes over a batch, with room for `length` tokens a row, layer by layer: at most one layer is held twice.

        The batch stays usable, also when memory runs out on the way: its cache is now a view of these buffers.
        """
        length = -(-length // ALIGNED) * ALIGNED
        rows, past_length = batch.mask.shape
        layers = batch.cache.layers
        keys = [_move_to_buffer(layer, "keys", length) for layer in layers]
        values = [_move_to_buffer(layer, "values", length) for layer in layers]
        mask = keys[0].new_full((rows, 1, 1, length), -torch.inf)
        mask[:, 0, 0, :past_length].masked_fill_(batch.mask.bool(), 0)
        positions = batch.positions[:, None].clone()
        cache = cls.cache_type(keys, values, positions.new_tensor([past_length]))
        return cls(
            cache, mask, positions, torch.zeros_like(positions), batch.interventions, batch.image_mask, past_length
        )

    @property
    def visible_mask(self) -> Tensor:
        """The part of the mask for the keys that a step attends to."""
        return self.mask

    def to_growing_batch(self) -> RowBatch:
        """The same rows with transformers' growing cache, which is a view of these buffers until its next token."""
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        cache = DynamicCache()
        for keys, values in zip(self.cache.keys, self.cache.values, strict=True):
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys[:, :, : self.past_length], values[:, :, : self.past_length]
            cache.layers.append(layer)
        mask = (self.mask[:, 0, 0, : self.past_length] == 0).long()
        return RowBatch(cache, mask, self.positions[:, 0].clone(), self.interventions, self.image_mask)

    def select(self, rows: list[int]) -> None:
        """Keeps these rows in this order; a row may be repeated. The tensors are other ones afterwards."""
        index = torch.tensor(rows, device=self.mask.device)
        for buffers in (self.cache.keys, self.cache.values):
            for layer, buffer in enumerate(buffers):
                buffers[layer] = buffer[index]
        self.mask, self.positions, self.tokens = self.mask[index], self.positions[index], self.tokens[index]
        self.image_mask = None if self.image_mask is None else self.image_mask[index]
        self.interventions = [self.interventions[row] for row in rows]

    def feed(self, tokens: Tensor) -> None:
        """Writes the next tokens [R] into the inputs of the step, and makes their own keys visible to them."""
        self.tokens.copy_(tokens[:, None])
        self.mask.index_fill_(3, self.cache.slot, 0)

    def advance(self, by: int = 1) -> None:
        """Moves the fed token into the past; by -1: moves the last one back, to be fed again."""
        self.positions.add_(by)
        self.cache.slot.add_(by)
        self.past_length += by

    @contextmanager
    def step_context(
        self, lvlm: LVLM, depths: dict[int, tuple[int, ...]]
    ) -> Iterator[tuple[Callable[[], StepOutput], list[Callable]]]:
        """Within the context: (the forward over the fed tokens, the hooks that must outlive a recording of it).

        The forward changes no counter: taken again, it writes the same values to the same position.
        """
        interventions = apply_interventions(lvlm, self.interventions, self.image_mask)
        with lvlm.lock, lvlm.dequantized.active(), interventions as hooks, record_depths(lvlm, depths) as hidden:

            def forward() -> StepOutput:
                logits = lvlm.forward(self.cache, self.visible_mask, self.positions, ids=self.tokens)
                return logits, dict(hidden)

            yield forward, hooks

    def run(self, lvlm: LVLM, depths: dict[int, tuple[int, ...]]) -> StepOutput:
        """One forward over the fed tokens."""
        with self.step_context(lvlm, depths) as (forward, _):
            return forward()

    def step(self, lvlm: LVLM, tokens: Tensor, depths: dict[int, tuple[int, ...]]) -> StepOutput:
        """As `RowBatch.step`."""
        self.feed(tokens)
        output = self.run(lvlm, depths)
        self.advance()
        return output


def _move_to_buffer(layer: Any, name: str, length: int) -> Tensor:
    """A layer's keys or values [R, H, used, d] in a buffer [R, H, length, d]; the layer becomes a view of it."""
    grown = getattr(layer, name)
    # Zeros, because a masked position still contributes 0 times its value, which must not be NaN.
    buffer = grown.new_zeros(*grown.shape[:2], length, grown.shape[3])
    buffer[:, :, : grown.shape[2]] = grown
    setattr(layer, name, buffer[:, :, : grown.shape[2]])
    return buffer
