"""The sentence about memory before a run: the plan's own numbers, what to try, and no refusal."""

from __future__ import annotations

import pytest

from halluapp.errors import InputError
from halluapp.serving.visitors import OWNER_OF_ALL
from halluapp.settings import ASSETS, Settings
from halluapp.training import recipes, runs
from halluapp.training.memory import fit, plan
from halluapp.ui.train import memory

GIB = fit.GIB


def said(free: float, kind: str = "chip", **settings) -> str:
    return fit.sentence("pocket", "nf4", recipes.create(kind, **settings), ASSETS, int(free * GIB), "this machine")


def total(**settings) -> float:
    config = fit.configuration("pocket", ASSETS)
    photo = config.image_seq_length
    return plan.plan_memory(config, recipes.create("chip", **settings), fit.TEXT_TOKENS + photo, photo).total / GIB


def test_a_run_that_fits_is_its_plan_and_nothing_more():
    whole = total(batch=8)
    line = said(64, batch=8)
    assert f"{whole:.1f} of the 64.0 GiB that are free on this machine" in line
    assert all(part in line for part in ("weights", "adapter", "activations", "logits", "reserve"))
    assert "not fit" not in line


def test_a_run_that_does_not_fit_is_told_the_largest_batch_that_does():
    free = (total(batch=4) + total(batch=8)) / 2
    assert said(free, batch=16).endswith("It will probably not fit: try batch 4.")
    barely = (total(batch=1, checkpointing=True) + total(batch=1)) / 2
    assert said(barely, batch=1).endswith("try gradient checkpointing.")
    assert said(0.01).endswith(f"{fit.NOTHING_HELPS}.")
    assert "try batch" in said(0.9, "dpo", batch=64)


def test_dpo_keeps_less_than_chip_and_other_methods_have_no_plan():
    def number(line: str) -> float:
        return float(line.split("estimate: ")[1].split()[0])

    assert number(said(64, "dpo", batch=16)) < number(said(64, "chip", batch=16))
    for kind in ("hacl", "adavib"):
        with pytest.raises(InputError, match="no memory plan"):
            said(64, kind)


def test_where_no_plan_is_an_earlier_run_stands_for_it(tmp_path):
    settings, config = Settings(runs=tmp_path), runs.Config("hacl", recipes.create("hacl", batch=6), "pairs")
    assert memory.earlier(settings, OWNER_OF_ALL, config) == ""
    run = runs.create(tmp_path / "before", config)
    run.append_row("metrics.jsonl", {"step": 1, "loss": 1.0, "memory_mb": 1234.5})
    assert memory.earlier(settings, OWNER_OF_ALL, config) == (
        "Memory: before, an earlier run of this method, took 1,234 MB at batch 6."
    )


def test_a_process_of_its_own_says_the_same_and_leaves_the_default_type_alone():
    """Kind: planning in a thread of the server while another loads the model gave one of two types."""
    recipe, free = recipes.create("chip", batch=2), 8 * GIB
    arguments = ("nf4", recipe, ASSETS, free, "this machine")
    assert fit.sentence_apart("pocket", *arguments) == fit.sentence("pocket", *arguments)
    with pytest.raises(InputError, match="could not be read"):
        fit.sentence_apart("nowhere/at-all/at-all", *arguments)
    with pytest.raises(InputError, match="no memory plan"):
        fit.sentence_apart("pocket", "nf4", recipes.create("hacl"), ASSETS, free, "this machine")
