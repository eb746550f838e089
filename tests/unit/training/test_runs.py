"""Training runs on tiny real models: gradients, the packed step, the same curve after a kill, ends that say why."""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conformity import conforms
from tiny import OPEN, photo, run
from training_runs import KINDS, TEXTS, fresh, losses, objective, pairs_in, start

from halluapp.bench import training_step
from halluapp.data.pairs import read_pairs
from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.methods.registry import Baseline, create
from halluapp.training import loop, peft_adapter, recipes, runs
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_leaves_a_curve_samples_and_a_panel(tmp_path, kind):
    training_run = start(tmp_path, kind)
    model = fresh()
    loop.train(training_run, model)
    assert training_run.status()["state"] == "finished"
    assert [step for step, _ in losses(training_run)] == [1, 2, 3, 4]
    assert [row["step"] for row in training_run.metrics() if "held" in row] == [0, 2, 4]
    assert [row["step"] for row in training_run.samples()] == [0, 4]
    assert {"memory_mb", "seconds", "rate"} <= set(training_run.metrics()[1])
    model.adapters["mine"] = adapters.load(model, training_run.adapter)
    result = run(model, model.encode_image(photo()), OPEN, [Baseline(), create("adapter:mine")], max_new_tokens=4)
    assert result["adapter:mine"].ids
    assert model.adapters["mine"].about["kind"] == kind
    effect = before_after.measure_effect(
        model, read_pairs(tmp_path / "pairs"), create("adapter:mine"), log=lambda line: None
    )
    assert {"margin", "preferred", "visual_margin", "retrieval", "told_apart"} <= set(effect["after"])
    assert {"chair_i", "recall"} <= set(effect["difference"])
    conforms("train-measure", effect)
    assert "before" in before_after.table(effect)
    assert effect["before"] != effect["after"]


@pytest.mark.parametrize("kind, more", [
    ("chip", {"dropout": 0.3}), ("hacl", {"queue": 3, "train": "both"}), ("adavib", {}),
])  # fmt: skip
def test_a_killed_run_goes_on_with_the_same_curve(tmp_path, kind, more, monkeypatch):
    whole = start(tmp_path, kind, "whole", **more)
    loop.train(whole, fresh())
    killed, step = start(tmp_path, kind, "killed", **more), loop._step
    monkeypatch.setattr(loop, "_step", lambda *arguments: step(*arguments) if arguments[3] < 3 else sys.exit("kill -9"))
    with pytest.raises(SystemExit):
        loop.train(killed, fresh())
    monkeypatch.undo()
    assert len(losses(killed)) == 3  # the state is of step 2: step 3 is done again
    loop.train(runs.create(killed.folder, killed.config(), resume=True), fresh())
    assert losses(killed) == losses(whole)
    one, two = (adapters.load(fresh(), training_run.adapter) for training_run in (whole, killed))
    for name, delta in one.deltas.items():
        assert torch.equal(delta.up, two.deltas[name].up)


def test_stop_keeps_a_usable_adapter_and_resume_finishes(tmp_path):
    training_run = start(tmp_path, "chip")
    training_run.stop()
    loop.train(training_run, fresh())
    assert training_run.status()["state"] == "stopped"
    assert training_run.status()["step"] == 1
    assert adapters.load(fresh(), training_run.adapter).deltas
    loop.train(runs.create(training_run.folder, training_run.config(), resume=True), fresh())
    assert training_run.status()["state"] == "finished"
    assert len(losses(training_run)) == 4


def test_accumulated_batches_and_checkpointing_run(tmp_path):
    training_run = start(tmp_path, "chip", accumulation=2, checkpointing=True, targets="attention")
    loop.train(training_run, fresh())
    assert training_run.status()["state"] == "finished"


@pytest.mark.parametrize("error, sentence", [
    (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "lower batch \\(now 2\\)"),
    (MemoryError(), "Memory ran out"),
    (KeyError("x"), "ended at step"),
])  # fmt: skip
def test_every_end_is_one_sentence_that_says_what_to_change(tmp_path, monkeypatch, error, sentence):
    def fail(*_):
        raise error

    training_run = start(tmp_path, "chip")
    monkeypatch.setattr(loop, "_step", fail)
    with pytest.raises(InputError, match=sentence):
        loop.train(training_run, fresh())
    status = training_run.status()
    assert status["state"] == "failed"
    assert status["error"].endswith((".", "'x'"))
    assert "\n" not in status["error"]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, monkeypatch):
    from halluapp.training.methods.chip import ChipObjective

    inner = ChipObjective.losses
    monkeypatch.setattr(ChipObjective, "losses", lambda *arguments: (inner(*arguments)[0] * math.nan, {}))
    training_run = start(tmp_path, "chip")
    with pytest.raises(InputError, match=r"lower the learning rate \(now 0\.001\)"):
        loop.train(training_run, fresh())
    assert training_run.status()["state"] == "failed"


def test_one_run_at_a_time(tmp_path):
    first, second = start(tmp_path, "chip", "first"), start(tmp_path, "chip", "second")
    with (
        runs.training_lock(first),
        pytest.raises(InputError, match="The run first is training"),
        runs.training_lock(second),
    ):
        pass
    with runs.training_lock(second):
        pass
    assert {training_run.name for training_run in runs.list_runs(tmp_path / "runs")} == {"first", "second"}


def test_folders_are_kept_apart_renamed_and_deleted(tmp_path):
    training_run = start(tmp_path, "chip")
    with pytest.raises(InputError, match="is not empty"):
        start(tmp_path, "chip")
    with pytest.raises(InputError, match="is a chip run"):
        runs.create(training_run.folder, replace(training_run.config(), kind="hacl"), resume=True)
    training_run.write_status("finished", 4)
    other = training_run.rename("other")
    with pytest.raises(InputError, match="cannot be the name"):
        other.rename("../x")
    assert other.config().kind == "chip"
    other.delete()
    assert not other.folder.exists()
    with pytest.raises(InputError, match="holds no training run"):
        other.config()


def test_a_config_is_the_command_that_does_the_same():
    config = runs.Config("chip", recipes.create("chip", steps=7, checkpointing=True), "pairs", "pocket")
    command = config.command(Path("out"))
    assert command[:2] == ["train", "chip"]
    assert command[command.index("--steps") + 1] == "7"
    assert command[command.index("--checkpointing") + 1] == "true"
    assert "--rate" not in command


@pytest.mark.parametrize("bad", [{"steps": 0}, {"rate": "x"}, {"mode": "none"}, {"checkpointing": 1}, {"what": 1}])
def test_wrong_settings_are_refused_in_one_sentence(bad):
    with pytest.raises(InputError) as caught:
        recipes.create("chip", **bad)
    assert "\n" not in str(caught.value)
    assert next(iter(bad)) in str(caught.value)


@pytest.mark.slow
def test_a_background_run_survives_kill_9_and_resumes(tmp_path):
    training_run = start(tmp_path, "adavib", steps=300, save_every=1, sample_every=300, evaluate_every=300)
    config = training_run.config()
    for path in training_run.folder.iterdir():
        path.unlink()
    launched = runs.launch(training_run.folder, config)
    for _ in range(240):
        if len(losses(launched)) > 2:
            break
        time.sleep(0.5)
    os.kill(launched.status()["pid"], signal.SIGKILL)
    time.sleep(0.5)
    assert launched.status()["state"] == "interrupted", launched.log()
    assert len(losses(launched)) > 2, launched.log()
    before = losses(launched)[:-1]
    again = runs.launch(training_run.folder, config, resume=True)
    for _ in range(240):
        if len(losses(again)) > len(before) + 2:
            break
        time.sleep(0.5)
    again.stop()
    for _ in range(240):
        if again.status()["state"] not in runs.LIVE:
            break
        time.sleep(0.5)
    assert again.status()["state"] == "stopped"
    resumed_losses = losses(again)[: len(before)]
    assert [step for step, _ in resumed_losses] == [step for step, _ in before]
    # Steps done again in another process differ in the last digits.
    assert [loss for _, loss in resumed_losses] == pytest.approx([loss for _, loss in before], abs=1e-3)


def test_presets_are_recipes():
    for kind, presets in recipes.PRESETS.items():
        assert {recipes.create(kind, **values) for values in presets.values()} >= {recipes.create(kind)}


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
