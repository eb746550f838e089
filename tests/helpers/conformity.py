"""Whether an output is what its published schema says: for the test of every command that writes JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from halluapp.report.record import Record
from halluapp.report.schemas import SCHEMAS

FOLDER = Path(__file__).resolve().parents[2] / "docs/schemas"


def conforms(name: str, output: Any) -> None:
    """Fails unless `output`, as JSON, fits the model and the committed schema of that name, without unknown keys."""
    values = json.loads(json.dumps(output, allow_nan=False))
    record = SCHEMAS[name].model_validate(values)
    assert not undescribed(record), f"{SCHEMAS[name].__name__} in halluapp/report lacks {undescribed(record)}"
    jsonschema.validate(values, json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")))


def undescribed(value: Any, where: str = "") -> list[str]:
    """Paths of all keys that no model has."""
    if isinstance(value, Record):
        unknown = [f"{where}.{key}" for key in value.model_extra or {}]
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return unknown + undescribed(fields, where)
    if isinstance(value, dict):
        return [path for key, item in value.items() for path in undescribed(item, f"{where}.{key}")]
    if isinstance(value, list | tuple):
        return [path for index, item in enumerate(value) for path in undescribed(item, f"{where}[{index}]")]
    return []
