"""Names of the adapters of --adapter: a folder may have any name, a method's name has no blank, comma, "+" or colon."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from halluapp.errors import InputError

UNSAFE = re.compile(r"[^\w.-]+")
PREFIX = "adapter:"


def folder_name(folder: Path) -> str:
    """The name of an adapter's folder; of a run's folder RUN/adapter it is RUN."""
    folder = folder.absolute()
    return folder.parent.name if folder.name == "adapter" else folder.name


def safe_names(folders: Sequence[Path]) -> list[str]:
    """A name for each folder that no other one and no method has: "my run" is my-run, two of one name get numbers."""
    from halluapp.methods.registry import METHODS

    plain = [UNSAFE.sub("-", folder_name(folder)).strip("-.") or "adapter" for folder in folders]
    counts, used, names = Counter(plain), set(METHODS), []
    for name in plain:
        number, unique = 1, name
        while unique in used or (counts[name] > 1 and unique == name) or (unique != name and unique in counts):
            unique, number = f"{name}-{number}", number + 1
        used.add(unique)
        names.append(unique)
    return names


def with_safe_names(text: str, folders: Sequence[Path], end: str) -> str:
    """A text in which adapter:FOLDERNAME is adapter:NAME. end: a pattern of what follows a name.

    Raises InputError for the name of two folders.
    """
    names: dict[str, list[str]] = {}
    for folder, name in zip(folders, safe_names(folders), strict=True):
        names.setdefault(folder_name(folder), []).append(name)

    def replacement(match: re.Match) -> str:
        candidates = names[match[1]]
        if len(candidates) > 1:
            paths = [str(folder) for folder in folders if folder_name(folder) == match[1]]
            choice = " and ".join(f"{PREFIX}{name} ({path})" for name, path in zip(candidates, paths, strict=True))
            raise InputError(f"Two folders of --adapter are called {match[1]}; name them {choice}.")
        return PREFIX + candidates[0]

    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"{PREFIX}\s*({longest_first})(?={end})", replacement, text) if names else text
