"""Adapters of the vision tower in decoding: applied to their own row's photo only, equal to peft's own forward."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_families
import torch
from tiny import MODELS, OPEN, lvlm, photo, run, visual
from tiny_adapters import fresh_lvlm, logits
from tiny_towers import TowerPasses, hooks, roughen, trained_tower
from training_runs import objective

from halluapp.decoding.batch import prefill
from halluapp.decoding.hooks.vision_adapter import VisionAdapter, adapted_vision, tower_adapter
from halluapp.decoding.plan import Prefix
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.lvlm import adapters, catalog
from halluapp.lvlm.types import Adapter, Delta
from halluapp.methods.base import Intervention
from halluapp.methods.registry import Baseline, Nullu, create
from halluapp.training import peft_adapter, vision_tower
from halluapp.training.methods.chip_recipe import ChipRecipe

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


@pytest.fixture(autouse=True)
def shared_models_keep_their_adapters(monkeypatch) -> None:
    """Other tests see the tiny models as they were."""
    for kind, quantization in MODELS:
        model = lvlm(kind, quantization)
        monkeypatch.setattr(model, "adapters", dict(model.adapters))


@over_models
def test_a_row_sees_the_photo_as_in_pefts_own_forward(kind: str, quantization: str, tmp_path) -> None:
    peft_model, wrapped = trained_tower(kind, quantization, tmp_path / "mine")
    model = lvlm(kind, quantization)
    adapter = model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    assert adapter.vision_deltas
    assert adapter.deltas
    assert set(adapter.vision_deltas) == set(vision_tower.trainable_layers(model))
    expected, plain = logits(peft_model), logits(model)
    assert torch.allclose(logits(model, Intervention(adapter="mine")), expected, atol=1e-4)
    blind = Adapter("blind", adapter.deltas)
    model.adapters["blind"] = blind
    assert not torch.allclose(logits(model, Intervention(adapter="blind")), expected, atol=1e-2)
    assert torch.equal(logits(model), plain)
    assert hooks(model) == 0
    with torch.no_grad():  # transformers' own path from pixels to logits, through peft's layers
        inputs = peft_model.native_inputs(photo(), OPEN)
        assert torch.allclose(wrapped(**inputs).logits[0, -1].float(), expected, atol=1e-3)
    peft_adapter.unwrap(peft_model, wrapped)
    assert torch.equal(logits(peft_model), plain)


@pytest.mark.parametrize("kind", sorted(tiny_families.BUILDERS))
def test_an_adapter_from_elsewhere_sees_as_in_pefts_own_forward_in_every_family(kind: str, tmp_path) -> None:
    from peft import LoraConfig, get_peft_model

    peft_model = catalog.load(str(tiny_families.folder(kind)), "none", "cpu", Path("/nowhere"))[0]
    model = tiny_families.lvlm(kind)
    wrapped = get_peft_model(peft_model.model, LoraConfig(r=2, lora_alpha=4, target_modules="all-linear"))
    roughen(wrapped)
    peft_adapter.save(tmp_path / "mine", wrapped.eval())
    adapter = adapters.load(model, tmp_path / "mine")
    assert adapter.vision_deltas
    assert adapter.deltas
    model.adapters["mine"] = adapter
    try:
        prefix, image_views = Prefix(0, "photo", Intervention(adapter="mine")), Views(model, tiny_families.photo())
        with torch.no_grad():
            ours = prefill(model, (prefix,), [OPEN], [image_views])[1][0]
            expected = wrapped(**tiny_families.inputs(kind, "none", OPEN)).logits[0, -1].float()
            blind = wrapped.unload()(**tiny_families.inputs(kind, "none", OPEN)).logits[0, -1].float()
    finally:
        model.adapters.pop("mine")
    assert torch.allclose(ours, expected, atol=2e-3)
    assert not torch.allclose(ours, blind, atol=2e-2)


def test_other_panels_keep_their_words_and_share_the_photo(tmp_path) -> None:
    model = lvlm("llava", "nf4")
    for name, language in (("both", True), ("eyes", False)):
        trained_tower("llava", "nf4", tmp_path / name, language)
        model.adapters[name] = adapters.load(model, tmp_path / name)
    assert not model.adapters["eyes"].deltas
    others = [Baseline(), Nullu(), create("vdd"), create("chip"), create("hacl")]
    eyes = [create("adapter:both"), create("adapter:eyes", strength=0.5), create("vcd")]
    before = run(model, Views(model, photo()), OPEN, others, max_new_tokens=8)
    with TowerPasses(model) as tower_passes:
        together = run(model, Views(model, photo()), OPEN, others + eyes, max_new_tokens=8)
    assert tower_passes.passes == 4  # the model's own look, one for each adapter, and VCD's noised photo
    assert all(together[method.name].ids == before[method.name].ids for method in others)
    for method in eyes:
        alone = run(model, Views(model, photo()), OPEN, [method], max_new_tokens=8)
        assert together[method.name].ids == alone[method.name].ids
    assert len({tuple(together[name].ids) for name in ("baseline", "adapter:both", "adapter:eyes")}) == 3
    assert hooks(model) == 0
    assert "see the photo" in create("adapter:eyes").explain(model, OPEN)


def test_strength_scales_what_is_added_to_the_tower(tmp_path) -> None:
    model = lvlm("pocket", "none")
    trained_tower("pocket", "none", tmp_path / "eyes", language=False)
    adapter = model.adapters["eyes"] = adapters.load(model, tmp_path / "eyes")
    plain = logits(model)
    near, whole = (logits(model, Intervention(adapter="eyes", adapter_strength=share)) for share in (1e-4, 1.0))
    assert 0 < (near - plain).abs().max() < 0.01 < (whole - plain).abs().max()
    half = Adapter("half", {}, {name: _scaled(delta, 0.5) for name, delta in adapter.vision_deltas.items()})
    model.adapters["half"] = half
    scaled, other = (
        logits(model, Intervention(adapter=n, adapter_strength=s)) for n, s in (("eyes", 0.5), ("half", 1.0))
    )
    assert torch.allclose(scaled, other, atol=1e-5)
    assert tower_adapter(model, Intervention(adapter="eyes", adapter_strength=0.0)) is None
    result = run(model, Views(model, photo()), OPEN, [Baseline(), create("adapter:eyes", strength=0)], max_new_tokens=6)
    assert result["adapter:eyes"].ids == result["baseline"].ids


def _scaled(delta: adapters.Delta, factor: float) -> adapters.Delta:
    return Delta(delta.down, delta.up, delta.scale * factor)


def test_additions_to_the_projector_act_without_another_pass(tmp_path) -> None:
    model, peft_model = lvlm("llava", "none"), fresh_lvlm("llava", "none")
    names = [n for n, m in peft_model.model.named_modules() if ".multi_modal_projector." in n and hasattr(m, "weight")]
    wrapped = peft_adapter.wrap(peft_model, ChipRecipe(rank=2), names, language=False)
    roughen(wrapped)
    peft_adapter.save(tmp_path / "mine", wrapped.eval())
    model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    views = Views(model, photo())
    with TowerPasses(model) as tower_passes:
        run(model, views, OPEN, [Baseline(), create("adapter:mine")], max_new_tokens=1)
    assert tower_passes.passes == 1
    adapter = logits(model, Intervention(adapter="mine"))
    assert torch.allclose(adapter, logits(peft_model), atol=1e-4)
    assert not torch.allclose(adapter, logits(model), atol=1e-2)


def test_hooks_are_gone_after_an_error_and_a_bare_photo_is_refused_in_a_sentence(tmp_path) -> None:
    model = lvlm("llava", "none")
    trained_tower("llava", "none", tmp_path / "eyes", language=False)
    adapter = model.adapters["eyes"] = adapters.load(model, tmp_path / "eyes")
    with pytest.raises(ZeroDivisionError), adapted_vision(model, VisionAdapter(adapter, 1.0)):
        assert hooks(model) == len(adapter.vision_deltas)
        raise ZeroDivisionError
    assert hooks(model) == 0
    result = run(model, visual("llava", "none"), OPEN, [Baseline(), create("adapter:eyes")], max_new_tokens=2)
    assert "photo itself is needed" in result["adapter:eyes"].end.error
    assert result["baseline"].ids


def test_a_layer_that_is_no_linear_one_does_not_fit(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    model = lvlm("llava", "none")
    trained_tower("llava", "none", tmp_path / "eyes", language=False)
    path = tmp_path / "eyes" / adapters.WEIGHTS
    tensors = load_file(path)
    key = "base_model.model.model.vision_tower.embeddings.patch_embedding.lora_{}.weight"
    tensors |= {key.format("A"): torch.zeros(2, 3, 8, 8), key.format("B"): torch.zeros(32, 2, 1, 1)}
    save_file(tensors, path)
    with pytest.raises(InputError, match="patch_embedding does not fit"):
        adapters.load(model, tmp_path / "eyes")


@pytest.mark.parametrize("heads", [1, 2])
def test_the_pocket_towers_block_is_pytorchs_own(heads: int) -> None:
    from halluapp.lvlm.families.pocket import Block

    torch.manual_seed(0)
    block = Block(32, heads, 96, 0.0, "gelu", batch_first=True, norm_first=True).eval()
    x = torch.randn(2, 9, 32)
    with torch.no_grad():
        assert torch.allclose(block(x), torch.nn.TransformerEncoderLayer.forward(block, x), atol=1e-5)


@over_models
def test_the_layers_are_those_that_features_depend_on(kind: str, quantization: str) -> None:
    names = vision_tower.trainable_layers(lvlm(kind, quantization))
    if kind == "llava":  # features are those of the last layer but one
        assert names
        assert all(".layers.0." in name for name in names)
    else:
        assert any("neck.reduce" in name for name in names)
        assert any("blocks.1.linear2" in name for name in names)
    assert not any("trunk" in name for name in names)
    assert hooks(lvlm(kind, quantization)) == 0


def test_a_tower_without_linear_layers_is_refused_in_one_sentence(tmp_path) -> None:
    from transformers import ResNetConfig, ResNetModel

    model = fresh_lvlm("llava", "none")
    shape = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    model.model.model.vision_tower = ResNetModel(shape).eval()
    with pytest.raises(
        InputError, match="no linear layer that an adapter could train; leave the tower frozen"
    ) as caption:
        objective(tmp_path, "chip", model, vision=True)
    assert "\n" not in str(caption.value)
