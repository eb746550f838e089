"""The trained panels of the embedded model: what a run leaves lies where the loader finds it, with its card."""

from __future__ import annotations

import pytest
import torch
from training_runs import fresh, start

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
    assert f"train {kind} --data" in card
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
