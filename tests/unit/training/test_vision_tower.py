"""Adapters of the vision tower: trained with gradients that reach it, and applied to their own row's photo only."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tiny_families
import torch
from tiny import MODELS, OPEN, lvlm, photo, run, visual
from tiny_adapters import fresh_lvlm as loaded
from tiny_adapters import logits
from torch.nn.functional import normalize
from training_runs import fresh, losses, objective, start

from halluapp.bench import training_step
from halluapp.data.pairs import read_pairs
from halluapp.decoding.batch import prefill
from halluapp.decoding.hooks.vision_adapter import VisionAdapter, adapted_vision, tower_adapter, visual_tokens
from halluapp.decoding.plan import Prefix
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.lvlm import adapters, catalog
from halluapp.methods.base import Intervention
from halluapp.methods.registry import Baseline, Nullu, create
from halluapp.training import loop, peft_adapter, runs, vision_tower
from halluapp.training.measure import before_after
from halluapp.training.methods.chip_recipe import ChipRecipe

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


@pytest.fixture(autouse=True)
def shared_models_keep_their_adapters(monkeypatch) -> None:
    """Other tests see the tiny models as they were."""
    for kind, quantization in MODELS:
        model = lvlm(kind, quantization)
        monkeypatch.setattr(model, "adapters", dict(model.adapters))


def roughen(wrapped, scale: float = 0.5) -> None:
    """Weights in both matrices, so that the adapter does something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in peft_adapter.trainable_parameters(wrapped):
            parameter.normal_(0, scale / parameter.shape[1] ** 0.5, generator=generator)


def trained(kind: str, quantization: str, out: Path, language: bool = True, rank: int = 4):
    """A model whose tower (and language model) peft has wrapped, saved to `out` -> (model, PeftModel)."""
    model = loaded(kind, quantization)
    wrapped = peft_adapter.wrap(model, ChipRecipe(rank=rank, alpha=8.0), vision_tower.trainable_layers(model), language)
    roughen(wrapped)
    wrapped.eval()
    peft_adapter.save(out, wrapped, about={"model": model.name})
    return model, wrapped


def hooks(model) -> int:
    """Forward hooks on linear layers anywhere in the model; transformers itself hangs some on others."""
    linears = (part for part in model.model.modules() if isinstance(part, torch.nn.Linear))
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in linears)


class Counted:
    """Counts the passes of a CLIP tower while it is entered."""

    def __init__(self, model):
        self.module, self.passes = model.tower.encoder.layers[0], 0

    def __enter__(self):
        def count(*_):
            self.passes += 1

        self.handle = self.module.register_forward_hook(count)
        return self

    def __exit__(self, *_):
        self.handle.remove()


@over_models
def test_a_row_sees_the_photo_as_in_pefts_own_forward(kind: str, quantization: str, tmp_path) -> None:
    peft_model, wrapped = trained(kind, quantization, tmp_path / "mine")
    model = lvlm(kind, quantization)
    adapter = model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    assert adapter.vision_deltas
    assert adapter.deltas
    assert set(adapter.vision_deltas) == set(vision_tower.trainable_layers(model))
    expected, plain = logits(peft_model), logits(model)
    assert torch.allclose(logits(model, Intervention(adapter="mine")), expected, atol=1e-4)
    blind = adapters.Adapter("blind", adapter.deltas)
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
        trained("llava", "nf4", tmp_path / name, language)
        model.adapters[name] = adapters.load(model, tmp_path / name)
    assert not model.adapters["eyes"].deltas
    others = [Baseline(), Nullu(), create("vdd"), create("chip"), create("hacl")]
    eyes = [create("adapter:both"), create("adapter:eyes", strength=0.5), create("vcd")]
    before = run(model, Views(model, photo()), OPEN, others, max_new_tokens=8)
    with Counted(model) as tower_passes:
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
    trained("pocket", "none", tmp_path / "eyes", language=False)
    adapter = model.adapters["eyes"] = adapters.load(model, tmp_path / "eyes")
    plain = logits(model)
    near, whole = (logits(model, Intervention(adapter="eyes", adapter_strength=share)) for share in (1e-4, 1.0))
    assert 0 < (near - plain).abs().max() < 0.01 < (whole - plain).abs().max()
    half = adapters.Adapter("half", {}, {name: _scaled(delta, 0.5) for name, delta in adapter.vision_deltas.items()})
    model.adapters["half"] = half
    scaled, other = (
        logits(model, Intervention(adapter=n, adapter_strength=s)) for n, s in (("eyes", 0.5), ("half", 1.0))
    )
    assert torch.allclose(scaled, other, atol=1e-5)
    assert tower_adapter(model, Intervention(adapter="eyes", adapter_strength=0.0)) is None
    result = run(model, Views(model, photo()), OPEN, [Baseline(), create("adapter:eyes", strength=0)], max_new_tokens=6)
    assert result["adapter:eyes"].ids == result["baseline"].ids


def _scaled(delta: adapters.Delta, factor: float) -> adapters.Delta:
    return adapters.Delta(delta.down, delta.up, delta.scale * factor)


def test_additions_to_the_projector_act_without_another_pass(tmp_path) -> None:
    model, peft_model = lvlm("llava", "none"), loaded("llava", "none")
    names = [n for n, m in peft_model.model.named_modules() if ".multi_modal_projector." in n and hasattr(m, "weight")]
    wrapped = peft_adapter.wrap(peft_model, ChipRecipe(rank=2), names, language=False)
    roughen(wrapped)
    peft_adapter.save(tmp_path / "mine", wrapped.eval())
    model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    views = Views(model, photo())
    with Counted(model) as tower_passes:
        run(model, views, OPEN, [Baseline(), create("adapter:mine")], max_new_tokens=1)
    assert tower_passes.passes == 1
    adapter = logits(model, Intervention(adapter="mine"))
    assert torch.allclose(adapter, logits(peft_model), atol=1e-4)
    assert not torch.allclose(adapter, logits(model), atol=1e-2)


def test_hooks_are_gone_after_an_error_and_a_bare_photo_is_refused_in_a_sentence(tmp_path) -> None:
    model = lvlm("llava", "none")
    trained("llava", "none", tmp_path / "eyes", language=False)
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
    trained("llava", "none", tmp_path / "eyes", language=False)
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

    model = loaded("llava", "none")
    shape = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    model.model.model.vision_tower = ResNetModel(shape).eval()
    with pytest.raises(
        InputError, match="no linear layer that an adapter could train; leave the tower frozen"
    ) as caption:
        objective(tmp_path, "chip", model, vision=True)
    assert "\n" not in str(caption.value)


@pytest.mark.parametrize("mode", ["paper", "joint"])
@pytest.mark.parametrize("strategy", ["diffusion", "random"])
def test_an_untrained_policy_is_the_reference(tmp_path, mode: str, strategy: str) -> None:
    trained = objective(tmp_path, "chip", mode=mode, rejected_photo=strategy, vision=True)
    for row in (0, 5):
        for corrupted in (False, True):
            image_views, features = (
                trained.projector_input(row, corrupted),
                (trained.features.corrupted if corrupted else trained.features.clean),
            )
            assert image_views.requires_grad
            assert torch.equal(image_views.detach(), features[trained.examples[row].photo])
    rows = list(range(trained.recipe.batch))  # as the reference was computed: the same rows, rounded in the same way
    _, numbers = trained.losses(rows, 0)
    for term in ("response", "visual", *(["segment"] if mode == "paper" else [])):
        assert numbers[term] == pytest.approx(math.log(2), abs=1e-6)
    assert numbers["token"] == pytest.approx(0, abs=1e-6)
    assert numbers["reward_margin"] == 0
    trained.undo()


@pytest.mark.parametrize("kind, settings", [("chip", {}), ("hacl", {}), ("hacl", {"train": "both"})])
def test_gradients_reach_the_tower_and_nothing_frozen(tmp_path, kind: str, settings: dict) -> None:
    model = fresh()
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    trained = objective(tmp_path, kind, model, vision=True, **settings)
    trained.train(True)
    trained.losses([0, 1, 4], 0)[0].backward()
    own_parameters = {id(p) for group in trained.parameter_groups() for p in group["params"]}
    moved = {name for name, p in model.model.named_parameters() if p.grad is not None and p.grad.any()}
    assert all(id(p) in own_parameters for p in model.model.parameters() if p.grad is not None)
    assert all(f"{name}.lora_B.default.weight" in moved for name in trained.tower_layers)
    assert any("language_model" in name for name in moved) is (kind == "chip" or bool(settings))
    trained.undo()
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.named_parameters())


def test_the_packed_step_has_the_loss_and_gradients_of_six_forwards(tmp_path) -> None:
    trained = objective(tmp_path, "chip", rank=2, vision=True)
    roughen(trained.wrapped, 0.1)
    params = peft_adapter.trainable_parameters(trained.wrapped)
    packed, plain = (
        trained.losses([0, 1, 3], 0)[0],
        training_step.separate_forwards_loss(trained, [0, 1, 3], encode=True),
    )
    assert torch.allclose(packed, plain, atol=1e-4)
    assert (packed - 3 * math.log(2)).abs() > 0.01
    for one, two in zip(torch.autograd.grad(packed, params), torch.autograd.grad(plain, params), strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)
    trained.undo()


def test_checkpointing_gives_the_same_gradients(tmp_path) -> None:
    result = []
    for checkpointing in (False, True):
        trained = objective(
            tmp_path / str(checkpointing), "chip", vision=True, checkpointing=checkpointing, dropout=0.3
        )
        roughen(trained.wrapped, 0.1)
        trained.train(True)
        torch.manual_seed(1)
        trained.losses([0, 3], 0)[0].backward()
        result.append([p.grad for p in peft_adapter.trainable_parameters(trained.wrapped)])
        trained.undo()
    assert all(torch.allclose(one, two, rtol=1e-3, atol=1e-6) for one, two in zip(*result, strict=True))


def test_dropout_is_that_of_the_adapter_only(tmp_path) -> None:
    trained = objective(tmp_path, "chip", vision=True, dropout=0.3)
    trained.train(True)
    on = {name for name, part in trained.lvlm.tower.named_modules() if part.training}
    assert on
    assert all("lora_dropout" in name for name in on)
    trained.train(False)
    assert not any(part.training for part in trained.lvlm.tower.modules())
    trained.undo()


def test_a_killed_run_goes_on_with_the_same_curve_and_is_a_panel(tmp_path, monkeypatch) -> None:
    settings = {"vision": True, "dropout": 0.3}
    whole, killed, step = start(tmp_path, "chip", "whole", **settings), None, loop._step
    loop.train(whole, fresh())
    killed = start(tmp_path, "chip", "killed", **settings)

    def until_three(*inputs):
        if inputs[3] == 3:
            raise KeyboardInterrupt
        return step(*inputs)

    monkeypatch.setattr(loop, "_step", until_three)
    with pytest.raises(KeyboardInterrupt):
        loop.train(killed, fresh())
    monkeypatch.setattr(loop, "_step", step)
    loop.train(runs.create(killed.folder, killed.config(), resume=True), fresh())
    assert losses(killed) == losses(whole)
    model = fresh()
    one, two = (adapters.load(model, training_run.adapter) for training_run in (whole, killed))
    assert one.vision_deltas
    assert all(torch.equal(delta.up, two.vision_deltas[name].up) for name, delta in one.vision_deltas.items())
    assert any(delta.up.any() for delta in one.vision_deltas.values())
    assert "--vision" in whole.config().command(Path("out"))


def test_what_is_measured_and_said_in_training_is_what_the_saved_adapter_does(tmp_path) -> None:
    trained = objective(tmp_path, "chip", vision=True)
    roughen(trained.wrapped)
    trained.train(False)
    pairs = read_pairs(tmp_path / "pairs")
    peft_margins, caption = before_after.margins(trained.lvlm, pairs), loop.sample_caption(trained, "", [])
    images = normalize(before_after.end_states(trained.lvlm, pairs)[0], dim=-1)
    trained.save(tmp_path / "out", {})
    trained.undo()
    model = trained.lvlm
    model.adapters["mine"] = adapters.load(model, tmp_path / "out")
    change = Intervention(adapter="mine")
    ours = before_after.margins(model, pairs, change)
    for name in ("margin", "visual_margin"):
        assert ours[name] == pytest.approx(peft_margins[name], abs=1e-3)
    assert torch.allclose(normalize(before_after.end_states(model, pairs, change)[0], dim=-1), images, atol=1e-4)
    model.adapters["blind"] = adapters.Adapter("blind", model.adapters["mine"].deltas)
    blind = before_after.margins(model, pairs, Intervention(adapter="blind"))
    assert max(abs(a - b) for a, b in zip(ours["margin"], blind["margin"], strict=True)) > 0.01
    openers = [pairs[0].open]
    panel = before_after.generate_answers(model, openers, "Describe this image in detail.", create("adapter:mine"))[0]
    assert len(caption) > 40
    assert panel[:40] == caption[:40]
    plain = before_after.generate_answers(model, openers, "Describe this image in detail.")[0]
    assert panel != plain
    assert hooks(model) == 0


@pytest.mark.parametrize("train", ["projector", "both"])
def test_hacls_projector_reads_the_tower_that_was_trained_with_it(tmp_path, train: str) -> None:
    trained = objective(tmp_path, "hacl", vision=True, train=train)
    roughen(trained.wrapped)
    with torch.no_grad():
        for parameter in trained.projector.parameters():
            parameter.mul_(1.5)
        expected, features = (
            trained.visual_tokens(0),
            trained.lvlm.project(trained.features.clean[0].float(), trained.projector),
        )
    trained.save(tmp_path / "out", {})
    trained.undo()
    model, change = trained.lvlm, Intervention(adapter="mine")
    model.adapters["mine"] = adapters.load(model, tmp_path / "out")
    image_views = Views(model, trained.pairs[0].open()).at(0, tower_adapter(model, change))
    with torch.no_grad():
        ours = visual_tokens(model, image_views, OPEN, change)
    assert torch.allclose(ours, expected, atol=0.02)
    assert not torch.allclose(ours, features, atol=0.1)
