"""Reads reports: checked against `schema`, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from halluapp.errors import InputError
from halluapp.report.record import SCHEMA
from halluapp.report.schema import MARKS, Report


def load(path: str | Path) -> Report:
    """The report in a file. Raises InputError in one sentence."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return parse(_json(content))


def loads(text: str | bytes) -> dict[str, Any]:
    """JSON text -> checked report as plain values. Raises InputError in one sentence."""
    return validate(_json(text))


def validate(report: Any) -> dict[str, Any]:
    """Returns the report itself if it has the shape of this schema; else raises InputError in one sentence."""
    parse(report)
    try:
        json.dumps(report, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("This report holds half a character (a lone surrogate); save it again.") from error
    return report


def parse(report: Any) -> Report:
    """Plain values (or a Report) -> Report. Raises InputError in one sentence that names the first wrong part."""
    if isinstance(report, Report):
        return report
    if not isinstance(report, dict) or "schema" not in report:
        raise InputError("This is not a halluapp report: it has no schema number.")
    if type(report["schema"]) is not int or report["schema"] != SCHEMA:
        number = repr(report["schema"])[:20]
        raise InputError(
            f"This report has schema {number}, but only {SCHEMA} is read here; use the version that wrote it."
        )
    try:
        return Report.model_validate(report)
    except ValidationError as error:
        raise InputError(f"This report cannot be read: {_sentence(error.errors()[0])}.") from error


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("This file is not JSON; open a report that `compare --json` or the page has saved.") from error


_PROBLEMS = {
    "missing": "is missing",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_pattern_mismatch": "must be a date such as 2026-11-30",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "literal_error": "must be one of " + ", ".join(MARKS),
}
_ARRAYS = {"box": "must hold four numbers", "top": "must hold [text, probability] pairs"}


def _sentence(error: ErrorDetails) -> str:
    """Where a report is wrong, and how: "report.panels[0].text must be text"."""
    where = list(error["loc"])
    for name, problem in _ARRAYS.items():  # said of the whole array, not of a member
        if name in where:
            return f"{_path(where[: where.index(name) + 1])} {problem}"
    if error["type"] == "outside":
        return _path(where) + error["msg"]
    problem = _PROBLEMS.get(error["type"], error["msg"][:1].lower() + error["msg"][1:])
    return f"{_path(where)} {problem}"


def _path(where: list[int | str]) -> str:
    return "report" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
