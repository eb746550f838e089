"""Flags of the model and the methods, settings, and the output of results, for all commands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.cli.support import adapter_names
from halluapp.data.files import check_output, write_text
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
    add_output(command, "--json", dest="out_json", metavar="OUT", help="the result as JSON, schema 1")
    return command


def add_output(command: argparse.ArgumentParser, flag: str, folder: bool = False, **options) -> None:
    """Adds a flag that names a file (or a folder) for a result: `check_outputs` tries it before the work begins."""
    action = command.add_argument(flag, type=Path, **options)
    command.set_defaults(outputs={**(command.get_default("outputs") or {}), action.dest: folder})


def add_answers(command: argparse.ArgumentParser, more: str = "") -> None:
    """Adds --answers, the file that keeps answers as they come."""
    about = "keeps every answer as it comes, goes on from those that are there (default: OUT.answers.jsonl of --json)"
    command.add_argument("--answers", type=Path, metavar="FILE", help=about + more)


def answers_path(options: argparse.Namespace) -> Path | None:
    """The file of answers: of --answers, or beside that of --json. Raises InputError where it cannot be written."""
    result = options.out_json
    if result and result.exists() and not result.is_file():  # /dev/stdout
        result = None
    path = options.answers or (result.with_name(f"{result.stem}.answers.jsonl") if result else None)
    if path:
        check_output(path, [path for path in (options.data, options.out_json) if path])
    return path


def check_outputs(options: argparse.Namespace) -> None:
    """Makes the folders of all results and tries to write there. Raises InputError before any work is done."""
    inputs = [value for name in ("photo", "data", "pairs") if isinstance(value := getattr(options, name, None), Path)]
    distinct: set[Path] = set()
    for name, folder in getattr(options, "outputs", {}).items():
        path = getattr(options, name)
        if path is None:
            continue
        if path.resolve() in distinct:
            raise InputError(f"Two results go to {path}; give each a file of its own.")
        distinct.add(path.resolve())
        check_output(path, inputs, folder)


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
    """Method objects from --methods, --set and --adapter. Raises InputError.

    An adapter that --methods does not name, alone or in a stack, is one more panel.
    """
    from halluapp.methods import assignments

    adapters = [adapter_names.PREFIX + name for name in adapter_names.safe_names(options.adapter)]
    methods = adapter_names.with_safe_names(options.methods or "", options.adapter, r"\s*(?:[,+]|$)")
    names = assignments.method_names(methods, adapters)
    parts = {part for name in names for part in name.split("+")}
    names += [name for name in adapters if name not in parts]
    values = [adapter_names.with_safe_names(item, options.adapter, r"\s*[.+]") for item in options.assignments]
    return assignments.create_methods(names, assignments.parse(values, names))


def session_of(options: argparse.Namespace) -> Session:
    """The loaded models with the adapters of --adapter. Raises InputError."""
    from halluapp.lvlm import adapters

    session = load_session(settings_of(options))
    for name, folder in zip(adapter_names.safe_names(options.adapter), options.adapter, strict=True):
        inner = folder / "adapter"
        session.lvlm.adapters[name] = adapters.load(session.lvlm, inner if inner.is_dir() else folder, name)
    return session


def check_data(data: Path) -> None:
    """Raises InputError before a model is loaded for nothing."""
    if not data.exists():
        raise InputError(f"No data at {data}: give a folder or a .tar of KEY.jpg + KEY.json files.")


def log(line: str) -> None:
    """Progress goes to standard error, results to standard output."""
    print(line, file=sys.stderr, flush=True)


def write_json(result: dict, path: Path | None) -> list[Path]:
    """Writes a result to the file of --json, if there is one -> the files written. Raises OSError."""
    if path is None:
        return []
    write_text(path, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))
    return [path]


def print_files(paths: Sequence[Path]) -> None:
    """Says which files were written: last, when they are on the disk."""
    for path in paths:
        print(f"wrote {path}")
