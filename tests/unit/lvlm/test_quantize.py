"""The 4-bit policy on tiny NF4 models: what is quantized, that nothing is edited, and the CPU packing rule."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import KINDS, LAYERS, OPEN, RecordingMethod, folder, inputs, lvlm, photo, run, views

from halluapp.decoding.views import Views
from halluapp.lvlm import catalog, quantize
from halluapp.methods.registry import METHODS, Baseline

DENSE = ("vision_tower", "multi_modal_projector", "lm_head", "embed_tokens", "norm")


def _uneven(kind: str) -> list[str]:
    return quantize.uneven_layers(lvlm(kind, "none").model.config.text_config)


def _even_linears(dense: torch.nn.Module) -> list[str]:
    """Linear layers of the decoder whose rows are whole blocks."""
    return [
        name
        for name, layer in dense.named_modules()
        if isinstance(layer, torch.nn.Linear) and ".layers." in name and "language_model" in name
        and layer.in_features % quantize.BLOCK == 0
    ]  # fmt: skip


def _fresh(kind: str):
    """Loaded anew: these tests are about what the first forward of a process does to the weights."""
    return catalog.load(str(folder(kind)), "nf4", "cpu", Path("nowhere"))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_decoders_linear_layers_are_quantized_and_nothing_else(kind) -> None:
    model = lvlm(kind, "nf4")
    names = list(quantize.quantized_linears(model.model))
    assert sorted(names) == sorted(_even_linears(lvlm(kind, "none").model))
    assert len(names) == (7 if kind == "llava" else 7 - len(_uneven(kind))) * LAYERS  # q, k, v, o, gate, up, down
    assert not any(part in name for name in names for part in DENSE)
    for name, weight in model.model.named_parameters():
        assert weight.dtype == (torch.uint8 if name.removesuffix(".weight") in names else torch.float32), name
    assert quantize.quantized_linears(lvlm(kind, "none").model) == {}
    assert model.quantization == "nf4"
    assert lvlm(kind, "none").quantization == "none"


@pytest.mark.parametrize("kind", KINDS)
def test_every_quantized_layer_is_near_the_dense_one(kind) -> None:
    """NF4 costs about 9 % of a Gaussian weight; more means that it is decoded with wrong scales."""
    import bitsandbytes

    dense = dict(lvlm(kind, "none").model.named_parameters())
    for name, layer in quantize.quantized_linears(lvlm(kind, "nf4").model).items():
        again = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        weight = dense[f"{name}.weight"].data
        assert 0.05 < float((again - weight).norm() / weight.norm()) < 0.12, name
        assert layer.weight.quant_state.nested
        assert layer.weight.quant_state.quant_type == "nf4"


def _gradient(model) -> torch.Tensor:
    """Gradient of a loss to the input embeddings, through every quantized layer."""
    tensors = inputs(model, OPEN)
    with torch.no_grad():
        embeds = model.embed(model.prompt_ids(OPEN, "none"), None)[None]
    embeds = embeds.detach().requires_grad_(True)
    logits = model.model(inputs_embeds=embeds).logits
    torch.nn.functional.cross_entropy(logits[0, -4:], tensors["input_ids"][0, :4]).backward()
    assert embeds.grad is not None
    return embeds.grad


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_same_before_and_after_generating(kind) -> None:
    """bitsandbytes repacks weights on some CPUs in the first evaluation forward; gradients then silently vanish."""
    model = _fresh(kind)
    before = _gradient(model)
    assert float(before.abs().max()) > 0
    weights = {name: weight.clone() for name, weight in model.model.named_parameters()}
    run(model, Views(model, photo()), OPEN, [method() for method in METHODS.values()], max_new_tokens=4)
    model.model.generate(**inputs(model, OPEN), do_sample=False, max_new_tokens=4)
    after = _gradient(model)
    assert torch.equal(before, after)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.model.named_parameters())


def test_layers_of_uneven_width_stay_dense() -> None:
    from transformers import LlamaConfig

    def uneven(hidden: int, inner: int, **more) -> list[str]:
        return quantize.uneven_layers(LlamaConfig(hidden_size=hidden, intermediate_size=inner, **more))

    assert uneven(4096, 11008) == uneven(5120, 13824, num_attention_heads=40) == []  # LLaVA-1.5 7B and 13B
    assert uneven(320, 864, num_attention_heads=5) == ["down_proj"]
    assert uneven(64, 128, num_attention_heads=4, head_dim=24) == ["o_proj"]
    assert set(uneven(48, 96, num_attention_heads=4)) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "gate_up_proj", "down_proj",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_keep_portable_layout_reaches_every_layer(kind) -> None:
    model = lvlm(kind, "nf4")
    assert not any(layer.support_avx512bf16_for_cpu for layer in quantize.quantized_linears(model.model).values())
    assert quantize.keep_portable_layout(model.model) == len(quantize.quantized_linears(model.model))
    assert quantize.keep_portable_layout(lvlm(kind, "none").model) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_loading_twice_gives_the_same_model(kind) -> None:
    first, again = RecordingMethod(Baseline()), RecordingMethod(Baseline())
    run(lvlm(kind, "nf4"), views(kind, "nf4"), OPEN, [first], max_new_tokens=4)
    run(_fresh(kind), views(kind, "nf4"), OPEN, [again], max_new_tokens=4)
    torch.testing.assert_close(torch.stack(first.logits), torch.stack(again.logits), atol=1e-5, rtol=1e-5)


def test_without_bitsandbytes_the_model_is_dense_and_says_so(monkeypatch) -> None:
    monkeypatch.setattr(quantize, "available", lambda: False)
    model, notice = catalog.load(str(folder("llava")), "nf4", "cpu", Path("nowhere"))
    assert model.quantization == "none"
    assert "bitsandbytes" in notice
    assert notice.endswith(".")
    assert quantize.quantized_linears(model.model) == {}
