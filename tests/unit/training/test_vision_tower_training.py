"""Training with `--vision`: gradients that reach the tower, and panels that show what the run showed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import OPEN
from tiny_towers import hooks, roughen
from torch.nn.functional import normalize
from training_runs import fresh, losses, objective, start

from halluapp.bench import training_step
from halluapp.data.pairs import read_pairs
from halluapp.decoding.hooks.vision_adapter import tower_adapter, visual_tokens
from halluapp.decoding.views import Views
from halluapp.lvlm import adapters
from halluapp.lvlm.types import Adapter
from halluapp.methods.base import Intervention
from halluapp.methods.registry import create
from halluapp.training import loop, peft_adapter, runs
from halluapp.training.measure import before_after


@pytest.mark.parametrize("mode", ["paper", "joint"])
@pytest.mark.parametrize("strategy", ["diffusion", "random"])
def test_an_untrained_policy_is_the_reference(tmp_path, mode: str, strategy: str) -> None:
    trained = objective(tmp_path, "chip", mode=mode, rejected_photo=strategy, vision=True)
    for row in (0, 5):
        for corrupted in (False, True):
            image_views, features = (
                trained.image(row, corrupted).features,
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
    image, _ = loop.sample_photo(trained, "", [])
    peft_margins, caption = before_after.margins(trained.lvlm, pairs), loop.sample_caption(trained, image)
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
    model.adapters["blind"] = Adapter("blind", model.adapters["mine"].deltas)
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
            trained.visual_tokens(trained.image(0)),
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
