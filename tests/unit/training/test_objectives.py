"""Objectives on tiny real models: gradients, the packed step, undo; measured maps and the cache on disk."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conformity import conforms
from tiny import OPEN, photo, run
from training_runs import KINDS, TEXTS, fresh, objective, pairs_in

from halluapp.bench import training_step
from halluapp.data.pairs import read_pairs
from halluapp.methods.registry import Baseline
from halluapp.training import peft_adapter
from halluapp.training.batches import disk_cache
from halluapp.training.batches.packed_forward import PackedRow, answer_ids, packed_forward
from halluapp.training.measure import before_after
from halluapp.training.methods.chip_recipe import STRATEGIES


def gradients(trained, rows) -> list[torch.Tensor]:
    torch.manual_seed(3)
    loss, _ = trained.losses(rows, 0)
    params = [p for group in trained.parameter_groups() for p in group["params"] if p.requires_grad]
    return [g for g in torch.autograd.grad(loss, params, allow_unused=True) if g is not None]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_same_after_a_generate_in_the_same_process(tmp_path, kind):
    """On CPUs with AVX-512-BF16 bitsandbytes would repack the weights in the first evaluation forward."""
    trained = objective(tmp_path, kind)
    if kind == "chip":
        with torch.no_grad():
            for parameter in peft_adapter.trainable_parameters(trained.wrapped):
                parameter.add_(0.05)
    before = gradients(trained, [0, 1, 2])
    run(trained.lvlm, trained.lvlm.encode_image(photo()), OPEN, [Baseline()], max_new_tokens=4)
    trained.lvlm.model.generate(**trained.lvlm.native_inputs(photo(), OPEN), max_new_tokens=3)
    after = gradients(trained, [0, 1, 2])
    assert len(before) == len(after) > 3
    assert any(g.any() for g in before)
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)
    trained.undo()


def test_the_packed_step_has_the_loss_and_gradients_of_six_forwards(tmp_path):
    trained = objective(tmp_path, "chip", rank=2)
    with torch.no_grad():
        for parameter in peft_adapter.trainable_parameters(trained.wrapped):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    params = peft_adapter.trainable_parameters(trained.wrapped)
    packed, plain = (
        trained.losses([0, 1, 3], 0)[0],
        training_step.separate_forwards_loss(trained, [0, 1, 3], encode=True),
    )
    ours, separate = float(packed.detach()), float(plain.detach())
    assert ours == pytest.approx(separate, abs=1e-4)
    assert abs(ours - 3 * math.log(2)) > 0.01
    for one, two in zip(torch.autograd.grad(packed, params), torch.autograd.grad(plain, params), strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)
    trained.undo()


def test_the_step_bench_reports_equal_losses_and_a_ratio(tmp_path):
    result = training_step.run(fresh(), read_pairs(pairs_in(tmp_path / "pairs")), batch=2, rounds=1)
    conforms("train-bench", result)
    assert result["loss_difference"] < 1e-4
    assert result["ratio"] > 0
    assert result["ratio_features_kept"] > 0


@pytest.mark.parametrize("mode", ["paper", "joint"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_untrained_policy_is_the_reference(tmp_path, mode, strategy):
    trained = objective(tmp_path, "chip", mode=mode, rejected_photo=strategy)
    _, numbers = trained.losses([0, 1, 2, 5], 0)
    for term in ("response", "visual", *(["segment"] if mode == "paper" else [])):
        assert numbers[term] == pytest.approx(math.log(2), abs=1e-4)
    assert numbers["token"] == pytest.approx(0, abs=1e-5)
    trained.undo()


def test_levels_can_be_switched_off(tmp_path):
    trained = objective(tmp_path, "chip", segment=0.0, token=0.0, visual=0.0)
    _, numbers = trained.losses([0, 1], 0)
    assert {"response"} == {"response", "segment", "token", "visual"} & set(numbers)
    trained.undo()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_the_mean_of_its_pairs(tmp_path, kind):
    trained = objective(tmp_path, kind, **({"contrast": 0.0} if kind == "hacl" else {}))
    with torch.no_grad():
        whole = float(trained.losses([0, 2], 0)[0])
        parts = [float(trained.losses([row], 0)[0]) for row in (0, 2)]
    assert whole == pytest.approx(sum(parts) / 2, abs=1e-3)
    trained.undo()


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_trained_has_gradients_and_undo_leaves_the_model_as_it_was(tmp_path, kind):
    model = fresh()
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    trained = objective(tmp_path, kind, model)
    trained.losses([0, 1], 0)[0].backward()
    own_parameters = {id(p) for group in trained.parameter_groups() for p in group["params"]}
    assert all(id(p) in own_parameters for p in model.model.parameters() if p.grad is not None)
    trained.undo()
    assert {name: None for name, _ in model.model.named_parameters()} == dict.fromkeys(before)
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.named_parameters())


def test_packed_answers_have_the_logits_of_separate_rows():
    model = fresh("none")
    features, ids = model.encode_image(photo()), model.prompt_ids(OPEN, "photo")
    prefix = model.embed(ids, model.project(features.features))
    answers = [answer_ids(model, text) for pair in TEXTS for text in pair]
    with torch.no_grad():
        together = packed_forward(model, [PackedRow(prefix, answers[:3]), PackedRow(prefix[:5], answers[3:])])
        alone = [
            packed_forward(model, [PackedRow(prefix if n < 3 else prefix[:5], [a])]) for n, a in enumerate(answers)
        ]
    for number, one in enumerate(alone):
        size = len(answers[number])
        assert together.mask[number].sum() == size
        assert together.ids[number, :size].tolist() == answers[number]
        assert torch.allclose(together.hidden[number, :size], one.hidden[0], atol=1e-4)


def test_the_representation_map_separates_what_is_apart():
    near_zero, right = torch.randn(6, 8) * 0.1, torch.randn(5, 8) * 0.1 + 3
    one, two = before_after.principal_plane(near_zero, right)
    assert one.shape == (6, 2)
    assert two.shape == (5, 2)
    assert (one[:, 0].max() < two[:, 0].min()) or (one[:, 0].min() > two[:, 0].max())
    image = torch.nn.functional.normalize(torch.randn(6, 8), dim=-1)
    assert float(before_after.separability(image, image, -image).mean()) == 1.0
    assert float(before_after.separability(image, image, image).mean()) == 0.5
    text, other = (torch.nn.functional.normalize(torch.randn(6, 8), dim=-1) for _ in range(2))
    own_parameters, wrong = (image * text).sum(-1), (image * other).sum(-1)
    pairs = [float(one > two) for one in own_parameters for two in wrong]
    assert float(before_after.separability(image, text, other).mean()) == pytest.approx(sum(pairs) / len(pairs))
    result = before_after.retrieval(image, image, -image)
    assert result["retrieval"].mean() == result["told_apart"].mean() == 1
    assert result["distance"].abs().max() < 1e-5


def test_the_cache_of_runs_keeps_what_was_used_last(tmp_path):
    tensor = torch.zeros(1000)  # 4 kB and a header
    for age, name in ((30, "first"), (20, "second"), (10, "third")):
        disk_cache.write(tmp_path / f"{name}.safetensors", {"clean": [tensor], "corrupted": []})
        os.utime(tmp_path / f"{name}.safetensors", (time.time() - age,) * 2)
    assert torch.equal(disk_cache.read(tmp_path / "first.safetensors", 1)["clean"][0], tensor)  # used now
    disk_cache.evict_oldest(tmp_path / "third.safetensors", room=9000)
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == ["first", "third"]
    disk_cache.evict_oldest(tmp_path / "third.safetensors", room=0)
    assert [path.stem for path in tmp_path.glob("*.safetensors")] == ["third"]


def test_processes_that_clear_the_cache_at_once_do_not_meet(tmp_path):
    paths = [tmp_path / f"{number}.safetensors" for number in range(24)]

    def write(path: Path) -> None:
        disk_cache.write(path, {"clean": [torch.zeros(1000)], "corrupted": []})
        disk_cache.evict_oldest(path, room=9000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, paths))
    files = list(tmp_path.glob("*.safetensors"))
    assert 1 <= len(files) <= 2
    assert all(disk_cache.read(path, 1) is not None for path in files)
