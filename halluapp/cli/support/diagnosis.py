"""What `halluapp doctor` finds. Works where packages are missing: only the standard library is imported at once."""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import halluapp
from halluapp.errors import InputError
from halluapp.machine import folder_problem, nearest_folder
from halluapp.settings import ASSETS, Settings, check

SHOWN = ("torch", "transformers", "gradio", "bitsandbytes", "accelerate", "peft", "safetensors", "pillow", "datasets")
LEAST_DISK, LEAST_MEMORY = 1_000_000_000, 2_000_000_000  # bytes: uploads and runs; the embedded model with all panels
RESTORE = "Get the project's assets folder again (git checkout, or install the package anew)."
INSTALL = "Install the requirements again: pip install -r requirements.txt"
# What the embedded model and detector read besides the shards that the index names.
POCKET_FILES = (
    "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "chat_template.jinja", "model.safetensors.index.json", "detector.json", "detector.safetensors",
    "hallu_space.safetensors", "projector-adavib.safetensors", "adapters/chip/adapter_config.json",
    "adapters/chip/adapter_model.safetensors", "adapters/hacl/projector.safetensors",
)  # fmt: skip
OTHER_FILES = (
    "presence/presence.json", "presence/head-1.safetensors", "presence/head-2.safetensors", "pairs/pairs.jsonl",
    "examples/scenes.json",
)  # fmt: skip
Problem = dict[str, str]  # what is wrong, and the remedy, a sentence each


def examine(devices: bool = False) -> dict[str, Any]:
    """All findings as JSON data, schema 1. devices: ask torch, even where no driver of a GPU is seen."""
    problems: list[Problem] = []
    settings = _settings(problems)
    findings = {
        "schema": 1, "versions": versions(problems), "devices": find_devices(devices, problems),
        "memory": memory(problems), "files": model_files(settings.assets, problems),
        "folders": folders(settings, problems),
    }  # fmt: skip
    return {**findings, "problems": problems}


def _settings(problems: list[Problem]) -> Settings:
    """The settings of the environment; the defaults where it cannot be read."""
    try:
        settings = Settings.from_environment()
    except InputError as error:
        problems.append(_problem(str(error)))
        return Settings()
    problems += [_problem(sentence) for sentence in check(settings, serving=True)]
    return settings


def _problem(what: str, remedy: str = "") -> Problem:
    return {"what": what, "remedy": remedy}


def versions(problems: list[Problem]) -> dict[str, str | None]:
    """Version of Python and of the packages that matter, None where one is not installed."""
    for name, limits in _requirements():
        present = _version(name)
        if present is None:
            problems.append(_problem(f"The package {name} is not installed.", INSTALL))
        elif not _allows(limits, present):
            problems.append(_problem(f"The package {name} is {present}, but {limits} is needed.", INSTALL))
    about = {"halluapp": halluapp.__version__, "python": platform.python_version()}
    return {**about, **{name: _version(name) for name in SHOWN}}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements() -> Iterator[tuple[str, str]]:
    """(name, version limits) of what the app needs here: of requirements.txt in a checkout, else of the package."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        yield "packaging", ""
        return
    path = ASSETS.parent / "requirements.txt"
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else metadata.requires("halluapp") or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        try:
            requirement = Requirement(line.partition("#")[0])
        except InvalidRequirement:  # an empty line or a comment
            continue
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name, str(requirement.specifier)


def _allows(limits: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(limits).contains(version, prereleases=True)


def find_devices(ask_torch: bool, problems: list[Problem]) -> list[dict[str, str]]:
    """The processor and the GPUs: those of the driver, and what torch sees of them."""
    devices = [{"name": "cpu", "about": f"{platform.machine()}, {os.cpu_count() or 1} cores"}]
    driver = shutil.which("nvidia-smi")
    gpus = _gpus_of_driver(driver) if driver else []
    devices += [{"name": f"gpu {index}", "about": line} for index, line in enumerate(gpus)]
    if (ask_torch or gpus) and _version("torch"):
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices += [{"name": f"cuda:{index}", "about": torch.cuda.get_device_name(index)} for index in range(count)]
        if gpus and not count:
            remedy = "Install a torch that is built for this driver's CUDA, or set HALLUAPP_DEVICE=cpu."
            problems.append(_problem(f"There is a GPU, but torch {torch.__version__} cannot use it.", remedy))
    return devices


def _gpus_of_driver(driver: str) -> list[str]:
    """A line a GPU: name, memory, driver version; none where the driver does not answer."""
    command = [driver, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []


def memory(problems: list[Problem]) -> dict[str, int | None]:
    """Bytes of main memory, in all and free; None where they cannot be read."""
    try:
        import psutil
    except ImportError:  # `versions` reports it
        return {"total": None, "free": None}
    state = psutil.virtual_memory()
    if state.available < LEAST_MEMORY:
        free, least = state.available / 1e9, LEAST_MEMORY / 1e9
        what = f"Only {free:.1f} GB of memory are free; the embedded model needs {least:.0f}."
        problems.append(_problem(what, "Close other programs."))
    return {"total": state.total, "free": state.available}


def model_files(assets: Path, problems: list[Problem]) -> list[dict[str, Any]]:
    """name, bytes (None: missing) and problem ("" for none) of every file that the embedded models need."""
    names = [f"pocket/{name}" for name in POCKET_FILES] + list(OTHER_FILES)
    names += [f"pocket/{name}" for name in _shards(assets / "pocket/model.safetensors.index.json")]
    names += [path.relative_to(assets).as_posix() for path in assets.glob("*/**/*.safetensors")]
    files = []
    for name in sorted(set(names)):
        path = assets / name
        fault = file_fault(path)
        files.append({"name": name, "bytes": path.stat().st_size if path.is_file() else None, "problem": fault})
        if fault:
            problems.append(_problem(f"assets/{name} {fault}.", RESTORE))
    return files


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError):  # `file_fault` reports the index itself
        return []


def file_fault(path: Path) -> str:
    """What is wrong with a file of the assets, as the end of a sentence; "" for nothing. Weights are not read."""
    if not path.is_file():
        return "is missing"
    try:
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".safetensors":
            return _weights_fault(path)
        return "" if path.stat().st_size else "is empty"
    except OSError as error:
        return f"cannot be read ({(error.strerror or str(error)).lower()})"
    except ValueError:
        return "is damaged: it is no JSON"


def _weights_fault(path: Path) -> str:
    """Compares the length of a safetensors file with what its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            return "is a pointer of Git LFS, not the weights"
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            return "is damaged: its header is cut off"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "is damaged: its header cannot be read"
    whole = 8 + length + max(ends, default=0)
    return "" if size == whole else f"is damaged: it has {size} bytes instead of {whole}"


def folders(settings: Settings, problems: list[Problem]) -> list[dict[str, Any]]:
    """path, writable and free bytes of the folders that the app writes to."""
    folders = []
    for name, path in (("The folder of runs", settings.runs), ("The folder of uploads", Path(tempfile.gettempdir()))):
        fault = folder_problem(path, name, "give it to the user who runs the app, or set another")
        free = shutil.disk_usage(nearest_folder(path)).free
        folders.append({"path": str(path), "writable": not fault, "free": free})
        if fault and not any(name in problem["what"] for problem in problems):
            problems.append(_problem(fault))
        if free < LEAST_DISK:
            what = f"{name}, {path}, has only {free / 1e9:.1f} GB of free disk."
            problems.append(_problem(what, "Delete old runs, or set HALLUAPP_RUNS or TMPDIR to another disk."))
    return folders
