"""The model card of a run's adapter: its command makes the same run, its numbers are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

from training_runs import start

from halluapp.cli import main as cli
from halluapp.cli.train import _load
from halluapp.training import loop
from halluapp.training.measure import model_card
from halluapp.training.runs import Run


def test_measuring_a_run_writes_its_card(tmp_path, capsys, monkeypatch):
    run = start(tmp_path, "chip", rank=2)
    from halluapp.settings import Settings

    config = run.config()
    loop.train(run, _load(Settings(model=config.model, quantization=config.quantization)))
    evaluated = {
        "data": "photos.tar", "photos": 3, "vocabulary": "coco",
        "methods": [
            {"method": "baseline", "error": None, "pope": None,
             "chair": dict.fromkeys(model_card.SCORES["chair"], 0.125),
             "intervals": {"chair": {key: [0.1, 0.2] for key in model_card.SCORES["chair"]}}},
            {"method": "broken", "error": "It failed.", "chair": None, "pope": None, "intervals": {}},
        ],
    }  # fmt: skip
    (run.folder / "evaluated-photos.json").write_text(json.dumps(evaluated))
    assert cli.main(["train", "measure", str(run.folder), "--photos", "1"]) == 0
    assert "README.md" in capsys.readouterr().out
    text = (run.adapter / "README.md").read_text()
    assert text.startswith("# CHiP adapter for ")
    assert "4 of 4 steps" in text
    assert "10 pairs" in text
    assert "--rank 2" in text
    assert "Research use" in text
    assert f"runs/{run.name}" in text
    measured = json.loads((run.folder / "measured.json").read_text())
    assert f"| margin | {measured['before']['margin'][0]:.3f} [" in text
    assert "| chair_i | 0.125 [0.100, 0.200] |" in text
    assert "broken" not in text
    monkeypatch.chdir(tmp_path)
    model_card.write(Run(run.folder), "shipped")
    text = (run.adapter / "README.md").read_text()
    assert "runs/shipped" in text
    assert f"--data {Path(run.config().data).relative_to(tmp_path)} " in text


def test_retrieval_through_the_heads_of_hacl(tmp_path):
    run = start(tmp_path, "hacl")
    config = run.config()
    from halluapp.settings import Settings
    from halluapp.training.methods import hacl

    lvlm = _load(Settings(model=config.model, quantization=config.quantization))
    loop.train(run, lvlm)
    width = lvlm.decoder.get_input_embeddings().weight.shape[1]
    before, after = hacl.load_heads(width, None, 0), hacl.load_heads(width, run.adapter)
    again = hacl.load_heads(width, None, 0)
    assert (before.photo.weight == again.photo.weight).all()
    assert (before.photo.weight != after.photo.weight).any()
    assert cli.main(["train", "measure", str(run.folder), "--photos", "1", "--data", config.data]) == 0
    measured = json.loads((run.folder / "measured-pairs.json").read_text())
    for side in ("before", "after", "difference"):
        assert {"retrieval", "retrieval_heads", "told_apart_heads"} <= set(measured[side])
