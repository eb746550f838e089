"""The methods by name, in panel order. A new one is a file here and a line in METHODS."""

from __future__ import annotations

from halluapp.errors import InputError
from halluapp.methods.adavib import AdaVIB
from halluapp.methods.base import Method
from halluapp.methods.baseline import Baseline
from halluapp.methods.calibration import Calibration
from halluapp.methods.nullu import Nullu
from halluapp.methods.vdd import VDD

METHODS: dict[str, type[Method]] = {method.name: method for method in (Baseline, Nullu, AdaVIB, VDD, Calibration)}


def create(name: str, **parameters) -> Method:
    """A method by name with some of its parameters; raises InputError for a name, parameter or value it does not have."""
    if name not in METHODS:
        raise InputError(f"There is no method {name!r}; known are {', '.join(METHODS)}.")
    method = METHODS[name]
    known = method.__dataclass_fields__
    for key, value in parameters.items():
        if key not in known:
            raise InputError(f"{method.title} has no parameter {key!r}; it has {', '.join(known) or 'none'}.")
        _check(method, key, value)
    return method(**parameters)


def _check(method: type[Method], key: str, value) -> None:
    about = method.__dataclass_fields__[key].metadata
    if about["choices"] is not None:
        if value not in about["choices"]:
            raise InputError(f"{method.title}: {key} must be one of {', '.join(about['choices'])}, not {value!r}.")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not about["least"] <= value <= about["most"]:
        raise InputError(f"{method.title}: {key} must be a number from {about['least']} to {about['most']}, not {value!r}.")
