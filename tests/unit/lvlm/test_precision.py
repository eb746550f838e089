"""Weights in what the device can do, logits in float32 whatever the weights are in; a cache that keeps the past."""

from __future__ import annotations

import inspect
import warnings

import pytest
import tiny
import tiny_families
import torch
from tiny import OPEN, YES_NO, folder, run
from torch import nn
from transformers import DynamicCache

from halluapp.errors import InputError
from halluapp.lvlm import catalog, decoder
from halluapp.lvlm.weights import precision
from halluapp.methods.registry import VDD, Baseline
from halluapp.settings import Settings
from halluapp.training.batches.packed_forward import lm_logits

HALVES = ("bfloat16", "float16")


def _half(dtype: str):
    return catalog.load(str(folder("llava")), "none", "cpu", folder("llava"), dtype)[0]


@pytest.mark.parametrize("dtype", HALVES)
def test_logits_of_a_half_precision_model_are_the_float32_product(dtype) -> None:
    """The kind: logits rounded before they are subtracted."""
    model = _half(dtype)
    assert model.dtype == dtype
    hidden = torch.randn(3, 5, 64).to(getattr(torch, dtype))
    expected = hidden.float() @ model.head.weight.float().T
    assert model.logits(hidden).dtype == torch.float32
    torch.testing.assert_close(model.logits(hidden), expected)
    torch.testing.assert_close(lm_logits(model, hidden), expected)
    torch.testing.assert_close(model.read_out(hidden), model.final_norm(hidden).float() @ model.head.weight.float().T)
    rounded = model.head(hidden).float()
    assert float((rounded - expected).abs().max()) > 1e-3  # what it was before


@pytest.mark.parametrize("dtype", HALVES)
def test_decoding_reads_the_float32_product(dtype) -> None:
    model = _half(dtype)
    method = tiny.RecordingMethod(VDD())
    states = []
    handle = model.decoder.register_forward_hook(lambda _m, _i, output: states.append(output.last_hidden_state[:, -1]))
    run(model, model.encode_image(tiny.photo(1)), OPEN, [method], max_new_tokens=3, ignore_end=True)
    handle.remove()
    for logits, hidden in zip(method.logits, states, strict=True):
        torch.testing.assert_close(logits, hidden.float() @ model.head.weight.float().T)


def test_a_vocabulary_longer_than_a_slice_and_a_bias(monkeypatch) -> None:
    monkeypatch.setattr(precision, "VOCABULARY_SLICE", 7)
    head = nn.Linear(8, 50).to(torch.bfloat16).requires_grad_(False)
    hidden = torch.randn(2, 8, dtype=torch.bfloat16)
    expected = hidden.float() @ head.weight.float().T + head.bias.float()
    torch.testing.assert_close(precision.Float32Head(head)(hidden), expected)


def test_gradients_reach_the_hidden_states(monkeypatch) -> None:
    monkeypatch.setattr(precision, "VOCABULARY_SLICE", 7)
    head = nn.Linear(8, 50).to(torch.bfloat16).requires_grad_(False)
    hidden, scale = torch.randn(3, 2, 8, requires_grad=True), torch.randn(3, 2, 50)
    (precision.Float32Head(head)(hidden) * scale).sum().backward()
    torch.testing.assert_close(hidden.grad, scale @ head.weight.float())
    half = hidden.detach().bfloat16().requires_grad_()
    (precision.Float32Head(head)(half) * scale).sum().backward()
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(half.grad, (scale @ head.weight.float()).bfloat16())
    head.requires_grad_(True)  # a head that is trained gets its gradient too
    (precision.Float32Head(head)(half) * scale).sum().backward()
    torch.testing.assert_close(
        head.weight.grad.float(), torch.einsum("abv,abd->vd", scale, half.float()), rtol=1e-2, atol=5e-2
    )


def test_float32_logits_are_those_of_the_head_itself() -> None:
    model = tiny.lvlm()
    hidden = torch.randn(4, 64)
    assert torch.equal(model.logits(hidden), model.head(hidden))


@pytest.mark.parametrize(
    ("choice", "device", "capability", "dtype"),
    [
        ("auto", "cpu", None, torch.float32), ("auto", "cuda", (7, 5), torch.float16),
        ("auto", "cuda:1", (7, 0), torch.float16), ("auto", "cuda", (8, 0), torch.bfloat16),
        ("auto", "cuda", (9, 0), torch.bfloat16), ("float16", "cuda", (9, 0), torch.float16),
        ("bfloat16", "cpu", None, torch.bfloat16), ("float32", "cuda", (7, 5), torch.float32),
    ],
)  # fmt: skip
def test_the_dtype_is_what_the_card_can_do(choice, device, capability, dtype, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert precision.weight_dtype(choice, device) == dtype


def test_another_dtype_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="HALLUAPP_DTYPE is 'int4'; use auto, float32, bfloat16 or float16"):
        catalog.load(str(folder("llava")), "none", "cpu", folder("llava"), "int4")
    assert Settings.from_environment({"HALLUAPP_DTYPE": "float16"}).dtype == "float16"


@pytest.mark.parametrize("kind", [*tiny.KINDS, *tiny_families.KINDS])
def test_every_decoder_is_given_its_past_by_its_own_name(kind) -> None:
    """The kind: an argument that a later version renames falls into **kwargs and is lost in silence."""
    model = tiny.lvlm(kind) if kind in tiny.KINDS else tiny_families.lvlm(kind)
    name = decoder.cache_argument(type(model.decoder))
    assert name in inspect.signature(type(model.decoder).forward).parameters
    seen = model.encode_image(tiny.photo(1, (40, 30)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        run(model, seen, YES_NO, [Baseline(), VDD()], max_new_tokens=2, ignore_end=True)


class _Renamed(nn.Module):
    def forward(self, history=None, **kwargs):
        return history


class _Older(nn.Module):
    def forward(self, past_key_values=None, **kwargs):
        return past_key_values


def test_a_decoder_of_an_older_version_and_one_of_an_unknown_one() -> None:
    assert decoder.cache_argument(_Older) == "past_key_values"
    with pytest.raises(InputError, match=r"_Renamed takes its cache under an unknown name.*requirements\.txt"):
        decoder.cache_argument(_Renamed)


def test_a_past_that_is_not_kept_is_one_sentence(monkeypatch) -> None:
    model = tiny.lvlm()
    forward = type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, past, *rest, **named: forward(self, DynamicCache(), *rest, **named)
    )
    with pytest.raises(InputError, match="does not keep its past"):
        run(model, tiny.visual("llava", "none"), OPEN, [Baseline()], max_new_tokens=2)
