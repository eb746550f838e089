"""`train adavib` without --out: a run in the folder of runs, and its projector where the model looks for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import folder, photo

from halluapp.cli import main as cli
from halluapp.errors import MissingWeights
from halluapp.lvlm import adapters, catalog


def test_a_projector_lands_where_the_model_looks_for_it(tmp_path, capsys, monkeypatch) -> None:
    checkpoint = Path(shutil.copytree(folder("llava"), tmp_path / "model"))
    (checkpoint / "projector-adavib.safetensors").unlink()
    with pytest.raises(MissingWeights, match=f"train adavib --data PAIRS --model {checkpoint}"):
        catalog.load(str(checkpoint), "none", "cpu", tmp_path)[0].projector("adavib")
    rows = []
    for index in range(2):
        photo(index).save(tmp_path / f"{index}.png")
        rows.append({"image": f"{index}.png", "question": "What is it?", "chosen": "A dog.", "rejected": "A cat."})
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.setenv("HALLUAPP_RUNS", str(tmp_path / "runs"))
    words = ["train", "adavib", "--data", str(tmp_path), "--model", str(checkpoint), "--quantization", "none"]
    assert cli.main([*words, "--steps", "1", "--batch", "1", "--held-out", "0.5"]) == 0
    assert f"wrote {checkpoint / 'projector-adavib.safetensors'}" in capsys.readouterr().out
    lvlm = catalog.load(str(checkpoint), "none", "cpu", tmp_path)[0]
    mine = adapters.load(lvlm, tmp_path / "runs" / "adavib-1" / "adapter").projector
    for name, weight in lvlm.projector("adavib").state_dict().items():
        assert torch.equal(weight, mine.state_dict()[name])
    assert cli.main(["train", "adavib", "--resume"]) == 2
    assert "--out" in capsys.readouterr().err
