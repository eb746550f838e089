"""Parameters as people write them, METHOD.PARAMETER=VALUE or JSON, and the methods with these parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from halluapp.errors import InputError, excerpt, quotation
from halluapp.methods.base import Method
from halluapp.methods.registry import canonical, create, defaults

FORM = 'Parameters are an object like {"vdd": {"alpha": 0.5}} or a list of METHOD.PARAMETER=VALUE'


def method_names(text: str | None, further: Sequence[str] = ()) -> list[str]:
    """Method names separated by commas; for an empty text the default panels and these further ones."""
    names = [canonical(name.replace(" ", "")) for name in (text or "").split(",")]
    return [name for name in names if name] or [*defaults(), *further]


def parse(items: Sequence[str], names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """["vdd.alpha=0.5"] -> {"vdd": {"alpha": 0.5}}; a value is JSON or else a text. Raises InputError.

    names: of the chosen methods, which may have dots themselves (adapter:run.v2).
    """
    parameters: dict[str, dict[str, Any]] = {}
    for item in items:
        target, _, value = item.partition("=")
        name, key = _split(target.replace(" ", ""), names)
        if not (value and name and key):
            raise InputError(f"{quotation(item)} is not METHOD.PARAMETER=VALUE.")
        if key in parameters.get(name, {}):
            raise InputError(f"{excerpt(f'{name}.{key}')} is given twice; give it once.")
        try:
            parameters.setdefault(name, {})[key] = json.loads(value)
        except ValueError:
            parameters.setdefault(name, {})[key] = value
    return parameters


def _split(target: str, names: Sequence[str]) -> tuple[str, str]:
    """METHOD.PARAMETER -> both; a stack's own parameters have dots as well: nullu+vdd.nullu.rank."""
    for name in sorted(names, key=len, reverse=True):
        if target.startswith(f"{name}."):
            return name, target.removeprefix(f"{name}.")
    name, _, key = target.partition(".")
    return canonical(name), key


def read(parameters: Any, names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Parameters from a program: {"vdd": {"alpha": 0.5}}, a list as for `parse`, or nothing. Raises InputError."""
    if not parameters:
        return {}
    if isinstance(parameters, list) and all(isinstance(item, str) for item in parameters):
        return parse(parameters, names)
    if not isinstance(parameters, dict) or not all(isinstance(values, dict) for values in parameters.values()):
        raise InputError(f"{FORM}, not {json.dumps(parameters, default=str)[:80]}.")
    return {canonical(name): values for name, values in parameters.items()}


def create_methods(names: Sequence[str], parameters: dict[str, dict[str, Any]]) -> list[Method]:
    """Methods by name with their parameters. Raises InputError, also for parameters of a method that is not named."""
    if unused := set(parameters) - set(names):
        others = excerpt(", ".join(sorted(unused)))
        raise InputError(f"Parameters are given for {others}, which is not among the methods.")
    return [create(name, **parameters.get(name, {})) for name in names]
