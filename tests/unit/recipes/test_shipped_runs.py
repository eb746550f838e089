"""The trained panels of the embedded model: what a run leaves lies where the loader finds it, with its card."""

from __future__ import annotations

import json

import pytest
import torch
from annotated_photos import write
from training_runs import SHORT, fresh, start

from halluapp.data.pairs import read_pairs
from halluapp.lvlm.sidecar_files import attach
from halluapp.recipes.pocket import shipped_runs
from halluapp.training import loop


def shipped_run(tmp_path, kind: str):
    """(a run of the kind, the folder it was shipped to, a model to which that folder was attached)."""
    run, shipped, user = start(tmp_path, kind), tmp_path / "pocket", fresh()
    shipped.mkdir()
    loop.train(run, fresh())
    shipped_runs.ship(run, shipped)
    user.projectors.pop("adavib", None)
    attach(user, shipped)
    return run, shipped, user


@pytest.mark.parametrize("kind", ["chip", "hacl"])
def test_an_adapter_takes_the_place_of_an_earlier_one(tmp_path, kind):
    earlier = tmp_path / "pocket" / "adapters" / kind / "adapter_model.bin"
    run, shipped, user = shipped_run(tmp_path, kind)
    earlier.write_bytes(b"of an earlier model")
    shipped_runs.ship(run, shipped)
    assert not earlier.exists()
    assert kind in user.adapters
    card = (shipped / "adapters" / kind / "README.md").read_text()
    assert f"train {kind} --data PAIRS" in card
    assert "Research use" in card
    assert card.endswith("own card.\n")


def test_adavib_is_the_projector_of_its_method(tmp_path):
    _run, shipped, user = shipped_run(tmp_path, "adavib")
    projector_file = user.model.model.multi_modal_projector.state_dict()
    training_run = user.projectors["adavib"].state_dict()
    assert any(not torch.equal(value, projector_file[name]) for name, value in training_run.items())
    assert "train adavib --data" in (shipped / "projector-adavib.md").read_text()


@pytest.mark.parametrize("kind", ["chip", "hacl", "adavib"])
def test_a_run_leaves_the_model_as_it_was(tmp_path, kind):
    model = fresh()
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    loop.train(start(tmp_path, kind), model)
    after = model.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_one_call_makes_pairs_hallu_space_and_every_run_from_labelled_photos(tmp_path, monkeypatch):
    """A tiny model babbles; what it names of the vocabulary is wrong beside these labels, and repaired."""
    boxes = [["dog", 0.1, 0.1, 0.5, 0.5], ["car", 0.5, 0.1, 0.6, 0.2]]
    record = {"objects": ["car", "dog"], "boxes": boxes, "captions": ["A dog beside a car."], "complete_labels": True}
    (tmp_path / "data" / "photos").mkdir(parents=True)
    write(tmp_path / "data" / "photos", {f"p{n}": record for n in range(6)}, size=32)
    answers = iter(
        f"The image shows a dog and a {name}." for name in ["cat", "bus", "cow", "horse", "bird", "cup", "bear"] * 9
    )
    monkeypatch.setattr("halluapp.training.pairs.own_answers.generate_answers", lambda lvlm, images, *_: [
        next(answers) for _ in images
    ])  # fmt: skip
    monkeypatch.setattr(shipped_runs, "_pocket", lambda assets: fresh())
    monkeypatch.setattr(shipped_runs, "SOURCES", {"photos": 6})
    monkeypatch.setattr(shipped_runs, "LAYERS", (0, 1))
    settings = {kind: {**SHORT, "steps": 1} for kind in shipped_runs.SETTINGS}
    monkeypatch.setattr(shipped_runs, "SETTINGS", settings)
    (tmp_path / "assets" / "pocket").mkdir(parents=True)
    lines: list[str] = []
    shipped_runs.make(tmp_path / "assets", tmp_path / "data", tmp_path / "work", lines.append)
    pairs = read_pairs(tmp_path / "work" / "pairs")
    repaired = [pair for pair in pairs if pair.kind == "repaired"]
    assert len(repaired) == 12
    assert {pair.kind for pair in pairs} == {"repaired"}
    assert all(pair.chosen == "The image shows a dog and a car." for pair in repaired)
    shipped = tmp_path / "assets" / "pocket"
    names = {path.relative_to(shipped).as_posix() for path in shipped.rglob("*") if path.is_file()}
    assert {
        "hallu_space.safetensors", "hallu_space.json", "projector-adavib.safetensors", "projector-adavib.md",
        "adapters/chip/adapter_model.safetensors", "adapters/hacl/projector.safetensors", "adapters/hacl/README.md",
    } <= names  # fmt: skip
    about = json.loads((shipped / "hallu_space.json").read_text())
    alike = [pair for pair in repaired if shipped_runs.is_alike(fresh(), pair)]
    assert 0 < about["about"]["pairs"] == len(alike) < 12  # those of equally many tokens
    assert about["examples"][0]["truthful"] == "The image shows a dog and a car."
    user = fresh()
    attach(user, shipped)
    assert "default" in user.spaces
    shipped_runs.make(tmp_path / "assets", tmp_path / "data", tmp_path / "work", lines.append)  # goes on: all is there
    again = fresh()
    attach(again, shipped)
    for name, value in user.projectors["adavib"].state_dict().items():
        assert torch.equal(value, again.projectors["adavib"].state_dict()[name])
