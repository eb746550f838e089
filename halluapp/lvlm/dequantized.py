"""Small 4-bit models on the CPU: packed weights are dequantized once a process instead of once a token.

bitsandbytes dequantizes a layer's weights in every forward. For a model of a few million parameters that, not the
matrix product, is the cost of a token. The result is bit by bit that of the layer itself, so the texts do not change;
the packed weights stay in place for everything else (training, other threads).

There are two copies, [out, in] for the layers and [in, out] for the decode step without modules: a product with the
transposed view of the other copy rounds otherwise, and would not be the layer's own. MAX_BYTES counts both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from halluapp.lvlm.quantize import quantized_linears

MAX_BYTES = 192 * 2**20  # of both copies of dequantized weights; larger models use the packed ones
COPIES = 2  # [out, in] and [in, out]


class DequantizedLayers:
    """Dequantized weights of a model's 4-bit layers; empty where they do not fit or the model is not on the CPU."""

    def __init__(self, model: Any, max_bytes: int = MAX_BYTES):
        layers = list(quantized_linears(model).values()) if model.device.type == "cpu" else []
        size = COPIES * sum(layer.weight.quant_state.shape.numel() * _dtype(layer).itemsize for layer in layers)
        self.layers = [(layer, _dequantize(layer)) for layer in layers] if size <= max_bytes else []

    @cached_property
    def columns(self) -> dict[Any, Tensor]:
        """The weights by layer as [in, out]: for few rows a CPU reads them a quarter faster than [out, in]."""
        return {layer: weight.t().contiguous() for layer, weight in self.layers}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the context the layers compute with the dequantized weights. The caller holds the model's lock."""
        for layer, weight in self.layers:
            layer.forward = _forward(layer, weight)
        try:
            yield
        finally:
            for layer, _ in self.layers:
                del layer.forward  # the class's own forward shows again


def _dtype(layer: Any) -> torch.dtype:
    return layer.compute_dtype or torch.float32


@torch.no_grad()
def _dequantize(layer: Any) -> Tensor:
    import bitsandbytes.functional as bnb

    return bnb.dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(_dtype(layer))


def _forward(layer: Any, weight: Tensor):
    def forward(x: Tensor) -> Tensor:
        bias = None if layer.bias is None else layer.bias.to(weight.dtype)
        return F.linear(x.to(weight.dtype), weight, bias).to(x.dtype)

    return forward
