"""The methods by name, in panel order. A new one is a file here and a line in METHODS."""

from __future__ import annotations

from dataclasses import Field, fields

from halluapp.errors import InputError
from halluapp.methods.adapter import HACL, Adapter, CHiP
from halluapp.methods.adavib import AdaVIB
from halluapp.methods.base import Method
from halluapp.methods.baseline import Baseline
from halluapp.methods.calibration import Calibration
from halluapp.methods.nullu import Nullu
from halluapp.methods.vdd import VDD

METHODS: dict[str, type[Method]] = {method.name: method for method in (Baseline, Nullu, AdaVIB, VDD, Calibration)}
# What training runs make: chosen by name, for models that have such an adapter.
TRAINED: dict[str, type[Method]] = {method.name: method for method in (CHiP, HACL, Adapter)}


def create(name: str, /, **parameters) -> Method:
    """A method by name with some of its parameters; raises InputError for an unknown name, parameter or value."""
    known_methods = METHODS | TRAINED
    if name not in known_methods:
        raise InputError(f"There is no method {name!r}; known are {', '.join(known_methods)}.")
    method = known_methods[name]
    known = {item.name: item for item in fields(method)}
    for key in parameters:
        if key not in known:
            raise InputError(f"{method.title} has no parameter {key!r}; it has {', '.join(known) or 'none'}.")
    return method(**{key: _checked(method.title, known[key], value) for key, value in parameters.items()})


def _checked(title: str, known: Field, value):
    """The value of a parameter if it may have it; a whole number stays one, because sliders send 4.0 for 4."""
    about = known.metadata
    if about["choices"] is not None:
        if value not in about["choices"]:
            raise InputError(f"{title}: {known.name} must be one of {', '.join(about['choices'])}, not {value!r}.")
        return value
    if isinstance(known.default, str):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{title}: {known.name} must be a name, not {value!r}.")
        return value.strip()
    whole = isinstance(known.default, int)
    number = isinstance(value, int | float) and not isinstance(value, bool) and about["least"] <= value <= about["most"]
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        bounds = f"from {about['least']} to {about['most']}"
        raise InputError(f"{title}: {known.name} must be {kind} {bounds}, not {value!r}.")
    return int(value) if whole else value
