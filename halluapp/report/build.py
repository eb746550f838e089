"""Makes the report of a comparison: plain JSON values (schema 1)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from importlib import metadata
from typing import Any

from halluapp import __version__
from halluapp.decoding.events import Token
from halluapp.report.schema import SCHEMA

PACKAGES = ("torch", "transformers", "bitsandbytes", "gradio")


def build(
    *,
    model: str | Mapping[str, Any],
    prompt: str,
    seed: int,
    photo: Mapping[str, Any],
    detections: Iterable[Mapping[str, Any]],
    panels: Iterable[Mapping[str, Any]],
    sampling: Any = None,
    threshold: float | None = None,
    labels: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Assembles a report of plain JSON values.

    model: {"name", ..} or only the name. photo: {"sha256", "width", "height"}. sampling: dataclass or mapping.
    panels: made by `panel`. threshold, labels: the detector score that grounds, and what the detector can find (with
    them a reader judges again without a model). Numbers that JSON does not have (NaN, infinities) become null.
    """
    return plain({
        "schema": SCHEMA,
        "model": {"name": model} if isinstance(model, str) else model,
        "prompt": prompt,
        "seed": seed,
        "sampling": sampling,
        "threshold": threshold,
        "photo": photo,
        "versions": versions(),
        "detections": list(detections),
        "labels": None if labels is None else list(labels),
        "panels": list(panels),
    })  # fmt: skip


def panel(
    method: str,
    parameters: Mapping[str, Any],
    text: str,
    tokens: Iterable[Token],
    mentions: Iterable[Mapping[str, Any]],
    seconds: float | None,
    forward_passes: int | None,
    reason: str | None,
    error: str | None = None,
    explanation: str = "",
    note: str = "",
) -> dict[str, Any]:
    """One method's part of a report. mentions: as `grounding.verdicts.judge` returns them. reason: why it ended."""
    return plain({
        "method": method,
        "parameters": parameters,
        "explanation": explanation,
        "text": text,
        "error": error,
        "tokens": [asdict(token) for token in tokens],
        "mentions": list(mentions),
        "seconds": seconds,
        "forward_passes": forward_passes,
        "reason": reason,
        "note": note,
    })  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; packages that are not installed are left out. Imports none of them."""
    found = {"halluapp": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """Any nested value -> strict JSON values: finite numbers, lists, text that UTF-8 can hold."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        # Bytes of a command line that are not UTF-8 arrive as lone surrogates.
        return value.encode("utf-8", "replace").decode("utf-8")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays and tensors, their scalars included
        return plain(value.tolist())
    return plain(str(value))


def dumps(report: Mapping[str, Any]) -> str:
    """Report -> JSON text."""
    return json.dumps(plain(report), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
