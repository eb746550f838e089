"""Settings: defaults, what each variable does, and that nothing else is read."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from halluapp.settings import Settings


class Spy(dict):
    """Remembers which variables were asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.reads: set[str] = set()

    def __getitem__(self, key):
        self.reads.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.reads.add(key)
        return super().get(key, default)

    def __contains__(self, key):
        self.reads.add(key)
        return super().__contains__(key)


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environment({}) == Settings()
    assert Settings().model == "pocket"
    assert Settings().host == "127.0.0.1"
    assert not Settings().space


VARIABLES = (
    ("HALLUAPP_MODEL", "some/llava", "model", "some/llava"),
    ("HALLUAPP_DETECTOR", "some/detr", "detector", "some/detr"),
    ("HALLUAPP_QUANTIZATION", "none", "quantization", "none"),
    ("HALLUAPP_DEVICE", "cuda:1", "device", "cuda:1"),
    ("HALLUAPP_DTYPE", "float16", "dtype", "float16"),
    ("HALLUAPP_FAST", "off", "fast", "off"),
    ("HALLUAPP_THREADS", "2", "threads", 2),
    ("GRADIO_SERVER_NAME", "0.0.0.0", "host", "0.0.0.0"),
    ("GRADIO_SERVER_PORT", "0", "port", 0),
    ("SPACES_ZERO_GPU", "True", "zero_gpu", True),
    ("SPACES_ZERO_GPU", "0", "zero_gpu", False),
)


def test_each_variable_changes_one_setting():
    defaults = Settings()
    for variable, value, name, expected in VARIABLES:
        settings = Settings.from_environment({variable: value})
        differences = {
            field.name for field in fields(settings) if getattr(settings, field.name) != getattr(defaults, field.name)
        }
        assert getattr(settings, name) == expected, variable
        assert differences <= {name}, variable


def test_a_space_listens_to_the_outside_unless_told_otherwise():
    assert Settings.from_environment({"SPACE_ID": "me/app"}).host == "0.0.0.0"
    assert Settings.from_environment({"SPACE_ID": "me/app", "GRADIO_SERVER_NAME": "127.0.0.1"}).host == "127.0.0.1"
    assert Settings.from_environment({"SPACE_ID": "me/app"}).space


def test_settings_are_frozen_and_can_be_a_cache_key():
    with pytest.raises(FrozenInstanceError):
        Settings().model = "other"
    assert hash(Settings()) == hash(Settings())


def test_every_variable_of_ours_is_named_in_the_docstring():
    spy = Spy()
    Settings.from_environment(spy)
    ours = {name for name in spy.reads if name.startswith("HALLUAPP_")}
    assert ours
    assert all(name in Settings.from_environment.__doc__ for name in ours)
