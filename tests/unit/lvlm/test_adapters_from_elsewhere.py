"""Adapters that other programs trained: what peft adds is added, and what cannot be added is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file, save_file
from tiny_adapters import fresh_lvlm, logits

from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.methods.base import Intervention

TARGETS = ["q_proj", "down_proj"]


def saved_by_peft(folder: Path, **options) -> tuple[torch.Tensor, dict]:
    """A LoRA with random weights on the tiny LLaVA, saved by peft -> (its logits in peft, adapter_config.json)."""
    lvlm = fresh_lvlm("llava", "none")
    options = {"target_modules": TARGETS, "r": 4, "lora_alpha": 8, **options}
    wrapped = peft.get_peft_model(lvlm.model, peft.LoraConfig(**options))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.3 / weight.shape[1] ** 0.5, generator=generator)
    wrapped.save_pretrained(folder)  # which sorts the patterns: what counts is what peft reads
    lvlm = fresh_lvlm("llava", "none")
    peft.PeftModel.from_pretrained(lvlm.model, folder).eval()
    return logits(lvlm), json.loads((folder / adapters.CONFIG).read_text())


def rewrite(folder: Path, config: dict | None = None, rename=None, extra: dict | None = None) -> None:
    """Changes the two files of a saved adapter."""
    tensors = load_file(folder / adapters.WEIGHTS) | (extra or {})
    save_file({(rename or str)(key): value for key, value in tensors.items()}, folder / adapters.WEIGHTS)
    if config is not None:
        (folder / adapters.CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize(
    "options",
    [
        {"alpha_pattern": {r"layers\.0\.self_attn\.q_proj": 64, "q_proj": 16}},
        {"alpha_pattern": {"q_proj": 16, r"layers\.0\.self_attn\.q_proj": 64}, "rank_pattern": {"down_proj": 2}},
        {"use_rslora": True, "rank_pattern": {r"0\.mlp\.down_proj": 3, "down_proj": 6}},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "orthogonal"},
        {"target_modules": ["q_proj", "lm_head"]},
    ],
)
def test_patterns_and_kinds_count_as_in_peft(options, tmp_path) -> None:
    """Kind: alpha_pattern, where the first match wins; an unchanged copy of the head beside a LoRA on it."""
    expected, _ = saved_by_peft(tmp_path, **options)
    lvlm = fresh_lvlm("llava", "none")
    lvlm.adapters["theirs"] = adapters.load(lvlm, tmp_path)
    assert torch.allclose(logits(lvlm, Intervention(adapter="theirs")), expected, atol=1e-4)


OLD = ("base_model.model.model.language_model.", "base_model.model.language_model.model.")
ALONE = ("base_model.model.model.language_model.", "base_model.model.model.")


@pytest.mark.parametrize(("now", "before"), [OLD, ALONE])
def test_module_names_of_older_versions_are_understood(now, before, tmp_path) -> None:
    """Kind: module names before transformers 4.52, or of the text model alone."""
    expected, _ = saved_by_peft(tmp_path)
    rewrite(tmp_path, rename=lambda key: key.replace(now, before))
    lvlm = fresh_lvlm("llava", "none")
    lvlm.adapters["theirs"] = adapters.load(lvlm, tmp_path)
    assert torch.allclose(logits(lvlm, Intervention(adapter="theirs")), expected, atol=1e-4)


FAMILY_NAMES = {
    "llava_next": {
        "language_model.model.layers.0.self_attn.q_proj": "model.language_model.layers.0.self_attn.q_proj",
        "language_model.lm_head": "lm_head",
        "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj": (
            "model.vision_tower.encoder.layers.0.self_attn.q_proj"
        ),
        "multi_modal_projector.linear_1": "model.multi_modal_projector.linear_1",
    },
    "qwen2_5_vl": {
        "model.layers.1.mlp.up_proj": "model.language_model.layers.1.mlp.up_proj",
        "visual.blocks.0.attn.qkv": "model.visual.blocks.0.attn.qkv",
    },
    "smolvlm": {
        "model.text_model.layers.0.mlp.up_proj": "model.text_model.layers.0.mlp.up_proj",
        "model.layers.0.mlp.up_proj": "model.text_model.layers.0.mlp.up_proj",
    },
    "instructblip": {
        "language_model.model.layers.0.mlp.up_proj": "language_model.model.layers.0.mlp.up_proj",
        "model.layers.0.mlp.up_proj": "language_model.model.layers.0.mlp.up_proj",
        "language_model.lm_head": "language_model.lm_head",
    },
}


@pytest.mark.parametrize("kind", FAMILY_NAMES)
def test_every_family_has_its_older_names(kind) -> None:
    from halluapp.lvlm.adapters.names import ModuleNames

    names = ModuleNames(tiny_families.lvlm(kind))
    for old, now in FAMILY_NAMES[kind].items():
        assert now in names.modules
        assert names.resolve(old) == now
    assert names.resolve("model.layers.99.mlp.up_proj") is None
    assert names.resolve("transformer.h.0.attn") is None


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "PiSSA", "olora", "corda", "loftq", "lora_ga", "newer"])
def test_adapters_of_changed_base_weights_are_refused(start, tmp_path) -> None:
    """Kind: PiSSA and its siblings subtract from the base weights, which are not in the adapter's folder."""
    _, config = saved_by_peft(tmp_path)
    rewrite(tmp_path, {**config, "init_lora_weights": start})
    with pytest.raises(InputError, match="changed the model's own weights"):
        adapters.load(tiny.lvlm(), tmp_path)


def test_options_under_which_more_is_added_are_refused(tmp_path) -> None:
    _, config = saved_by_peft(tmp_path)
    for option in ("use_dora", "lora_bias", "use_bdlora"):
        rewrite(tmp_path, {**config, option: True})
        with pytest.raises(InputError, match=option):
            adapters.load(tiny.lvlm(), tmp_path)
    for option in ("modules_to_save", "target_parameters", "alora_invocation_tokens", "kasa_config"):
        rewrite(tmp_path, {**config, option: ["lm_head"]})
        with pytest.raises(InputError, match=option):
            adapters.load(tiny.lvlm(), tmp_path)


def test_base_weights_beside_an_adapter_must_be_the_models_own(tmp_path) -> None:
    """Kind: peft saves a copy of the head or the embeddings; a changed one would be lost in silence."""
    saved_by_peft(tmp_path)
    lvlm = tiny.lvlm()
    head = lvlm.model.lm_head.weight.detach().clone()
    table = lvlm.decoder.get_input_embeddings().weight.detach().clone()
    keys = ("base_model.model.lm_head.base_layer.weight", "base_model.model.language_model.model.embed_tokens.weight")
    rewrite(tmp_path, extra=dict(zip(keys, (head, table.bfloat16()), strict=True)))
    assert len(adapters.load(lvlm, tmp_path).deltas) == 2 * tiny.LAYERS
    for changed in (1.01 * head, head[:-1].contiguous()):
        rewrite(tmp_path, extra={keys[0]: changed})
        with pytest.raises(InputError, match="changed weights of lm_head"):
            adapters.load(lvlm, tmp_path)
    rewrite(tmp_path, extra={keys[0]: head, "base_model.model.score.weight": head.clone()})
    with pytest.raises(InputError, match=r"score\.weight"):
        adapters.load(lvlm, tmp_path)


def test_trained_biases_are_refused_and_untrained_ones_are_not(tmp_path) -> None:
    """Kind: bias="all" saves every bias of the base, changed or not."""
    saved_by_peft(tmp_path, bias="all")
    assert any("bias" in key for key in load_file(tmp_path / adapters.WEIGHTS))
    assert adapters.load(tiny.lvlm(), tmp_path).deltas
    key = next(key for key in load_file(tmp_path / adapters.WEIGHTS) if key.endswith("bias"))
    rewrite(tmp_path, extra={key: load_file(tmp_path / adapters.WEIGHTS)[key] + 1})
    with pytest.raises(InputError, match="changed weights"):
        adapters.load(tiny.lvlm(), tmp_path)


def test_a_folder_with_one_fault_names_it(tmp_path) -> None:
    """Kind: everything was "damaged or made for another model"."""
    _, config = saved_by_peft(tmp_path)
    lvlm, config_file, weights = tiny.lvlm(), tmp_path / adapters.CONFIG, tmp_path / adapters.WEIGHTS
    assert len(adapters.load(lvlm, weights).deltas) == len(adapters.load(lvlm, config_file).deltas) == 2 * tiny.LAYERS

    def fault(expected: str) -> None:
        with pytest.raises(InputError, match=expected):
            adapters.load(lvlm, tmp_path, "mine")

    config_file.unlink()
    fault("adapter_config.json is missing")
    for text, expected in (("{", "adapter_config.json.* damaged"), ("[]", "no JSON object"), ("{}", "kind None")):
        config_file.write_text(text)
        fault(expected)
    for change in ({"lora_alpha": "8"}, {"alpha_pattern": ["q_proj"]}, {"alpha_pattern": {"(": 1}}):
        config_file.write_text(json.dumps({**config, **change}))
        fault("lora_alpha or alpha_pattern")
    config_file.write_bytes(b"\xef\xbb\xbf" + json.dumps(config).encode())
    assert adapters.load(lvlm, tmp_path).deltas
    tensors = load_file(weights)
    half = {key: value for key, value in tensors.items() if not key.endswith("down_proj.lora_B.weight")}
    save_file(half, weights)
    fault(r"one of the two matrices of .*down_proj")
    save_file({key.replace("layers.1", "layers.7"): value for key, value in tensors.items()}, weights)
    fault(r"has no module .*layers\.7")
    save_file({key: value[:, :3].contiguous() for key, value in tensors.items()}, weights)
    fault("two matrices of different ranks")
    weights.write_bytes(b"\0" * 40)
    fault("adapter_model.safetensors .* damaged")
    weights.unlink()
    projector = {key: value for key, value in lvlm.base_projector.state_dict().items() if "linear_1" in key}
    save_file(projector, tmp_path / adapters.PROJECTOR)
    fault("projector.safetensors .* another model")
    (tmp_path / adapters.PROJECTOR).write_bytes(b"\0" * 40)
    fault("projector.safetensors .* damaged")
