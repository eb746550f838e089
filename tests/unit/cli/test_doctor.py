"""`halluapp doctor`: what it finds, on a whole machine and on damaged assets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from halluapp.cli import main as cli
from halluapp.cli.support import diagnosis
from halluapp.settings import ASSETS


def test_nothing_is_wrong_here_and_torch_stays_out():
    code = "import sys; from halluapp.cli.main import main; code = main(['doctor', '--json'])\n" + (
        "assert shutil.which('nvidia-smi') or not {'torch', 'transformers', 'gradio'} & set(sys.modules), 'heavy'\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", "import shutil; " + code], capture_output=True, text=True)
    findings = json.loads(done.stdout)
    ours = [problem for problem in findings["problems"] if "memory" not in problem["what"]]
    assert not ours, ours
    assert done.returncode == (1 if findings["problems"] else 0), done.stderr
    assert findings["versions"]["torch"]
    assert findings["devices"][0]["name"] == "cpu"
    files = {file["name"]: file for file in findings["files"]}
    for path in ASSETS.glob("pocket/**/*.safetensors"):
        name = path.relative_to(ASSETS).as_posix()
        assert files[name]["bytes"] == path.stat().st_size, name
        assert not files[name]["problem"], name


@pytest.fixture
def assets(tmp_path):
    for folder in ("pocket", "presence", "examples"):
        shutil.copytree(ASSETS / folder, tmp_path / folder)
    (tmp_path / "pairs").mkdir()
    shutil.copy(ASSETS / "pairs/pairs.jsonl", tmp_path / "pairs")
    return tmp_path


def test_every_kind_of_damage_is_named(assets):
    pocket = assets / "pocket"
    weights = (pocket / "detector.safetensors").read_bytes()
    (pocket / "config.json").unlink()
    (pocket / "tokenizer.json").write_text('{"half": ')
    (pocket / "detector.safetensors").write_bytes(weights[:-100])
    (pocket / "model-00002-of-00004.safetensors").unlink()
    (pocket / "hallu_space.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    (pocket / "projector-adavib.safetensors").write_bytes(b"\x10")
    (pocket / "adapters/hacl/projector.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0[]")
    (assets / "pairs/pairs.jsonl").write_text("")
    problems: list[dict[str, str]] = []
    files = {file["name"]: file["problem"] for file in diagnosis.model_files(assets, problems) if file["problem"]}
    expected = {
        "pocket/config.json": "missing", "pocket/tokenizer.json": "no JSON", "pairs/pairs.jsonl": "empty",
        "pocket/detector.safetensors": "instead of",
        "pocket/model-00002-of-00004.safetensors": "missing", "pocket/hallu_space.safetensors": "Git LFS",
        "pocket/projector-adavib.safetensors": "cut off", "pocket/adapters/hacl/projector.safetensors": "header",
    }  # fmt: skip
    assert set(files) == set(expected)
    for name, words in expected.items():
        assert words in files[name], name
    assert len(problems) == len(expected)
    assert all(problem["remedy"] for problem in problems)


def test_wrong_settings_are_named_and_the_exit_code_is_one(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for variable, value in (
        ("HALLUAPP_THREADS", "abc"), ("HALLUAPP_DEVICE", "gpu"), ("HALLUAPP_RUNS", str(tmp_path / "file/runs")),
    ):  # fmt: skip
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            assert cli.main(["doctor"]) == 1, variable
        text = capsys.readouterr().out
        assert variable in text, variable
        assert "wrong:" in text, variable
        assert "Traceback" not in text, variable


def test_missing_and_old_packages_are_named(monkeypatch):
    needed = [("halluapp-no-such-package", ""), ("numpy", "<1")]
    monkeypatch.setattr(diagnosis, "_requirements", lambda: iter(needed))
    problems: list[dict[str, str]] = []
    diagnosis.versions(problems)
    assert [name in problem["what"] for (name, _), problem in zip(needed, problems, strict=True)] == [True, True]
