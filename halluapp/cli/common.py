"""Flags of the model and the methods, settings, and the output of results, for all commands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.data.files import write_text
from halluapp.errors import InputError
from halluapp.session import Session, load_session
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.methods.base import Method

PHOTO_DATA = "folder or tar shards of KEY.jpg + KEY.json"


def add_command(commands, name: str, about: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """A command with the flags of the model and of the JSON output; `run` gets its options -> exit code."""
    command = commands.add_parser(name, help=about, description=about)
    command.set_defaults(run=run)
    command.add_argument("--model", default=None, help="pocket (embedded), auto (what fits), a hub id or a folder")
    command.add_argument(
        "--quantization",
        choices=("nf4", "int8", "none"),
        default=None,
        help="of the language model (default: HALLUAPP_QUANTIZATION, or nf4)",
    )
    command.add_argument("--json", type=Path, dest="out_json", metavar="OUT", help="the result as JSON, schema 1")
    return command


def add_methods(command: argparse.ArgumentParser) -> None:
    """Adds --methods, --set and --adapter."""
    command.add_argument(
        "--methods",
        default=None,
        help="names separated by commas, nullu+vdd for a stacked panel (default: the five panels of the page)",
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="METHOD.PARAMETER=VALUE", dest="assignments",
        help="a parameter of a method, vdd.alpha=0.5; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--adapter", action="append", default=[], type=Path, metavar="FOLDER",
        help="a training run, or a peft adapter, as the further method adapter:FOLDERNAME; may be repeated",
    )  # fmt: skip


def settings_of(options: argparse.Namespace) -> Settings:
    """Settings of the environment, changed by --model and --quantization. Raises InputError."""
    changes = {"model": options.model, "quantization": options.quantization}
    settings = Settings.from_environment()
    return replace(settings, **{key: value for key, value in changes.items() if value is not None}).checked()


def check_environment() -> None:
    """Raises InputError for settings that no flag overrides."""
    replace(Settings.from_environment(), model=Settings.model, quantization=Settings.quantization).checked()


def methods_of(options: argparse.Namespace) -> list[Method]:
    """Method objects from --methods, --set and --adapter. Raises InputError."""
    from halluapp.methods import assignments

    adapters = [f"adapter:{_adapter_name(folder)}" for folder in options.adapter]
    names = assignments.method_names(options.methods, adapters)
    return assignments.create_methods(names, assignments.parse(options.assignments))


def _adapter_name(folder: Path) -> str:
    folder = folder.resolve()
    return folder.parent.name if folder.name == "adapter" else folder.name


def session_of(options: argparse.Namespace) -> Session:
    """The loaded models with the adapters of --adapter. Raises InputError."""
    from halluapp.lvlm import adapters

    session = load_session(settings_of(options))
    for folder in options.adapter:
        name, inner = _adapter_name(folder), folder / "adapter"
        session.lvlm.adapters[name] = adapters.load(session.lvlm, inner if inner.is_dir() else folder, name)
    return session


def check_data(data: Path) -> None:
    """Raises InputError before a model is loaded for nothing."""
    if not data.exists():
        raise InputError(f"No data at {data}: give a folder or a .tar of KEY.jpg + KEY.json files.")


def log(line: str) -> None:
    """Progress goes to standard error, results to standard output."""
    print(line, file=sys.stderr, flush=True)


def write_json(result: dict, path: Path | None) -> None:
    """Writes a result to the file of --json, if there is one."""
    if path:
        write(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False), path)


def write(text: str, path: Path) -> None:
    """Writes a file whole and says so."""
    write_text(path, text)
    print(f"wrote {path}")
