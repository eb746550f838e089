"""The page docs/add-a-training-method.md keeps its promise: its file and its line are a training method everywhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gradio as gr
import pytest
import torch
from tiny import OPEN, folder, photo, run
from training_runs import SHORT, fresh, losses, objective, pairs_in

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.methods.registry import Baseline, create
from halluapp.settings import Settings
from halluapp.training import library, methods, recipes, runs
from halluapp.training.measure import measurement
from halluapp.training.methods import registry
from halluapp.ui.train import form

PAGE = Path(__file__).resolve().parents[3] / "docs" / "add-a-training-method.md"


@pytest.fixture
def sft(tmp_path, monkeypatch):
    """The page's file, importable from the package's folder, and the page's line -> the kind."""
    code, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "package" / "sft.py"
    path.parent.mkdir()
    path.write_text(code, encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(path.parent)])
    ((kind, recipe),) = eval(f"{{{line}}}").items()  # the entry of a dictionary, as it stands on the page
    monkeypatch.setitem(registry.METHODS, kind, recipe)
    yield kind
    sys.modules.pop("halluapp.training.methods.sft", None)


def train(kind: str, out: Path, *more: str) -> int:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in {**SHORT, "save_every": 1}.items()]
    model = ["--model", str(folder("llava")), "--quantization", "nf4"]
    return cli.main(["train", kind, "--out", str(out), *model, *settings, *more])


def test_the_recipe_is_one_of_the_catalogue(sft):
    assert list(recipes.RECIPES) == ["chip", "dpo", "hacl", "adavib", "sft"]
    assert all(recipe.kind == kind for kind, recipe in recipes.RECIPES.items())
    assert recipes.PRESETS[sft]["attention only"] == {"targets": "attention"}
    assert recipes.create(sft, weight=2).weight == 2.0
    with pytest.raises(InputError, match="weight"):
        recipes.create(sft, weight=99)


def test_the_loss_is_the_cross_entropy_of_the_truthful_answer(sft, tmp_path):
    sft_objective = objective(tmp_path, sft, weight=2.0)
    loss, numbers = sft_objective.losses([0, 3], 0)
    assert float(loss.detach()) == pytest.approx(2 * numbers["generation"])
    nats, tokens = 0.0, 0
    for row in (0, 3):
        pair, chosen = sft_objective.pairs[row], sft_objective.examples[row].chosen
        inputs = sft_objective.lvlm.native_inputs(pair.open(), pair.question)
        ids = torch.cat([inputs["input_ids"], torch.tensor([chosen])], dim=1)
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        logps = sft_objective.lvlm.model(**inputs).logits.float().log_softmax(-1)[0, -len(chosen) - 1 : -1]
        nats -= float(logps[range(len(chosen)), chosen].sum().detach())
        tokens += len(chosen)
    assert numbers["generation"] == pytest.approx(nats / tokens, abs=1e-3)
    sft_objective.undo()


def test_the_command_makes_a_run_that_stops_resumes_and_is_a_panel(sft, tmp_path, capsys):
    pairs, out = pairs_in(tmp_path / "pairs"), tmp_path / "runs" / "sft-1"
    assert train(sft, out, "--data", str(pairs), "--weight", "0.5") == 0
    whole, half = runs.Run(out), tmp_path / "runs" / "sft-2"
    assert whole.status()["state"] == "finished"
    assert whole.config().recipe.weight == 0.5
    assert "generation" in whole.metrics()[-1]["held"]
    stopped = runs.create(half, whole.config())
    stopped.stop()
    assert train(sft, half, "--resume", "--launched") == 0  # as `runs.launch` does: a stop is not forgotten
    assert (stopped.status()["state"], stopped.status()["step"]) == ("stopped", 1)
    assert train(sft, half, "--resume") == 0
    assert losses(stopped) == losses(whole)
    model = fresh()
    measurement.measure_run(whole, model, photos=1)
    assert "Supervised fine-tuning" in (whole.adapter / "README.md").read_text(encoding="utf-8")
    name = library.add_panel(tmp_path / "runs", "sft-1", model)
    panels = run(model, model.encode_image(photo()), OPEN, [Baseline(), create(name)], max_new_tokens=6)
    assert panels[name].ids
    assert "finished at step 4 of 4" in capsys.readouterr().out


def test_the_form_has_a_field_for_every_setting(sft, tmp_path):
    with gr.Blocks():
        built = form.build(Settings(runs=tmp_path), gr.Image)
    assert ("SFT", sft) in built.kind.choices
    assert built.settings[sft, "weight"].value == 1.0
    assert {(sft, "rank"), (sft, "steps")} <= set(built.settings)
    assert (sft, "attention only") in built.presets
