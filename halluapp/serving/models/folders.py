"""What a public server tells of its model: a name, not the folder before it, wherever a sentence or a report has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from halluapp.errors import InputError
from halluapp.settings import Settings


def names_of(settings: Settings) -> dict[str, str]:
    """Folder -> its name, for every model and detector that the settings of a public server name; {} on another."""
    if not settings.public:
        return {}
    values = (settings.model, settings.detector, *settings.models)
    folders = {form for value in values for form in (value, os.path.expanduser(value)) if os.path.isdir(form)}
    folders |= {os.path.abspath(folder) for folder in folders} | {os.path.realpath(folder) for folder in folders}
    return {folder: Path(folder).name for folder in sorted(folders, key=len, reverse=True)}  # the longest first


def without_folders(value: Any, names: Mapping[str, str]) -> Any:
    """A value, an event or a report of plain data, with names instead of folders in all its texts."""
    if not names or value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        for folder, name in names.items():
            value = value.replace(folder, name)
        return value
    if isinstance(value, Mapping):
        return {key: without_folders(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_folders(one, names) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{item.name: without_folders(getattr(value, item.name), names) for item in fields(value)}
        )
    return value


@contextmanager
def names_in_errors(names: Mapping[str, str]) -> Iterator[None]:
    """Within the context, an InputError has names instead of folders."""
    try:
        yield
    except InputError as error:
        sentence = str(error)
        if (hidden := without_folders(sentence, names)) != sentence:
            raise InputError(hidden) from None
        raise
