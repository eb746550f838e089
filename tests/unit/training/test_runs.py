"""Training runs on tiny real models: the same curve after a kill, ends that say why, one at a time."""

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
from training_runs import KINDS, fresh, losses, start

from halluapp.data.pairs import read_pairs
from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.methods.registry import Baseline, create
from halluapp.training import loop, recipes, runs
from halluapp.training.measure import before_after


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_leaves_a_curve_samples_and_a_panel(tmp_path, kind):
    training_run = start(tmp_path, kind)
    model = fresh()
    loop.train(training_run, model)
    assert training_run.status()["state"] == "finished"
    assert [step for step, _ in losses(training_run)] == [1, 2, 3, 4]
    assert [row["step"] for row in training_run.metrics() if "held" in row] == [0, 2, 4]
    assert [row["step"] for row in training_run.samples()] == [0, 4]
    first = training_run.metrics()[1]
    assert {"memory_mb", "seconds", "rate"} <= set(first)
    assert sum(first["memory"].values()) == pytest.approx(first["memory_mb"], abs=1)
    assert first["memory"]["weights"] >= first["memory"]["trained"] == first["memory"]["gradients"] >= 0
    assert first["memory"]["moments"] >= first["memory"]["trained"]
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


@pytest.mark.slow
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
