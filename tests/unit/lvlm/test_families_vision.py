"""The photo in every family: features, visual tokens, layouts, noise, and what of the model is quantized."""

from __future__ import annotations

import copy

import pytest
import tiny
import tiny_families
import torch
from tiny import CHOICE, OPEN, YES_NO, run
from tiny_families import (
    KINDS,
    LAYERS,
    MODELS,
    QWEN,
    SMOL,
    inputs,
    lvlm,
    photo,
    tokenizer,
    visual,
)

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.methods.registry import VDD, Baseline

TILES = ("internvl", "aya_vision")  # their features say how many tiles there are
over_families = pytest.mark.parametrize("kind", KINDS)
over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


@over_models
def test_visual_tokens_are_transformers_image_features(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    for seed, prompt in ((0, OPEN), (1, CHOICE), (2, YES_NO)):
        tensors = inputs(kind, quantization, prompt, seed)
        keys = ("pixel_values", "image_sizes", "image_grid_thw", "pixel_attention_mask", "qformer_input_ids")
        with torch.no_grad():
            part = model.model if kind == "instructblip" else model.model.model
            results = part.get_image_features(**{key: tensors[key] for key in keys if key in tensors}, return_dict=True)
            tokens = model.visual_tokens(visual(kind, quantization, seed), prompt)
        pooled = results.pooler_output  # one tensor a photo, or one of tiles
        expected = pooled.flatten(0, -2) if isinstance(pooled, torch.Tensor) else pooled[0]
        torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)


@over_families
def test_the_decoders_linear_layers_are_quantized_and_nothing_else(kind) -> None:
    model = lvlm(kind, "nf4")
    names = list(quantize.quantized_linears(model.model))
    decoder = {id(module) for module in model.layers.modules()}
    # q, k, v, o, gate, up, down; GLM has gate and up in one, and experts are no linear layers
    assert len(names) == {"glm4v": 6, "glm46v": 6, "qwen3_vl_moe": 4}.get(kind, 7) * LAYERS
    assert all(id(model.model.get_submodule(name)) in decoder for name in names)
    dense = [part for part in (model.tower, model.base_projector, model.head) for part in part.modules()]
    dense += list(model.model.qformer.modules()) if kind == "instructblip" else []
    assert len([part for part in dense if isinstance(part, torch.nn.Linear)]) > 10
    quantized = {id(part) for part in quantize.quantized_linears(model.model).values()}
    assert not any(id(part) in quantized for part in dense)
    assert quantize.quantized_linears(lvlm(kind, "none").model) == {}


@over_families
def test_noise_is_diffusion_of_the_normalised_pixels(kind) -> None:
    model = lvlm(kind)
    clean, same, noised, again, other = (
        model.encode_image(photo(1), step, seed).features
        for step, seed in ((0, 0), (0, 9), (500, 1), (500, 1), (500, 2))
    )
    assert torch.equal(clean, same)
    assert torch.equal(clean, visual(kind, "none", 1).features)
    assert torch.equal(noised, again)
    assert not torch.equal(noised, other)
    assert not torch.equal(noised, clean)
    pixels = model.pixels(photo(1))["pixel_values"]
    added = model._add_noise(pixels, 500, 1) - 0.8629 * pixels
    assert abs(float(added.std()) - 0.505) < 0.03
    assert abs(float(added.mean())) < 0.03
    with pytest.raises(ValueError, match="0 to 999"):
        model.encode_image(photo(1), 1000)
    if kind in QWEN:  # a still photo is given twice, as two moments: the noise is the same in both
        first, second = model._add_noise(pixels, 500, 1).unflatten(1, (3, 2, -1)).unbind(2)
        assert torch.equal(first, second)


def test_photos_of_other_shapes_have_other_layouts() -> None:
    fewer = {"smolvlm": 2, "idefics3": 2, **dict.fromkeys(("instructblip", "vipllava", "gemma3", *TILES), 1)}
    for kind in KINDS:
        layouts = {visual(kind, "none", seed).layout for seed in range(3)}
        assert len(layouts) == fewer.get(kind, 3), kind
        deepstack = 2 if kind in ("qwen3_vl", "qwen3_vl_moe") else 0
        assert len(visual(kind, "none", 0).deepstack) == deepstack, kind
    for kind in TILES:
        assert len({len(visual(kind, "none", seed).features) for seed in range(3)}) > 1, kind


@over_families
def test_photos_of_any_shape_can_be_seen(kind, monkeypatch) -> None:
    for size in ((1, 1), (3, 150), (150, 3), (1, 50), (333, 777)):
        model, odd = lvlm(kind), tiny.photo(1, size)
        monkeypatch.setattr(tiny_families, "photo", lambda _seed, odd=odd: odd)
        try:
            expected = inputs(kind, "none", OPEN)["input_ids"][0].tolist()
        except (ValueError, ZeroDivisionError):  # transformers' own processor knows no such shape
            assert max(size) / min(size) >= 50 or size == (1, 1)
            with pytest.raises(InputError, match="larger or less narrow"):
                model.encode_image(odd)
            continue
        image = model.encode_image(odd)
        tokens = model.visual_tokens(image, OPEN)
        ids = model.expand_image_token(model.prompt_ids(OPEN, "photo"), image, len(tokens))
        assert ids == expected, size
        assert tokens.isfinite().all(), size
        assert len(run(model, image, OPEN, [Baseline(), VDD()], max_new_tokens=2, ignore_end=True)["vdd"].ids) == 2


@pytest.mark.parametrize("kind", SMOL)
def test_a_photo_without_tiles_is_one_image(kind, monkeypatch) -> None:
    model = lvlm(kind)
    monkeypatch.setattr(model.image_processor, "do_image_splitting", False)
    image = model.encode_image(photo(0))
    tensors = inputs(kind, "none", OPEN, 0)
    ids = model.expand_image_token(model.prompt_ids(OPEN, "photo"), image, len(model.visual_tokens(image, OPEN)))
    assert image.layout == (0, 0)
    assert ids == tensors["input_ids"][0].tolist()


@pytest.mark.parametrize("kind", QWEN)
def test_large_photos_are_scaled_down(kind) -> None:
    from transformers import Qwen2VLImageProcessorPil

    from halluapp.lvlm.families.qwen_vl import MAX_VISUAL_TOKENS, Qwen25VL

    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 10**9}, patch_size=4, merge_size=2)
    model = Qwen25VL(lvlm(kind).model, tokenizer(kind), processor, "large")
    rows, columns = (model.pixels(photo(0).resize((900, 500)))["image_grid_thw"][0, 1:] // 2).tolist()
    assert 0.9 * MAX_VISUAL_TOKENS < rows * columns <= MAX_VISUAL_TOKENS


@over_families
def test_gradients_reach_a_projector_that_is_trained(kind) -> None:
    model = lvlm(kind)
    projector = copy.deepcopy(model.base_projector).requires_grad_(True)
    model.visual_tokens(visual(kind, "none"), OPEN, projector).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in projector.parameters())


def test_instructblip_queries_depend_on_the_prompt() -> None:
    model, image = lvlm("instructblip"), visual("instructblip", "none")
    one, same, other = (model.visual_tokens(image, prompt) for prompt in (OPEN, OPEN, YES_NO))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 0.01
    assert len(model.visual_tokens(image, "long " * 2000)) == len(one)
