"""Adapters as rows of the one batch: equal to peft's own forward, and the shared weights are never touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import LAYERS, MODELS, OPEN, Answer, folder, hooks, lvlm, photo, run, visual
from tiny_adapters import fresh_lvlm, logits, trained_adapter

from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm import adapters, catalog
from halluapp.methods.base import Intervention
from halluapp.methods.registry import Baseline, Nullu, create
from halluapp.training import peft_adapter


@pytest.fixture(autouse=True)
def shared_models_keep_their_adapters(monkeypatch) -> None:
    """Other tests see the tiny models as they were."""
    for kind, quantization in MODELS:
        model = lvlm(kind, quantization)
        monkeypatch.setattr(model, "adapters", dict(model.adapters))


over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


@over_models
@pytest.mark.parametrize("targets", ["attention", "all"])
def test_a_row_with_an_adapter_is_pefts_own_forward(kind: str, quantization: str, targets: str, tmp_path) -> None:
    theirs, wrapped = trained_adapter(kind, quantization, tmp_path / "mine", targets=targets, rank=4, alpha=8.0)
    model = lvlm(kind, quantization)
    model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    expected, plain = logits(theirs), logits(model)
    assert torch.allclose(logits(model, Intervention(adapter="mine")), expected, atol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)
    with peft_adapter.reference(wrapped):
        assert torch.allclose(logits(theirs), plain, atol=1e-5)
    peft_adapter.unwrap(theirs, wrapped)
    assert torch.equal(logits(theirs), plain)


def test_rows_of_one_batch_do_not_disturb_each_other(tmp_path) -> None:
    model = lvlm("llava", "nf4")
    for name, rank in (("chip", 4), ("hacl", 2)):
        trained_adapter("llava", "nf4", tmp_path / name, rank=rank)
        model.adapters[name] = adapters.load(model, tmp_path / name)
    methods = [Baseline(), create("chip"), create("hacl"), create("chip", strength=0.0), Nullu()]
    methods[3:4] = [create("adapter:chip", strength=0.5)]
    image = visual("llava", "nf4")
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    together = run(model, image, OPEN, methods, max_new_tokens=8)
    for method in methods:
        alone: Answer = run(model, image, OPEN, [method], max_new_tokens=8)[method.name]
        assert together[method.name].ids == alone.ids
    assert len({tuple(answer.ids) for answer in together.values()}) >= 4
    assert hooks(model) == 0
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.named_parameters())


def test_strength_0_is_the_baseline(tmp_path) -> None:
    model = lvlm("llava", "none")
    trained_adapter("llava", "none", tmp_path / "chip")
    model.adapters["chip"] = adapters.load(model, tmp_path / "chip")
    answers = run(model, visual("llava", "none"), OPEN, [Baseline(), create("chip", strength=0)], max_new_tokens=6)
    assert answers["chip"].ids == answers["baseline"].ids


def test_an_adapter_may_be_a_projector(tmp_path) -> None:
    model = lvlm("pocket", "none")
    peft_adapter.save(tmp_path / "hacl", projector=model.projector("adavib"))
    model.adapters["hacl"] = adapters.load(model, tmp_path / "hacl")
    mine = logits(model, Intervention(adapter="hacl"))
    assert torch.allclose(mine, logits(model, Intervention(projector="adavib")), atol=0.05)  # saved in float16
    assert "projector" in create("hacl").explain(model, OPEN)


def test_adapters_beside_a_checkpoint_are_loaded(tmp_path) -> None:
    import shutil

    shutil.copytree(folder("llava"), tmp_path / "model")
    trained_adapter("llava", "none", tmp_path / "model" / "adapters" / "chip", rank=3)
    model = catalog.load(str(tmp_path / "model"), "none", "cpu", Path("/nowhere"))[0]
    assert {"chip", "hacl"} <= set(model.adapters)
    assert len(model.adapters["chip"].deltas) == 7 * LAYERS


def test_pickles_and_other_kinds_are_refused_in_one_sentence(tmp_path) -> None:
    model = lvlm("llava", "none")
    with pytest.raises(InputError, match="holds no adapter"):
        adapters.load(model, tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="can run code"):
        adapters.load(model, tmp_path)
    trained_adapter("llava", "none", tmp_path / "good")
    config = json.loads((tmp_path / "good" / adapters.CONFIG).read_text())
    for change, message in (({"peft_type": "IA3"}, "only LoRA"), ({"use_dora": True}, "use_dora")):
        (tmp_path / "good" / adapters.CONFIG).write_text(json.dumps({**config, **change}))
        with pytest.raises(InputError, match=message):
            adapters.load(model, tmp_path / "good")
    (tmp_path / "good" / adapters.CONFIG).write_text(json.dumps(config))
    (tmp_path / "good" / adapters.WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged"):
        adapters.load(model, tmp_path / "good")
    key = "base_model.model.model.language_model.layers.0.mlp.down_proj.lora_{}.weight"
    other = {key.format("A"): torch.zeros(2, 7), key.format("B"): torch.zeros(7, 2)}
    save_file(other, tmp_path / "good" / adapters.WEIGHTS)
    with pytest.raises(InputError, match="another model"):
        adapters.load(model, tmp_path / "good")


def test_a_missing_adapter_is_said_and_others_go_on() -> None:
    model = fresh_lvlm("llava", "none")
    answers = run(model, model.encode_image(photo()), OPEN, [Baseline(), create("adapter:gone")], max_new_tokens=2)
    assert "No adapter gone is loaded" in answers["adapter:gone"].end.error
    assert answers["baseline"].ids
    with pytest.raises(MissingWeights):
        model.adapter("gone")
    with pytest.raises(InputError, match="must be a name"):
        create("adapter: ")
