"""Loads the golden cases: what the method authors' own code gives for small seeded inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True)
class Case:
    """One call of the authors' code; arrays as numpy, everything else as in the JSON."""

    id: str
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    authors_only: tuple[str, ...]

    def __repr__(self) -> str:
        return self.id


@cache
def load(part: str) -> tuple[Case, ...]:
    """All cases of `part`, e.g. "vdd"."""
    described = json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))
    file = FOLDER / f"{part}.npz"
    arrays = dict(np.load(file)) if file.exists() else {}

    def values(entries: dict[str, Any]) -> dict[str, Any]:
        return {name: _value(entry, arrays) for name, entry in entries.items()}

    return tuple(
        Case(
            id=case["id"],
            parameters=values(case["parameters"]),
            inputs=values(case["inputs"]),
            outputs=values(case["outputs"]),
            authors_only=tuple(case.get("authors_only", ())),
        )
        for case in described["cases"]
    )


def cases(part: str, prefix: str) -> list[Case]:
    """The cases of `part` whose id starts with `prefix`; never an empty list, so that no test runs on nothing."""
    results = [case for case in load(part) if case.id.startswith(prefix)]
    assert results, f"no golden case {part}/{prefix}"
    return results


def _value(entry: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(entry, dict):
        return entry
    return arrays[entry["array"]] if "array" in entry else entry["value"]


class _Named:
    """Notes the case on whatever its block raises."""

    def __init__(self, case: Any):
        self.case = case

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            error.add_note(f"in the case {self.case!r}")


def for_each(some: Iterable[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Makes one test of a function of a case: it runs for all of them, and a failure names its case."""
    some = list(some)

    def decorate(test: Callable[[Any], None]) -> Callable[[], None]:
        def run_all() -> None:
            for case in some:
                with _Named(case):
                    test(case)

        run_all.__name__, run_all.__doc__, run_all.__module__ = test.__name__, test.__doc__, test.__module__
        return run_all

    return decorate
