"""Strangers are told a model's name, not the folder before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from halluapp.decoding.events import Done, Failed
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.serving import models as serving_models
from halluapp.serving.models import Models, folders
from halluapp.settings import Settings


@pytest.fixture
def server(tmp_path) -> tuple[Settings, str]:
    folder = tmp_path / "secret" / "good"
    folder.mkdir(parents=True)
    return Settings(model=str(folder), exposed=True), str(folder)


def test_events_reports_and_errors_have_names(server) -> None:
    settings, folder = server
    names = folders.names_of(settings)
    failed = folders.without_folders(Failed("nullu", f"No HalluSpace is loaded for {folder}; --model {folder}"), names)
    assert failed == Failed("nullu", "No HalluSpace is loaded for good; --model good")
    report = {"model": {"name": folder, "p": 0.5, "n": 3, "none": None}, "panels": [{"tokens": ((folder, 1),)}]}
    done = folders.without_folders(Done(report), names)
    assert done.report == {
        "model": {"name": "good", "p": 0.5, "n": 3, "none": None},
        "panels": [{"tokens": (("good", 1),)}],
    }
    with pytest.raises(InputError, match=r"^good is damaged$"), folders.names_in_errors(names):
        raise InputError(f"{folder} is damaged")


def test_on_ones_own_machine_folders_are_told(server) -> None:
    settings, folder = server
    assert folders.names_of(replace(settings, exposed=False)) == {}
    assert folders.without_folders(folder, {}) == folder


def test_a_public_server_bounds_the_tokens_of_a_comparison(server, monkeypatch) -> None:
    from PIL import Image

    from halluapp.methods.registry import create

    methods = [create("baseline"), create("vdd")]
    request = make_request(Image.new("RGB", (8, 8)), "What?", methods, 512, 1.0, samples=8)
    monkeypatch.setattr(serving_models, "MOST_TOKENS", 8191)
    with pytest.raises(InputError, match="8,192 tokens, and one on this server at most 8,191"):
        next(iter(Models(server[0]).stream(request)))
