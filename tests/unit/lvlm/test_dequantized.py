"""Decoded weights of small 4-bit models: the layers' own numbers, for the time of a forward, within a limit."""

from __future__ import annotations

import pytest
import torch
from tiny import KINDS, lvlm

from halluapp.lvlm.dequantized import DequantizedLayers
from halluapp.lvlm.quantize import quantized_linears


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_decoded_layers_compute_bit_by_bit_what_packed_ones_do(kind) -> None:
    model = lvlm(kind, "nf4").model
    for name, layer in quantized_linears(model).items():
        for rows in (1, 5):
            x = torch.randn(rows, 3, layer.in_features)
            packed = layer(x)
            with DequantizedLayers(model).active():
                assert "forward" in vars(layer), name
                assert torch.equal(layer(x), packed), name
            assert "forward" not in vars(layer), name


def test_packed_weights_stay_in_place_also_after_an_error() -> None:
    model = lvlm("llava", "nf4").model
    before = {name: layer.weight.data.clone() for name, layer in quantized_linears(model).items()}
    with pytest.raises(RuntimeError, match="in the middle"), DequantizedLayers(model).active():
        raise RuntimeError("in the middle")
    for name, layer in quantized_linears(model).items():
        assert torch.equal(layer.weight.data, before[name])
        assert "forward" not in vars(layer)


def test_what_is_dense_or_too_large_is_left_alone() -> None:
    assert DequantizedLayers(lvlm("llava", "none").model).layers == []
    packed = lvlm("llava", "nf4").model
    layers = quantized_linears(packed).values()
    dense = DequantizedLayers(packed)
    copies = [*(weight for _, weight in dense.layers), *dense.columns.values()]
    assert len({weight.data_ptr() for weight in copies}) == 2 * len(layers)
    size = sum(weight.nbytes for weight in copies)
    assert len(DequantizedLayers(packed, size).layers) == len(layers)
    assert DequantizedLayers(packed, size - 1).layers == []
