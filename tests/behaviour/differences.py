"""What differs between two records of `record_behaviour`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path


def differences(old, new, where: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of (place, what differs); for a key that only the new record has, (place, "")."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            place = f"{where}.{key}" if where else key
            if key not in old:
                yield place, ""
            elif key not in new:
                yield place, "is missing"
            else:
                yield from differences(old[key], new[key], place)
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from differences(one, other, f"{where}[{index}]")
        if len(old) != len(new):
            yield where, f"{len(old)} items -> {len(new)}"
    elif not _equal(old, new):
        yield where, f"{old!r} -> {new!r}"


def _equal(old, new) -> bool:
    """Numbers with a fraction to a millionth, everything else exactly."""
    if isinstance(old, float) or isinstance(new, float):
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
        return numbers and math.isclose(old, new, rel_tol=1e-6, abs_tol=1e-9)
    return type(old) is type(new) and old == new


def _load(path: Path, renamed: Mapping[str, str]):
    def rename(pairs: list[tuple]) -> dict:
        return {renamed.get(key, key): value for key, value in pairs}

    return json.loads(path.read_text("utf-8"), object_pairs_hook=rename)


def compare(before: Path, after: Path, renamed: Mapping[str, str]) -> bool:
    """Prints "equal", or how many files differ with the first difference of each -> whether all are equal.

    renamed: old name -> new name of keys, in any file and at any depth.
    """
    names, differing = sorted(path.name for path in before.glob("*.json")), 0
    for name in names:
        found = [("file", "is missing")]
        if (after / name).exists():
            found = list(differences(_load(before / name, renamed), _load(after / name, {})))
        added = sorted({re.sub(r"\[\d+\]", "[]", place) for place, what in found if not what})
        real = [f"{place}: {what}" for place, what in found if what]
        if added:
            print(f"{name}: added (no difference): {', '.join(added)}")
        if real:
            print(f"{name}: {len(real)} differences, the first: {real[0]}")
        differing += bool(real)
    if (before / "machine.txt").read_text("utf-8") != (after / "machine.txt").read_text("utf-8"):
        print("The records come from different machines or packages: see machine.txt in both.")
    print(f"{differing} of {len(names)} files differ" if differing or not names else f"equal ({len(names)} files)")
    return bool(names) and not differing
