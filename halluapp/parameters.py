"""A parameter as data: what a slider, a command line flag and an API schema need to know about a dataclass field.

The one place where values of parameters are checked: those of methods, of training recipes and of requests.
"""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

from halluapp.errors import InputError, quotation


def parameter(default, label: str, help: str, least=None, most=None, step=None, choices=None):
    """A dataclass field that carries its label, help sentence and bounds (or choices) as metadata."""
    about = {"label": label, "help": help, "least": least, "most": most, "step": step, "choices": choices}
    return field(default=default, metadata=about)


def check_parameter(owner: str, item: Field, value: Any) -> Any:
    """The value of a `parameter` field if it may have it; the field's default says of which type it is.

    owner: whose parameter it is, for the sentence. A whole number is returned as an int, because sliders send 4.0 for
    4; names lose their outer spaces. Raises InputError with one sentence that names the parameter.
    """
    subject, about, default = f"{owner}: {item.name}", item.metadata, item.default
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{subject} must be true or false, not {quotation(value)}.")
        return value
    if about["choices"] is not None:
        if value not in about["choices"]:
            raise InputError(f"{subject} must be one of {', '.join(about['choices'])}, not {quotation(value)}.")
        return value
    if isinstance(default, str):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{subject} must be a name, not {quotation(value)}.")
        return value.strip()
    return check_number(subject, value, about["least"], about["most"], whole=isinstance(default, int))


def check_number(subject: str, value: Any, least: float, most: float, whole: bool = False) -> Any:
    """The value if it is a number from least to most (no bool, no NaN); a whole one as an int. Raises InputError."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{subject} must be {kind} from {least} to {most}, not {quotation(value)}.")
    return int(value) if whole else value
