"""Arguments of the API as they were sent: gradio's components would round 1.5 and fail on a text in words of their own.

Each is checked here, and refused in one sentence that begins with its name.
"""

from __future__ import annotations

import json
from typing import Any

from gradio.components import Component

from halluapp.errors import InputError
from halluapp.request import NUMBERS

MOST_SHOWN = 40  # characters of a refused value
REPETITION = (0, 2, False)  # 0, or 1 to 2, which `make_request` tells apart


OBJECT, TEXT, TEXTS = {"type": "object"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}


def argument(component: Component, *kinds: dict[str, Any]) -> Component:
    """The component, which hands a value over as it was sent. kinds: JSON Schemas of what it takes, instead of its own.

    (A subclass would do as well, but gradio writes a stub file beside the source of each.)
    """
    vars(component)["preprocess"] = lambda payload: payload
    if kinds:
        vars(component)["api_info"] = lambda: kinds[0] if len(kinds) == 1 else {"anyOf": list(kinds)}
    return component


def check_number(name: str, value: Any) -> float:
    """The number of an argument of `make_request`. Raises InputError: a text, true, null, NaN, outside its bounds."""
    least, most, whole = NUMBERS[name][1:] if name in NUMBERS else REPETITION
    number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name} must be {kind} from {least} to {most}, not {as_json(value)}.")
    return int(value) if whole else float(value)


def check_photo(photo: Any) -> None:
    """Raises InputError where there is none."""
    if not photo:
        raise InputError("photo is missing; give an uploaded image file.")


def check_text(name: str, value: Any, empty: bool = False) -> str:
    """The text of an argument. Raises InputError for anything else; empty: null and nothing are as good as a text."""
    if empty and value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {as_json(value)}.")
    if not empty and not value.strip():
        raise InputError(f"{name} is empty; give a text.")
    return value


def as_json(value: Any) -> str:
    """A refused value as JSON, short enough for a sentence."""
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
