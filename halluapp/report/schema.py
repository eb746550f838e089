"""The shape of a report, checked when one is read; the verdicts and their signs."""

from __future__ import annotations

import json
from typing import Any

from halluapp.errors import InputError

SCHEMA = 1
# verdict -> symbol, underline style, what it says in words: never colour alone.
MARKS = {
    "grounded": ("✓", "solid", "grounded: the detector found it in the photo"),
    "contradicted": ("✗", "wavy", "contradicted: the detector looked for it and did not find it"),
    "not checkable": ("?", "dotted", "not checkable: nothing here can decide it"),
}
_BOX, _NUMBER, _TEXT, _OPTIONAL_NUMBER = "box", (int, float), (str,), (int, float, type(None))
_DETECTION = {"label": _TEXT, "score": _NUMBER, "box": _BOX}
_MENTION = {
    "text": _TEXT, "start": (int,), "end": (int,), "object": _TEXT, "verdict": _TEXT, "box": _BOX,
    "score": _OPTIONAL_NUMBER,
}  # fmt: skip
_TOKEN = {"id": (int,), "text": _TEXT, "p": _OPTIONAL_NUMBER, "p_reference": _OPTIONAL_NUMBER, "top": (list,)}
_PANEL = {
    "method": _TEXT, "parameters": (dict,), "text": _TEXT, "error": (str, type(None)), "tokens": [_TOKEN],
    "mentions": [_MENTION], "seconds": _OPTIONAL_NUMBER, "forward_passes": (int, type(None)),
}  # fmt: skip
_REPORT = {
    "model": {"name": _TEXT}, "prompt": _TEXT, "seed": (int,), "versions": (dict,), "detections": [_DETECTION],
    "photo": {"sha256": _TEXT, "width": (int,), "height": (int,)}, "panels": [_PANEL],
}  # fmt: skip


def loads(text: str | bytes) -> dict[str, Any]:
    """JSON text -> checked report. Raises InputError in one sentence."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("This file is not JSON; open a report that `compare --json` or the page has saved.") from error
    return validate(report)


def validate(report: Any) -> dict[str, Any]:
    """Returns the report if it has the shape of this schema; else raises InputError in one sentence."""
    if not isinstance(report, dict) or "schema" not in report:
        raise InputError("This is not a halluapp report: it has no schema number.")
    if type(report["schema"]) is not int or report["schema"] != SCHEMA:
        number = repr(report["schema"])[:20]
        raise InputError(
            f"This report has schema {number}, but only {SCHEMA} is read here; use the version that wrote it."
        )
    _check(report, _REPORT, "report")
    for place, one in enumerate(report["panels"]):
        for index, mention in enumerate(one["mentions"]):
            where = f"report.panels[{place}].mentions[{index}]"
            if mention["verdict"] not in MARKS:
                raise _broken(where + ".verdict", "must be one of " + ", ".join(MARKS))
            if not 0 <= mention["start"] <= mention["end"] <= len(one["text"]):
                raise _broken(where, "points outside the panel's text")
        for index, token in enumerate(one["tokens"]):
            if not all(_is_choice(choice) for choice in token["top"]):
                raise _broken(f"report.panels[{place}].tokens[{index}].top", "must hold [text, probability] pairs")
    return report


def _is_choice(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and _is_a(one[1], _OPTIONAL_NUMBER)


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, int | float) and not abs(value) < 2**63:  # NaN, infinities, and what float() cannot hold
        return False
    return isinstance(value, kinds) and not isinstance(value, bool)


def _broken(where: str, problem: str) -> InputError:
    return InputError(f"This report cannot be read: {where} {problem}.")


def _check(value: Any, shape: Any, where: str) -> None:
    """shape: tuple of types, [shape of each item], {key: shape} (more keys are allowed), or _BOX (box or null)."""
    if shape is _BOX:
        if value is None and not where.startswith("report.detections"):
            return
        if not (isinstance(value, list) and len(value) == 4 and all(_is_a(x, _NUMBER) for x in value)):
            raise _broken(where, "must hold four numbers")
    elif isinstance(shape, tuple):
        if not _is_a(value, shape):
            names = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}
            raise _broken(where, "must be " + " or ".join(names.get(kind, "null") for kind in shape))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _broken(where, "must be a list")
        for index, item in enumerate(value):
            _check(item, shape[0], f"{where}[{index}]")
    else:
        if not isinstance(value, dict):
            raise _broken(where, "must be an object")
        for key, part in shape.items():
            if key not in value:
                raise _broken(f"{where}.{key}", "is missing")
            _check(value[key], part, f"{where}.{key}")
