"""What a Space and a container start with: hardware, the commands of the README, packages that can be had together."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
# What ZeroGPU lists, and needs: its oldest and newest torch with one Python.
ZERO_GPU_TORCH = ("2.8.0", "2.11.0")
PIP = "pip>=25.3"  # an older one fetches every package of a dry run, several GB
UNREACHABLE = ("NewConnectionError", "No matching distribution found for torch==", "Could not fetch", "timed out")


def test_the_space_runs_on_the_free_hardware():
    matter = yaml.safe_load(README.split("---\n")[1])
    assert matter["suggested_hardware"] == "zero-a10g"
    assert matter["python_version"] == "3.12"
    assert "mcp-server" in matter["tags"]
    assert matter["sdk"] == "gradio", "ZeroGPU takes no other"


def test_the_container_runs_the_command_of_the_readme():
    start = re.search(r"<!-- command: start -->\n```sh\n(.*?)\n```", README, re.DOTALL)[1]
    install = re.findall(r"^RUN (python3 .*)$", DOCKERFILE, re.MULTILINE)
    command = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert len(install) == len(command) == 1
    assert f"{install[0]} && {' '.join(json.loads(command[0]))}" == start


def test_the_container_runs_as_a_user_without_rights_and_copies_no_secrets():
    assert DOCKERFILE.index("\nUSER halluapp\n") < DOCKERFILE.index("\nCOPY ")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "runs"} <= set(ignored)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("torch", ZERO_GPU_TORCH)
def test_the_requirements_can_be_had_together_on_zero_gpu(torch, tmp_path):
    """A current pip's dry run for Python 3.12 on Linux; skipped where no package index can be reached."""
    pip, target = [sys.executable, "-m", "pip"], tmp_path / "pip"
    platforms = ["--platform=manylinux2014_x86_64", *(f"--platform=manylinux_2_{n}_x86_64" for n in range(5, 36))]
    command = [
        *pip, "install", "--dry-run", "--ignore-installed", "--only-binary=:all:",
        "--python-version=3.12", *platforms, f"--target={tmp_path / 'new'}", "-r", str(ROOT / "requirements.txt"),
        f"torch=={torch}", "--retries=1", "--disable-pip-version-check",
    ]  # fmt: skip
    try:
        fetched = subprocess.run([*pip, "install", "-q", f"--target={target}", PIP], timeout=120, cwd=tmp_path)
        environment = {**os.environ, "PYTHONPATH": str(target)} if fetched.returncode == 0 else None
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index is too slow")
    if run.returncode and any(text in run.stderr for text in UNREACHABLE):
        pytest.skip("no package index with this torch can be reached")
    assert run.returncode == 0, run.stderr[-2000:]
    assert f"torch-{torch}" in run.stdout


def test_the_caches_of_five_panels_are_what_the_formula_gives():
    """7B: transformers' LlamaConfig as it is; 13B: the published configuration. Rows: what the methods ask for."""
    from transformers import LlamaConfig

    from halluapp.methods.registry import create, defaults

    page = (ROOT / "docs" / "hosting.md").read_text("utf-8")
    rows = sum(len(create(name).rows("Describe this image.")) for name in defaults())
    assert "2 · layers · KV heads · head size · bytes of a number · rows · tokens" in page
    assert len(defaults()) == 5
    assert f"The five default panels are {rows} rows" in page
    assert "at 700 tokens of photo, prompt and answer in 16 bits" in page
    thirteen = LlamaConfig(hidden_size=5120, num_hidden_layers=40, num_attention_heads=40)
    for name, config in (("7B", LlamaConfig()), ("13B", thirteen)):
        layers, heads, size = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        row = 2 * layers * heads * size * 2 * 700 / 1e9
        line = f"| LLaVA-1.5-{name} | {layers} | {heads} | {size} | {row:.2f} GB | {rows * row:.2f} GB |"
        assert page.count(line) == 1, line


def test_the_memory_of_13b_is_what_the_catalogue_estimates():
    from halluapp.lvlm import catalog
    from halluapp.lvlm.weights.memory import WORKING_BYTES

    page, entry = (ROOT / "docs" / "hosting.md").read_text("utf-8"), catalog.find("llava-hf/llava-1.5-13b-hf")
    for quantization, rows in (("nf4", 2), ("none", 3)):
        whole = entry.bytes(quantization)
        assert page.count(f"| {(whole - WORKING_BYTES) / 1e9:.1f} GB | {whole / 1e9:.1f} GB |") == rows
