"""Which step of a run its panel uses, and early stopping: the same after a kill, on tiny real models."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest
import torch
from training_runs import fresh, losses, start

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.training import library, loop, recipes, runs
from halluapp.training.endings import checkpoints
from halluapp.training.endings.resume import resumed_config

# So high a rate that the tiny model gets better for some steps and then worse.
UNSTEADY = {
    "steps": 8,
    "evaluate_every": 1,
    "save_every": 3,
    "sample_every": 100,
    "rate": 0.05,
    "warmup": 0,
    "clip": 100,
}
BEST = {**UNSTEADY, "keep": "best", "keep_checkpoints": 2}


def weights(run: runs.Run) -> dict[str, torch.Tensor]:
    deltas = adapters.load(fresh(), run.adapter).deltas
    return {name: delta.up for name, delta in deltas.items()}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def held_out(run: runs.Run, number: str = "loss") -> dict[int, float]:
    return dict(checkpoints.evaluations(run, number))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> runs.Run:
    run = start(tmp_path_factory.mktemp("best"), "chip", **BEST)
    loop.train(run, fresh())
    return run


def test_the_adapter_is_that_of_the_lowest_held_out_loss(finished):
    values = held_out(finished)
    trained = {step: value for step, value in values.items() if step}
    best = min(trained, key=lambda step: (trained[step], step))
    assert list(values) == list(range(9))
    assert checkpoints.adapter_step(finished) == best
    assert json.loads((finished.adapter / "about.json").read_text())["step"] == best
    ranked = [step for step, _ in checkpoints.by_quality(list(trained.items()), "loss")]
    assert list(checkpoints.step_folders(finished)) == sorted({*ranked[:2], 8})
    about = checkpoints.summary(finished)
    assert about["best"] == [best, values[best]]
    assert f"step {best}, the best of 8 by held-out loss ({values[best]:.4g})" in about["sentence"]


def test_a_killed_run_keeps_the_same_best_step(finished, tmp_path, monkeypatch):
    """Killed after every step in turn, also between an evaluation and the state that it belongs to."""
    killed, step = start(tmp_path, "chip", **BEST), loop._step

    def fail(*arguments):
        sys.exit("kill -9")

    for number in range(1, 8):
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            if number % 2:  # in the step after this one
                patch.setattr(loop, "_step", lambda *all, last=number: step(*all) if all[3] < last else fail())
            else:  # between a checkpoint and the state
                patch.setattr(loop.state, "atomic_write", fail)
            loop.train(killed, fresh())
    loop.train(runs.create(killed.folder, killed.config(), resume=True), fresh())
    assert losses(killed) == losses(finished)
    assert checkpoints.summary(killed) == checkpoints.summary(finished)
    assert same(weights(killed), weights(finished))


def test_a_run_without_gain_stops_early_and_says_so(finished, tmp_path):
    values = held_out(finished)
    best, without = 0, 0
    for end, value in values.items():
        best, without = (end, 0) if value < values[best] or end == 0 else (best, without + 1)
        if without == 2:
            break
    assert without == 2, "the tiny model must get worse for this test to say something"
    run = start(tmp_path, "chip", **{**BEST, "patience": 2})
    loop.train(run, fresh())
    status = run.status()
    assert (status["state"], status["step"], status["steps"]) == ("finished", end, 8)
    assert f"2 evaluations brought no better held-out loss than step {best}" in status["note"]
    assert losses(run) == losses(finished)[:end]
    loop.train(run, fresh())  # again: nothing more is learned
    assert losses(run) == losses(finished)[:end]
    with pytest.raises(InputError, match=r"stopped early at step .* --patience 0"):
        resumed_config(run, "chip", {"steps": 9})
    loop.train(run, fresh(), resumed_config(run, "chip", {"patience": 0}))
    assert losses(run) == losses(finished)
    assert checkpoints.summary(run) == checkpoints.summary(finished)


def test_another_step_is_chosen_and_chosen_back(finished, capsys, tmp_path):
    best = weights(finished)
    assert cli.main(["train", "checkpoint", str(finished.folder), "--use", "last"]) == 0
    assert "The adapter is that of step 8" in capsys.readouterr().out
    assert checkpoints.adapter_step(finished) == 8
    assert not same(weights(finished), best)
    assert cli.main(["train", "checkpoint", str(finished.folder), "--use", "best"]) == 0
    assert same(weights(finished), best)
    assert cli.main(["train", "checkpoint", str(finished.folder), "--use", "77"]) == 2
    assert "it has best, last and the steps" in capsys.readouterr().err
    packed = library.pack(finished.folder.parent, finished.name, tmp_path)
    assert packed.stat().st_size > 0
    plain = start(tmp_path, "chip", "plain")
    plain.write_status("finished", 4)
    with pytest.raises(InputError, match="--keep best"):
        checkpoints.choose(plain, "best")


def test_more_is_better_where_more_is_better():
    rows = [(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1)]
    assert checkpoints.by_quality(rows, "preferred")[0] == (2, 0.7)
    assert checkpoints.by_quality(rows, "loss")[0] == (4, 0.1)


def test_numbers_of_other_methods_and_runs_without_held_out_pairs_are_refused():
    assert recipes.create("hacl", best_by="retrieval").best_by == "retrieval"
    with pytest.raises(InputError, match="best_by must be one of loss, told_apart, retrieval"):
        recipes.create("hacl", best_by="reward_margin")
    for settings in ({"keep": "best"}, {"patience": 1}, {"keep_checkpoints": 1}):
        with pytest.raises(InputError, match="held-out pairs"):
            recipes.create("chip", held_out=0, **settings)
    assert asdict(recipes.create("chip"))["keep"] == "last"
