"""Settings: defaults, what each variable does, and that nothing else is read."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.random_weights import BLUEPRINTS
from halluapp.machine import address_problem, folder_problem, free_port
from halluapp.settings import QUANTIZATIONS, RANDOM_MODELS, Settings, check

ROOT = Path(__file__).resolve().parents[3]


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
    ("HALLUAPP_MODELS", "some/llava, pocket,", "models", ("some/llava", "pocket")),
    ("HALLUAPP_DETECTOR", "some/detr", "detector", "some/detr"),
    ("HALLUAPP_QUANTIZATION", "none", "quantization", "none"),
    ("HALLUAPP_DEVICE", "cuda:1", "device", "cuda:1"),
    ("HALLUAPP_DTYPE", "float16", "dtype", "float16"),
    ("HALLUAPP_DEVICE_MAP", "auto", "device_map", "auto"),
    ("HALLUAPP_MAX_MEMORY", "0=9GiB, cpu=30GB", "max_memory", "0=9GiB,cpu=30GB"),
    ("HALLUAPP_OFFLOAD", "disk", "offload", "disk"),
    ("HALLUAPP_FAST", "off", "fast", "off"),
    ("HALLUAPP_THREADS", "2", "threads", 2),
    ("GRADIO_SERVER_NAME", "0.0.0.0", "host", "0.0.0.0"),
    ("GRADIO_SERVER_PORT", "0", "port", 0),
    ("SPACES_ZERO_GPU", "True", "zero_gpu", True),
    ("SPACES_ZERO_GPU", "0", "zero_gpu", False),
    ("HALLUAPP_TRAINING", "off", "training", "off"),
    ("HALLUAPP_OPERATOR_TOKEN", "x" * 16, "operator_token", "x" * 16),
    ("HALLUAPP_AUTH", "ann:secret", "auth", "ann:secret"),
    ("HALLUAPP_QUEUE", "5", "queue", 5),
    ("HALLUAPP_RATE", "12", "rate", 12),
    ("HALLUAPP_SWITCH_SECONDS", "5", "switch_seconds", 5),
    ("HALLUAPP_HOSTS", "lab.example, 10.0.0.7", "hosts", ("lab.example", "10.0.0.7")),
    ("HALLUAPP_UPLOAD_MB", "20", "upload_mb", 20),
    ("HALLUAPP_DISK_HOURS", "2", "disk_hours", 2),
    ("HALLUAPP_DISK_MB", "500", "disk_mb", 500),
    ("HALLUAPP_RESULTS", "kept", "results", Path("kept")),
    ("HALLUAPP_RESULTS", "", "results", None),
    ("HALLUAPP_RESULTS_DAYS", "30", "results_days", 30),
    ("HALLUAPP_RESULTS_MB", "500", "results_mb", 500),
    ("HALLUAPP_PUBLIC", "on", "exposed", True),
    ("HALLUAPP_PUBLIC", "off", "exposed", False),
    ("GRADIO_SHARE", "True", "exposed", True),
    ("GRADIO_ROOT_PATH", "/app", "exposed", True),
    ("HALLUAPP_MODEL", "", "model", "pocket"),
    ("HALLUAPP_THREADS", "", "threads", 0),
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


def test_the_choices_are_those_of_the_code():
    assert set(QUANTIZATIONS) == set(quantize.CHOICES)
    assert set(RANDOM_MODELS) == set(BLUEPRINTS)


WRONG = (
    ("HALLUAPP_THREADS", "abc"), ("HALLUAPP_THREADS", "-3"), ("HALLUAPP_THREADS", "1.5"), ("HALLUAPP_THREADS", "1e9"),
    ("HALLUAPP_THREADS", "9" * 5000), ("HALLUAPP_THREADS", "\u0664\u06f2x"), ("GRADIO_SERVER_PORT", "99999"),
    ("GRADIO_SERVER_PORT", "-1"), ("GRADIO_SERVER_PORT", "http"), ("HALLUAPP_QUANTIZATION", "nf5"),
    ("HALLUAPP_DEVICE", "gpu"), ("HALLUAPP_DEVICE", "cuda:x"), ("HALLUAPP_DEVICE", "cuda:99"),
    ("HALLUAPP_DEVICE_MAP", "two"), ("HALLUAPP_MAX_MEMORY", "cpu=9GB"), ("HALLUAPP_OFFLOAD", "folder"),
    ("HALLUAPP_FAST", "quick"), ("HALLUAPP_DETECTOR", "yolo"), ("HALLUAPP_DETECTOR", "./no/such/folder"),
    ("HALLUAPP_MODEL", "/no/such/folder"), ("HALLUAPP_MODEL", "no-such-word"), ("HALLUAPP_MODEL", "app.py"),
    ("HALLUAPP_MODEL", "docs"), ("HALLUAPP_MODELS", "pocket,no-such-word"), ("HALLUAPP_MODELS", "pocket,random:foo"),
    ("HALLUAPP_MODEL", "random:foo"), ("HALLUAPP_RUNS", "app.py/runs"),
    ("HALLUAPP_TRAINING", "maybe"),
    ("HALLUAPP_OPERATOR_TOKEN", "short"), ("HALLUAPP_AUTH", "nameonly"), ("HALLUAPP_QUEUE", "0"),
    ("HALLUAPP_QUEUE", "many"), ("HALLUAPP_RATE", "-1"),
    ("HALLUAPP_HOSTS", "http://lab.example"), ("HALLUAPP_HOSTS", "lab.example:80"), ("HALLUAPP_SWITCH_SECONDS", "-1"),
    ("HALLUAPP_UPLOAD_MB", "0"), ("HALLUAPP_DISK_MB", "1"),
    ("HALLUAPP_RESULTS", "app.py/results"), ("HALLUAPP_RESULTS_DAYS", "0"), ("HALLUAPP_RESULTS_MB", "1"),
)  # fmt: skip


def test_every_wrong_setting_is_one_sentence_and_exit_code_two(monkeypatch, capsys):
    """The kind: settings that ended in tracebacks or surfaced late."""
    monkeypatch.chdir(ROOT)
    for variable, value in WRONG:
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            assert cli.main(["serve", "--port", "0"] if "PORT" not in variable else ["serve"]) == 2, (variable, value)
        error = capsys.readouterr().err
        assert error.startswith("halluapp: "), (variable, value)
        assert error.count("\n") == 1, (variable, value)
        assert len(error) < 250, (variable, value)
        assert error.endswith(".\n"), (variable, value)


SPREAD = (
    ({"max_memory": "1=9GiB"}, "needs HALLUAPP_DEVICE_MAP"),
    ({"device_map": "auto", "max_memory": "9GB"}, "write it as 0=20GiB"),
    ({"device_map": "auto", "max_memory": "cpu=9"}, "write it as 0=20GiB"),
    ({"device_map": "auto", "device": "cuda:0"}, "leave one of them out"),
    ({"device_map": "auto", "zero_gpu": True}, "on ZeroGPU there is one card"),
    ({"device_map": "auto", "offload": "/proc/no"}, "cannot be written to"),
    ({"device_map": "auto", "max_memory": "0=20GiB,1=20.5GB,cpu=60GiB", "device": "cpu"}, ""),
)  # fmt: skip


def test_what_cannot_be_spread_as_the_settings_say_is_one_sentence():
    for values, words in SPREAD:
        sentences = [text for text in check(Settings(**values)) if "torch finds no CUDA" not in text]
        assert len(sentences) == bool(words), (values, sentences)
        assert words in "".join(sentences)


def test_commands_check_the_settings_before_they_load_anything(monkeypatch, capsys):
    for variable, value in (("HALLUAPP_THREADS", "abc"), ("HALLUAPP_DEVICE", "gpu"), ("HALLUAPP_DETECTOR", "yolo")):
        for command in (["bench"], ["train", "list", "runs"], ["compare", "no.jpg", "--prompt", "p"]):
            with monkeypatch.context() as changed:
                changed.setenv(variable, value)
                assert cli.main(command) == 2, (variable, command)
            assert value in capsys.readouterr().err, (variable, command)
    assert cli.main(["bench", "--model", "/no/such/folder"]) == 2
    assert "/no/such/folder" in capsys.readouterr().err


def test_the_app_itself_ends_with_one_line():
    environment = {"HALLUAPP_THREADS": "abc", "PATH": ""}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "halluapp: HALLUAPP_THREADS is 'abc'; use a whole number from 0 to 1024.\n"


def test_cuda_is_asked_for_only_where_a_setting_says_so():
    import torch

    if not torch.cuda.is_available():
        assert "finds no CUDA device" in check(Settings(device="cuda"))[0]
    code = "import sys; import halluapp.settings as s; s.Settings().checked(True); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_all_problems_are_told_at_once(tmp_path):
    settings = Settings(threads=-1, quantization="nf5", port=-5, runs=tmp_path)
    assert len(check(settings, serving=True)) == 3
    assert len(check(settings)) == 2
    with pytest.raises(InputError, match=r"nf5.*threads|nf5.*THREADS"):
        settings.checked()
    assert Settings(runs=tmp_path / "new").checked(serving=True)
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_folder_and_a_hub_id_pass(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for model in (str(tmp_path), "owner/name-7b", "random:llava-1.5-7b", "auto"):
        assert not check(Settings(model=model)), model


def test_an_address_in_use_is_a_sentence():
    with socket.socket() as taken_port:
        taken_port.bind(("127.0.0.1", 0))
        taken_port.listen()
        port = taken_port.getsockname()[1]
        assert str(port) in address_problem("127.0.0.1", port)
        assert cli.main(["serve", "--port", str(port)]) == 2
    assert not address_problem("127.0.0.1", 0)
    assert not address_problem("127.0.0.1", free_port("127.0.0.1"))
    assert "no.such.host" in address_problem("no.such.host.invalid", 0)


def test_port_zero_is_a_free_one_whatever_gradio_reads():
    """The kind: GRADIO_SERVER_PORT=0 ended in a traceback, since gradio took it for the number of a port."""
    from halluapp.ui.app import launch_options

    assert launch_options(Settings(port=0))["server_port"] > 1023
    assert launch_options(Settings(port=9))["server_port"] == 9


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    assert not folder_problem(tmp_path / "a" / "b", "It", "change it")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    assert "It, " in folder_problem(tmp_path / "file" / "b", "It", "change it")


PUBLIC = (
    (Settings(), False), (Settings(host="localhost"), False), (Settings(host="::1"), False),
    (Settings(host="127.0.0.2"), False), (Settings(host="0.0.0.0"), True), (Settings(host="::"), True),
    (Settings(host="192.168.1.5"), True), (Settings(host="my-machine"), True), (Settings(space=True), True),
    (Settings(exposed=True), True),
)  # fmt: skip


def test_a_server_is_public_beyond_loopback_and_then_trains_only_when_told():
    for settings, public in PUBLIC:
        assert settings.public == public, settings
        assert settings.trains != public, settings
    assert Settings(space=True, training="on").trains
    assert not Settings(training="off").trains


def test_the_operator_token_is_not_printed():
    assert "secret" not in repr(Settings(operator_token="secret" * 4))
