"""The models of a server: loaded on the first need, shared by everybody."""

from __future__ import annotations

import pytest
from tiny import OPEN, folder, photo

from halluapp.decoding.events import Done
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.serving.models import Models
from halluapp.settings import ASSETS, Settings


def test_nothing_is_loaded_before_it_is_needed_and_then_once():
    models = Models.of_server(Settings(model="nowhere/nothing", device="cpu"))
    assert models.runner is None
    with pytest.raises(InputError):
        models.session()
    settings = Settings(model=str(folder("llava")), assets=ASSETS, device="cpu", quantization="none")
    assert Models.of_server(settings).session() is Models.of_server(settings).session()


def test_a_comparison_ends_with_its_report_and_can_be_stopped():
    models = Models(Settings(model=str(folder("llava")), device="cpu", quantization="none"))
    request = make_request(photo(), OPEN, ["baseline"], max_new_tokens=4)
    for stopped in (False, True):
        *_, end = models.stream(request, lambda stopped=stopped: stopped)
        assert isinstance(end, Done)
        assert (end.report["panels"][0]["reason"] == "stopped") is stopped
