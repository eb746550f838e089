"""The step of a run in the tab: what the board says, what the list offers, and the panel that follows."""

from __future__ import annotations

import pytest
from training_runs import fresh, start

from halluapp.errors import InputError
from halluapp.serving.models import Models
from halluapp.serving.visitors import OWNER_OF_ALL
from halluapp.settings import ASSETS, Settings
from halluapp.training import library, loop, runs
from halluapp.training.endings import checkpoints
from halluapp.ui.train import checkpoint, run_actions, state, texts

# So high a rate that the tiny model gets better for some steps and then worse.
SETTINGS = {"steps": 8, "evaluate_every": 1, "sample_every": 100, "rate": 0.05, "warmup": 0, "clip": 100,
            "keep": "best", "keep_checkpoints": 2, "patience": 2}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a run that stopped early and keeps its best step."""
    home = tmp_path_factory.mktemp("steps")
    loop.train(start(home, "chip", "early", **SETTINGS), fresh())
    return home / "runs"


def test_the_board_says_which_step_the_panel_is_of_and_why_the_run_ended(root):
    run = runs.Run(root / "early")
    board = state.snapshot(root, "early", [])
    best, end = checkpoints.adapter_step(run), run.status()["step"]
    assert best < end < 8
    assert board["run"]["checkpoint"].startswith("It stopped early: 2 evaluations")
    assert f"step {best}, the best of {end}" in board["run"]["checkpoint"]
    assert "step" in board["possible"]
    titles = checkpoint.choices(run)
    assert titles[0] == (f"step {best} · held-out loss {checkpoints.summary(run)['best'][1]:.4g} · best", str(best))
    assert {int(step) for _, step in titles} == set(checkpoints.step_folders(run))


def test_another_step_becomes_the_panel(root):
    run, models = runs.Run(root / "early"), Models(Settings(runs=root))
    best, end = checkpoints.adapter_step(run), run.status()["step"]
    lvlm = fresh()
    library.add_panel(root, "early", lvlm)
    assert lvlm.adapters["early"].about["step"] == best
    outcome = run_actions.use_step(models, OWNER_OF_ALL, "early", "early", str(end))
    assert f"step {end}" in outcome.sentence
    library.load_adapters(root, lvlm, [type("Method", (), {"name": "adapter:early"})])
    assert lvlm.adapters["early"].about["step"] == end
    assert library.panel_runs(root) == [("Adapter early", "adapter:early")]
    with pytest.raises(InputError, match="no checkpoint '99'"):
        run_actions.use_step(models, OWNER_OF_ALL, "early", "early", "99")


def test_lengthening_a_run_that_stopped_early_goes_on_without_stopping(root, monkeypatch):
    recipes_of_launches, run = [], runs.Run(root / "early")
    monkeypatch.setattr(runs, "launch", lambda out, config, resume: recipes_of_launches.append(config.recipe))
    before = run.config()
    try:
        run_actions.lengthen(Models(Settings(runs=root)), OWNER_OF_ALL, "early", "early", 12)
        assert [(recipe.steps, recipe.patience) for recipe in recipes_of_launches] == [(12, 0)]
    finally:
        run.write_config(before)


def test_what_the_page_says_of_the_shipped_runs_is_what_was_measured():
    results = (ASSETS.parent / "docs" / "results.md").read_text(encoding="utf-8")
    table = results[results.index("## The shipped training runs") :]
    for row, sentence in (
        (
            "| ln p(true) − ln p(hallucinated) | +0.32 [0.02, 0.64] | −0.03 [−0.08, 0.03] | +0.00 [−0.17, 0.19] |",
            "only CHiP came to prefer truthful answers (+.32 [.02, .64] in ln p",
        ),
        ("On 39 held-out pairs", "39 held-out pairs"),
        ("| CHAIR_i | −0.06 [−0.12, 0.01] | 0.00 [−0.02, 0.02] | −0.01 [−0.05, 0.02] |", "CHiP's -.06 [-.12, .01]"),
        ("| recall | −0.03 [−0.08, 0.01] | −0.01 [−0.02, 0.00] | 0.00 [−0.03, 0.03] |", "and -.03 [-.08, .01]"),
        ("| words | −3.5 [−5.8, −1.6] |", "3.5 [1.6, 5.8] words fewer"),
        ("CHAIR_i, recall and words on 24 of these", "24 held-out photos"),
    ):
        assert row in table
        assert sentence in texts.INTRO
