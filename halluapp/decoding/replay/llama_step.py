"""The decode step of a small Llama on a CPU without the modules around its operations, which cost as much as these do.

The operations are those of transformers' `LlamaModel` with sdpa, in the same order. Logits are equal bit by bit where
the weights are the layers' own, and up to rounding where they are dequantized ones, which are read in another order.
The first step of every model is taken both ways and compared (`LlamaRows`).
Source: transformers, models/llama/modeling_llama.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from halluapp.decoding.batch import StepOutput
from halluapp.lvlm.base import LVLM

MOST_WEIGHTS = 100_000_000  # of the decoder: in larger ones the modules cost little beside the operations
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

Hooks = dict[nn.Module, list[Callable]]  # forward hooks by module, in the order in which they act


@dataclass(frozen=True)
class Linear:
    """A linear layer: its weight as [in, out], a view of its own or dequantized, and bias [out]."""

    module: nn.Module
    weight: Tensor
    bias: Tensor | None

    def __call__(self, hidden: Tensor, hooks: Hooks) -> Tensor:
        output = functional.linear(hidden, self.weight.t(), self.bias)
        for hook in hooks.get(self.module, ()):
            output = hook(self.module, (hidden,), output)
        return output


class LlamaStep:
    """One token a row through the decoder's layers: ids, cache, mask and positions -> logits."""

    def __init__(self, lvlm: LVLM):
        self._decoder, self._logits = lvlm.decoder, lvlm.logits
        dense = lvlm.dequantized.columns
        self._layers: list[tuple[Any, dict[str, Linear]]] = []
        for layer in lvlm.layers:
            modules = {name: getattr(getattr(layer, part), name) for part, name in _parts()}
            linears = {
                name: Linear(module, dense.get(module, module.weight.t()), module.bias)
                for name, module in modules.items()
            }
            self._layers.append((layer, linears))

    def __call__(
        self, cache: Any, mask: Tensor, positions: Tensor, ids: Tensor, hooks: Hooks, depths: dict[int, tuple[int, ...]]
    ) -> StepOutput:
        """ids, positions [R, 1]; mask [R, 1, 1, T], 0 at visible keys, -inf elsewhere -> as `RowBatch.step`.

        cache: as `FixedCache`, with one more position after it; depths: as in `record_depths`.
        """
        hidden = self._decoder.embed_tokens(ids)
        early = {(row, 0): hidden[row, -1] for row, exits in depths.items() if 0 in exits}
        cos, sin = (part[:, None] for part in self._decoder.rotary_emb(hidden, positions))
        for index, (layer, linears) in enumerate(self._layers):
            normed = _norm(layer.input_layernorm, hidden)
            hidden = hidden + _attention(layer.self_attn, index, linears, normed, (cos, sin), cache, mask, hooks)
            normed = _norm(layer.post_attention_layernorm, hidden)
            gate = layer.mlp.act_fn(linears["gate_proj"](normed, hooks))
            hidden = hidden + linears["down_proj"](gate * linears["up_proj"](normed, hooks), hooks)
            early |= {(row, index + 1): hidden[row, -1] for row, exits in depths.items() if index + 1 in exits}
        hidden = _norm(self._decoder.norm, hidden)[:, -1]
        logits = self._logits.forward(hidden)
        for hook in hooks.get(self._logits, ()):
            logits = hook(self._logits, (hidden,), logits)
        return logits, early


def obstacle(lvlm: LVLM) -> str:
    """Why this model's step is not taken so, in words; "" if it can be."""
    from transformers.models.llama import modeling_llama as llama

    if lvlm.device.type != "cpu":
        return "the model is not on the CPU"
    if type(lvlm.decoder) is not llama.LlamaModel:
        return f"its decoder is a {type(lvlm.decoder).__name__}, not a LlamaModel"
    if sum(getattr(one, "quant_state", one).shape.numel() for one in lvlm.decoder.parameters()) > MOST_WEIGHTS:
        return f"its decoder has more than {MOST_WEIGHTS:,} weights"
    kinds = {
        "self_attn": llama.LlamaAttention, "mlp": llama.LlamaMLP, "input_layernorm": llama.LlamaRMSNorm,
        "post_attention_layernorm": llama.LlamaRMSNorm,
    }  # fmt: skip
    if type(lvlm.final_norm) is not llama.LlamaRMSNorm:
        return "its layers are not Llama's own"
    dense = {module for module, _ in lvlm.dequantized.layers}
    for layer in lvlm.layers:
        modules = [getattr(getattr(layer, part), name) for part, name in _parts()]
        if any(type(getattr(layer, name)) is not kind for name, kind in kinds.items()):
            return "its layers are not Llama's own"
        if any(module not in dense and type(module) is not nn.Linear for module in modules):
            return "its linear layers are packed, or an adapter in training is around them"
    for module in [*lvlm.decoder.modules(), lvlm.head, lvlm.logits]:
        patched = "forward" in vars(module) and module not in dense
        if module._forward_hooks or module._forward_pre_hooks or patched:
            return "something listens to its modules, or stands in for them"
    precisions = {weight.dtype for _, weight in lvlm.dequantized.layers} | {lvlm.final_norm.weight.dtype}
    return "" if len(precisions) == 1 else "its layers compute in several precisions"


def _parts() -> list[tuple[str, str]]:
    return [("self_attn" if name[0] in "qkvo" else "mlp", name) for name in LINEARS]


def _norm(norm: Any, hidden: Tensor) -> Tensor:
    wide = hidden.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return norm.weight * scaled.to(hidden.dtype)


def _attention(
    attention: Any,
    index: int,
    linears: dict[str, Linear],
    hidden: Tensor,
    rotation: tuple[Tensor, Tensor],
    cache: Any,
    mask: Tensor,
    hooks: Hooks,
) -> Tensor:
    """The output of one layer's attention, [R, 1, D]."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    rows, (cos, sin) = len(hidden), rotation
    query, key, value = (
        linears[name](hidden, hooks).view(rows, 1, -1, attention.head_dim).transpose(1, 2)
        for name in ("q_proj", "k_proj", "v_proj")
    )
    query, key = query * cos + _rotate_half(query) * sin, key * cos + _rotate_half(key) * sin
    keys, values = cache.update(key, value, index)
    run = ALL_ATTENTION_FUNCTIONS[attention.config._attn_implementation]
    output, _ = run(attention, query, keys, values, mask, scaling=attention.scaling)
    return linears["o_proj"](output.reshape(rows, 1, -1), hooks)


def _rotate_half(states: Tensor) -> Tensor:
    half = states.shape[-1] // 2
    return torch.cat((-states[..., half:], states[..., :half]), dim=-1)
