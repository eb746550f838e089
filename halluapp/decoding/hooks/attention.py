"""Raised attention to the photo for some rows of a batch: an addition to transformers' attention for one forward."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Intervention

FIRST_LAYER = 2 / 32  # share of the decoder below the first changed layer: the authors begin at layer 2 of 32


@dataclass(frozen=True)
class _Active:
    """strengths by row; image_mask [R, S]: visual tokens of the prefill; first_layer: where the addition begins.

    positions: of how many last positions the attention is raised.
    """

    strengths: dict[int, float]
    image_mask: Tensor
    first_layer: int
    positions: int = 1


_active: ContextVar[_Active] = ContextVar("attention")


def amplify_scores(scores: Tensor, image_keys: Tensor, strength: float) -> Tensor:
    """s + strength * |s| on the image's keys: scores [H, T] before mask and softmax, image_keys [T] bool -> [H, T].

    Source: PAI (Liu et al., ECCV 2024), equation 3.
    """
    return torch.where(image_keys, scores + strength * scores.abs(), scores)


@contextmanager
def amplify_attention(
    lvlm: LVLM, rows: list[Intervention | None], image_mask: Tensor | None, positions: int = 1
) -> Iterator[None]:
    """Within the context, attention of row r's last position to the image is raised by rows[r].attention_strength.

    image_mask [R, S], S the prefill's length. positions: more than 1 where a text is read as a whole, whose last
    positions were each once the last one of a decode step. transformers' attention runs first, with the model's mask,
    for all rows; then the last positions of these rows are computed again. Nothing else changes, and no row loses its
    causal mask. The caller holds `lvlm.lock`, so that no other forward of this model sees the change.
    """
    strengths = {
        row: change.attention_strength
        for row, change in enumerate(rows)
        if change is not None and change.attention_strength
    }
    if not strengths or image_mask is None:
        yield
        return
    config = lvlm.attention_config
    original = config._attn_implementation
    token = _active.set(_Active(strengths, image_mask, round(FIRST_LAYER * len(lvlm.layers)), positions))
    try:
        config._attn_implementation_internal = _register_attention(original)
        yield
    finally:
        config._attn_implementation_internal = original
        _active.reset(token)


def _register_attention(original: str) -> str:
    """The name in transformers' registry of `original` with our addition; both take the same mask."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    name = f"halluapp_{original}"
    if name not in ALL_ATTENTION_FUNCTIONS:

        def attention(module, query, key, value, attention_mask, **options):
            plain = sys.modules[type(module).__module__].eager_attention_forward if original == "eager" else None
            run = ALL_ATTENTION_FUNCTIONS.get_interface(original, plain)
            output, weights = run(module, query, key, value, attention_mask, **options)
            return _recompute_last(module, query, key, value, attention_mask, output, weights, options["scaling"])

        if original in ALL_MASK_ATTENTION_FUNCTIONS:
            ALL_MASK_ATTENTION_FUNCTIONS.register(name, ALL_MASK_ATTENTION_FUNCTIONS[original])
        AttentionInterface.register(name, attention)
    return name


def _recompute_last(
    module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    output: Tensor,
    weights: Tensor | None,
    scaling,
) -> tuple[Tensor, Tensor | None]:
    """output [R, S, H, d] and weights [R, H, S, T] with the last positions of the active rows computed again.

    query [R, H, S, d]; weights: None where this kind of attention gives none.
    """
    active = _active.get()
    if module.layer_idx < active.first_layer:
        return output, weights
    output, weights = output.clone(), weights if weights is None else weights.clone()
    for row, strength in active.strengths.items():
        image_keys = torch.zeros(key.shape[2], dtype=torch.bool, device=key.device)
        image_keys[: active.image_mask.shape[1]] = active.image_mask[row]
        for position in range(-min(active.positions, query.shape[2]), 0):
            end = key.shape[2] + position + 1  # later keys are none of this position's
            allowed = None if mask is None else mask[row if len(mask) > 1 else 0, :, position, :end]  # [1 or H, T]
            read = last_position_weights(
                query[row, :, position], key[row, :, :end], allowed, image_keys[:end], strength, scaling
            )
            output[row, position] = weighted_values(read, value[row, :, :end])
            if weights is not None:
                weights[row, :, position, :end] = read.to(weights.dtype)
    return output, weights


def weighted_values(weights: Tensor, value: Tensor) -> Tensor:
    """weights [H, T], value [H or fewer, T, d] -> [H, d]."""
    value = value.repeat_interleave(len(weights) // len(value), 0)  # queries of a group share their keys
    return (weights.to(value.dtype)[:, None] @ value)[:, 0]


def last_position_weights(
    query, key, allowed: Tensor | None, image_keys: Tensor, strength: float, scaling: float
) -> Tensor:
    """Attention of the last position in float32: query [H, d], key [H or fewer, T, d], image_keys [T] -> [H, T].

    allowed: mask [1 or H, T], True or 0 for visible keys; None: every key, as for the last position of a row without
    padding.
    """
    key = key.repeat_interleave(len(query) // len(key), 0)
    scores = (key @ query[..., None])[..., 0].float() * scaling  # [H, T]
    # Before the mask: of a photo behind a sliding window -inf + strength * inf would be NaN.
    scores = amplify_scores(scores, image_keys, strength)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf) if allowed.dtype == torch.bool else scores + allowed.float()
    return scores.softmax(-1)
