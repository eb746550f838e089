"""The methods by name, and a method from its name and its parameters."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import fields

from halluapp.errors import InputError, excerpt, quotation
from halluapp.methods.adapter import HACL, CHiP, NamedAdapter
from halluapp.methods.adavib import AdaVIB
from halluapp.methods.base import Method
from halluapp.methods.baseline import Baseline
from halluapp.methods.calibration import Calibration
from halluapp.methods.deco import DeCo
from halluapp.methods.dola import DoLa
from halluapp.methods.icd import ICD
from halluapp.methods.m3id import M3ID
from halluapp.methods.nullu import Nullu
from halluapp.methods.pai import PAI
from halluapp.methods.stacked import Stacked
from halluapp.methods.vcd import VCD
from halluapp.methods.vdd import VDD
from halluapp.parameters import check_parameter

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (Baseline, Nullu, AdaVIB, CHiP, HACL, VDD, Calibration, VCD, ICD, M3ID, PAI, DoLa, DeCo)
}


def defaults() -> list[str]:
    """Names of the methods that are on when nobody chooses."""
    return [name for name, method in METHODS.items() if method.default]


def stacks() -> list[str]:
    """Names of the pairs that can be stacked: a method that edits the model, and one applied to the edited model."""
    edits = [name for name, method in METHODS.items() if method.edits]
    others = [name for name, method in METHODS.items() if not method.edits and method is not Baseline]
    pairs = [(first, second) for index, first in enumerate(edits) for second in edits[index + 1 :]]
    changes = {name: METHODS[name]().rows("")[0].intervention for name in edits}
    visual = {name for name, change in changes.items() if change is None or change.space is None}
    pairs = [pair for pair in pairs if not set(pair) <= visual]  # two of them would change the same visual tokens
    return ["+".join(pair) for pair in [*((edit, other) for edit in edits for other in others), *pairs]]


def calibrated_contrasts() -> list[str]:
    """Names of the pairs of a contrast and a method that calibrates its scores."""
    contrasts = [name for name, method in METHODS.items() if method.contrasts]
    return [f"{first}+{second}" for second, method in METHODS.items() if method.calibrates for first in contrasts]


def canonical(name: str) -> str:
    """A name as a person types it -> as the registry has it: VDD is vdd, Nullu + VDD nullu+vdd; adapters stay."""
    parts = [part.strip() for part in name.split("+")]
    return "+".join(part.lower() if part.lower() in METHODS else part for part in parts)


def create(name: str, /, **parameters) -> Method:
    """A method by name with some of its parameters; raises InputError for an unknown name, parameter or value.

    "nullu+vdd" stacks methods; a parameter of a part is "nullu.rank", or "alpha" if only one part has it.
    "adapter:NAME" is any loaded adapter. Parameters may have capitals, and "-" for "_".
    """
    if "+" in name:
        return _stack([part.strip() for part in name.split("+")], parameters)
    if name.startswith("adapter:"):
        name, parameters = "adapter", {"adapter": name.partition(":")[2], **parameters}
    if name not in METHODS and name != "adapter":
        hint = f" (it is {canonical(name)}, in small letters)" if canonical(name) in METHODS else ""
        raise InputError(
            f"There is no method {quotation(name)}{hint}; known are {', '.join(METHODS)}, and adapter:NAME."
        )
    method = METHODS.get(name, NamedAdapter)
    items = {item.name: item for item in fields(method)}
    parameters = _known_keys(method.title, parameters, items)
    for key in parameters:
        if key not in items:
            raise InputError(f"{method.title} has no parameter {quotation(key)}; it has {', '.join(items) or 'none'}.")
    return method(**{key: check_parameter(method.title, items[key], value) for key, value in parameters.items()})


def _known_keys(title: str, parameters: dict, items: Container[str]) -> dict:
    """The parameters under the names that the method gives them. Raises InputError for one that is given twice."""
    result: dict = {}
    for key, value in parameters.items():
        plain = key.lower().replace("-", "_")
        name = plain if key not in items and plain in items else key
        if name in result:
            raise InputError(f"{title}: {excerpt(name)} is given twice.")
        result[name] = value
    return result


def _stack(names: list[str], parameters: dict) -> Stacked:
    """The methods of a stack with their parameters sorted out."""
    if len(set(names)) < len(names):
        raise InputError("A stacked method names each part once.")
    values: dict[str, dict] = {name: {} for name in names}
    for key, value in parameters.items():
        part, _, rest = key.rpartition(".")
        part = canonical(part)
        owners = [part] if part else [name for name in names if name in METHODS and _has(METHODS[name], key)]
        if len(owners) > 1:
            raise InputError(
                f"More than one part has {quotation(key)}; write {' or '.join(f'{o}.{key}' for o in owners)}."
            )
        if not owners or owners[0] not in values:
            raise InputError(
                f"{excerpt('+'.join(names))} has no parameter {quotation(key)}; write it as PART.PARAMETER."
            )
        values[owners[0]][rest] = value
    return Stacked(tuple(create(name, **values[name]) for name in names))


def _has(method: type[Method], key: str) -> bool:
    return key.lower().replace("-", "_") in {item.name for item in fields(method)}
