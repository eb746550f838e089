"""Runs the command line of a checkout and keeps what it wrote as JSON files that can be compared."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

IGNORED = {"seconds", "versions", "memory_mb", "memory", "pid", "born", "time", "date", "created"}  # keys, at any depth
TIMEOUT = 600  # seconds for one command
SUFFIXES = (".json", ".jsonl", ".safetensors", ".jpg")  # of a folder's files that are kept


class Recorder:
    """Runs commands of the checkout `tree`; each leaves one JSON file in `out`. Models and runs live in `work`."""

    def __init__(self, tree: Path, out: Path, work: Path) -> None:
        self.tree, self.out, self.work = tree, out, work
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HALLUAPP_")}
        self.environment = inherited | {
            "OMP_NUM_THREADS": "1", "HALLUAPP_THREADS": "1", "HF_HUB_OFFLINE": "1", "HALLUAPP_DEVICE": "cpu",
            "CUDA_VISIBLE_DEVICES": "", "HALLUAPP_RUNS": str(work / "runs"),
        }  # fmt: skip

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        call = [sys.executable, "-m", "halluapp", *map(str, arguments)]
        return subprocess.run(
            call, cwd=self.tree, env=self.environment, timeout=TIMEOUT, capture_output=True, encoding="utf-8"
        )

    def save(self, name: str, process: subprocess.CompletedProcess, results: dict) -> None:
        """Writes the exit code and the results, without paths and what differs from run to run."""
        record = {"exit": process.returncode, "traceback": "Traceback" in process.stderr, **results}
        text = json.dumps(_stable(record), indent=1, ensure_ascii=False, sort_keys=True)
        text = text.replace(str(self.work), "WORK").replace(str(self.tree), "TREE")
        (self.out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{time.strftime('%H:%M:%S')} {name}: exit {process.returncode}", flush=True)

    def report(self, name: str, *arguments: str | Path) -> None:
        """A command that writes its result with --json."""
        path = self.work / "result.json"
        path.unlink(missing_ok=True)
        process = self.command(*arguments, "--json", path)
        self.save(name, process, {"result": _read(path) if path.exists() else None})

    def folder(self, name: str, folder: Path, *arguments: str | Path) -> None:
        """A command that writes a folder: settings, losses, captions, and the norm of every tensor."""
        process = self.command(*arguments)
        paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
        self.save(name, process, {"files": {path.relative_to(folder).as_posix(): _read(path) for path in paths}})

    def pages(self, name: str, pages: list[Path], *arguments: str | Path) -> None:
        """A command that writes HTML and Markdown: their visible words."""
        self.save(name, self.command(*arguments), {page.suffix: _visible(page) for page in pages if page.exists()})


def _stable(value):
    """A result without the ignored keys; of an error only that there is one, because its wording may change."""
    if isinstance(value, dict):
        items = {key: _stable(item) for key, item in value.items() if key not in IGNORED}
        return items | ({"error": bool(items["error"])} if "error" in items else {})
    return [_stable(item) for item in value] if isinstance(value, list) else value


def _read(path: Path):
    if path.suffix == ".safetensors":
        tensors = load_file(path).items()
        return {name: {"shape": [*item.shape], "norm": item.double().norm().item()} for name, item in tensors}
    if path.suffix == ".jpg":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def _visible(page: Path) -> list[str]:
    """The words of an HTML or Markdown file, a piece of text an item, without seconds and versions."""
    text = page.read_text("utf-8").replace("\\_", "_")  # Markdown escapes it, in paths too
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    pieces = [" ".join(piece.split()) for piece in re.split(r"<[^>]*>" if page.suffix == ".html" else r"\n", text)]
    seconds = re.compile(r"(^|\| )\d+\.\d\d( \||$)")  # a cell of the table
    return [seconds.sub(r"\1SECONDS\2", piece) for piece in pieces if piece and "torch" not in piece]
