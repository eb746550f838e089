"""--resume: a flag beside it is obeyed or refused, the data may move but not change, a finished run can be longer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import folder, photo
from training_runs import fresh, losses, pairs_in, start

from halluapp.cli import main as cli
from halluapp.data.files import is_hub_id
from halluapp.data.pairs import jpeg
from halluapp.errors import InputError
from halluapp.training import loop, runs
from halluapp.training.endings.resume import resumed_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> runs.Run:
    """A run of four steps."""
    run = start(tmp_path_factory.mktemp("finished"), "adavib")
    loop.train(run, fresh())
    return run


def refused(run: runs.Run, **flags) -> str:
    with pytest.raises(InputError) as caught:
        resumed_config(run, "adavib", flags.pop("settings", {}), **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flags_that_keep_the_run_the_same_are_obeyed(finished):
    """The kind: --resume takes further flags and silently ignores them."""
    config = finished.config()
    obeyed = {"steps": 9, "save_every": 3, "evaluate_every": 4, "sample_every": 5, "checkpointing": True}
    resumed = resumed_config(finished, "adavib", obeyed, data=config.data, model=config.model, quantization="nf4")
    assert {name: getattr(resumed.recipe, name) for name in obeyed} == obeyed
    assert replace(resumed, recipe=config.recipe) == config
    same = {"rate": config.recipe.rate, "batch": config.recipe.batch, "seed": config.recipe.seed}
    assert resumed_config(finished, "adavib", same) == config


def test_flags_that_make_another_run_are_refused_by_name(finished, tmp_path):
    """The kind: --resume takes further flags and silently ignores them."""
    for name, value in {"rate": 0.01, "batch": 1, "seed": 4, "warmup": 0.5, "held_out": 0.4, "beta": 1.0}.items():
        sentence = refused(finished, settings={name: value})
        assert "--" + name.replace("_", "-") in sentence
        assert str(value) in sentence
    assert "has done 4 steps" in refused(finished, settings={"steps": 3})
    assert "--model" in refused(finished, model="pocket")
    assert "--quantization" in refused(finished, quantization="none")
    other = pairs_in(tmp_path / "other", 4)
    assert "holds other pairs" in refused(finished, data=str(other))
    with pytest.raises(InputError, match="is a adavib run"):
        resumed_config(finished, "hacl", {})


def test_a_finished_run_goes_on_with_more_steps(tmp_path, finished):
    run = runs.Run(shutil.copytree(finished.folder, tmp_path / "run"))
    before = losses(run)
    loop.train(run, fresh(), resumed_config(run, "adavib", {"steps": 6}))
    assert (run.status()["state"], run.status()["step"], run.status()["steps"]) == ("finished", 6, 6)
    assert losses(run)[:4] == before
    assert [step for step, _ in losses(run)] == [1, 2, 3, 4, 5, 6]


def test_pairs_may_move_and_photos_may_not_change(tmp_path, finished):
    """The kind: a run that was started with a path, whose data moved or were replaced under the same names."""
    run = runs.Run(shutil.copytree(finished.folder, tmp_path / "run"))
    moved = shutil.copytree(run.config().data, tmp_path / "moved")
    assert resumed_config(run, "adavib", {}, data=str(moved)).data == str(moved)
    run.write_config(replace(run.config(), data=str(tmp_path / "gone")))
    assert "say with --data where they are" in refused(run)
    config = resumed_config(run, "adavib", {"steps": 5}, data=str(moved))
    (moved / "0.jpg").write_bytes(jpeg(photo(11)))
    with pytest.raises(InputError, match="have changed since the run run began"):
        loop.train(run, fresh(), config)
    assert run.status()["state"] == "failed"


def test_a_run_with_relative_paths_goes_on_from_any_folder(tmp_path, monkeypatch, capsys):
    """The kind: a relative --data cannot be resumed from another folder, and a data set of the hub is looked for."""
    pairs_in(tmp_path / "home" / "pairs")
    (tmp_path / "home" / "photo.jpg").write_bytes(jpeg(photo(2)))
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    model = shutil.copytree(folder("llava"), tmp_path / "home" / "model")
    settings = ["--batch", "2", "--save-every", "1", "--sample-every", "2"]
    command = ["train", "adavib", "--data", "pairs", "--photo", "photo.jpg", "--model", "model", "--out", "runs/one"]
    assert cli.main([*command, "--steps", "1", *settings]) == 0
    run = runs.Run(tmp_path / "home" / "runs" / "one")
    assert (run.config().data, run.config().model) == (str(tmp_path / "home" / "pairs"), str(model))
    monkeypatch.chdir(tmp_path / "away")
    assert cli.main(["train", "adavib", "--out", str(run.folder), "--resume", "--steps", "2"]) == 0
    assert run.status()["step"] == 2
    assert cli.main(["train", "adavib", "--out", str(run.folder), "--resume", "--rate", "0.01"]) == 2
    assert "--rate" in capsys.readouterr().err


def test_a_folder_of_an_older_version_that_cannot_be_found_is_no_request_to_the_hub(tmp_path, monkeypatch, finished):
    run = runs.Run(shutil.copytree(finished.folder, tmp_path / "run"))
    about = json.loads((run.folder / "config.json").read_text(encoding="utf-8"))
    about["data"] = "pairs"
    del about["pairs_hash"]
    (run.folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "pairs any more; say with --data" in refused(run)
    assert resumed_config(run, "adavib", {}, data=finished.config().data).data == finished.config().data


def test_what_looks_like_a_path_is_no_id_of_the_hub(tmp_path, monkeypatch, capsys):
    """The kind: a mistyped local folder becomes a request to the hub."""
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in ("runs/pairs", "./a/b", "../a/b", "/a/b", "~/a", "a", "a/b/c", "a/b.jsonl", "a\\b", "C:\\a", "", "a/"):
        assert not is_hub_id(path), path
    for name in ("openbmb/RLHF-V-Dataset", "llava-hf/llava-1.5-7b-hf", "Qwen/Qwen2.5-VL-3B-Instruct"):
        assert is_hub_id(name), name
    assert cli.main(["train", "chip", "--data", "runs/pairs", "--out", "runs/x"]) == 2
    assert "There are no pairs at runs/pairs" in capsys.readouterr().err
    photo_file = Path("photo.jpg")
    photo_file.write_bytes(jpeg(photo()))
    assert cli.main(["compare", "photo.jpg", "--prompt", "Hello", "--model", "runs/modell"]) == 2
    assert "neither a folder nor a name on the hub" in capsys.readouterr().err
