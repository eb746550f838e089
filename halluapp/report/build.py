"""Builds the report of a comparison from plain data: JSON values in the shape of `schema.Report` (schema 1)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from halluapp import __version__
from halluapp.report.record import SCHEMA
from halluapp.report.schema import Report

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
    sure: float | None = None,
    labels: Iterable[str] | None = None,
    judge: Mapping[str, Any] | None = None,
    samples: int = 1,
) -> dict[str, Any]:
    """Assembles a report (`schema.Report`) of plain JSON values.

    model: {"name", ..} or only the name. photo: {"sha256", "width", "height"}. detections: [{"label", "score", "box"}].
    panels: from `panel`. sampling: dataclass or mapping. sure, labels, judge: how sure verdicts are, what the detector
    can find, and what it knows of the photo (with them a reader judges again without a model). samples: answers of
    every method.
    Numbers that JSON does not have (NaN, infinities) become null.
    """
    return plain({
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {"name": model} if isinstance(model, str) else model,
        "prompt": prompt,
        "seed": seed,
        "sampling": sampling,
        "sure": sure,
        "samples": samples,
        "photo": photo,
        "versions": versions(),
        "detections": list(detections),
        "labels": None if labels is None else list(labels),
        "judge": judge,
        "panels": list(panels),
    })  # fmt: skip


def panel(
    method: str,
    parameters: Mapping[str, Any],
    text: str,
    tokens: Iterable[Any],
    mentions: Iterable[Mapping[str, Any]],
    seconds: float | None,
    forward_passes: int | None,
    reason: str | None,
    error: str | None = None,
    explanation: str = "",
    note: str = "",
    inventions: Any = None,
    answer: Mapping[str, Any] | None = None,
    **description: Any,
) -> dict[str, Any]:
    """One method's part of a report (`schema.ReportPanel`) as plain JSON values.

    tokens: dataclasses or mappings with the fields of `schema.ReportToken` (`decoding.events.Token`). mentions: as
    `grounding.verdicts.judge` returns them. seconds: until the answer had ended. forward_passes: its rows in
    all forwards. reason: why the answer ended (end, length, stopped). error: why there is none, one sentence.
    explanation: what the method did here. note: what was unusual, one sentence. inventions, answer: as
    `grounding.inventions` and `grounding.answers` give them. description: more of `schema.ReportPanel` (title,
    source, reference, rows, difference, samples). Numbers that JSON does not have become null.
    """
    return plain({
        "method": method,
        "parameters": parameters,
        "explanation": explanation,
        "text": text,
        "error": error,
        "tokens": list(tokens),
        "mentions": list(mentions),
        "seconds": seconds,
        "forward_passes": forward_passes,
        "reason": reason,
        "note": note,
        "inventions": inventions,
        "answer": answer,
        **description,
    })  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; packages that are not installed are left out. Imports none of them."""
    packages = {"halluapp": __version__}
    for package in PACKAGES:
        try:
            packages[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return packages


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


def dumps(report: Mapping[str, Any] | Report) -> str:
    """Report -> JSON text, a key or a value a line. Keys that a Report was read without stay absent."""
    values = report.model_dump(exclude_unset=True) if isinstance(report, Report) else report
    return json.dumps(plain(values), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
