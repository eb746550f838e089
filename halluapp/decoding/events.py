"""The events of a comparison, in order, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Token:
    """One decoded token of one method with its probabilities.

    p: probability under the method's final distribution (temperature 1). p_main: under its main row. p_reference:
    under its reference rows (mean), None without one. top: the five most probable tokens of the final
    distribution as (text, probability). instead: the text of the token that the main row alone would have chosen, None
    where it is this one (and when sampling). notes: the method's notes on this step (`Combination.notes`). branches:
    its probability under each row, main row first.
    """

    id: int
    text: str
    p: float
    p_main: float
    p_reference: float | None
    top: tuple[tuple[str, float], ...]
    instead: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    branches: tuple[float, ...] = ()


@dataclass(frozen=True)
class Started:
    """Decoding begins. methods, in panel order: method, title, summary, explanation, reference and parameters."""

    methods: list[dict[str, Any]]


@dataclass(frozen=True)
class Status:
    """The stage of the comparison, or the reason for waiting: one sentence."""

    text: str


@dataclass(frozen=True)
class Detected:
    """The detector's result. detections: [{"label", "score", "box": [x0, y0, x1, y1 in 0..1]}], best first.

    presence, support, cuts: as in `grounding.evidence.Evidence`, empty for a detector that is not calibrated. measured:
    verdict -> {"precision", "low", "high", "n"}: how often it was right on photos with certain labels.
    """

    detections: list[dict[str, Any]]
    labels: tuple[str, ...]
    detector: str
    presence: dict[str, float] = field(default_factory=dict)
    support: dict[str, dict[str, bool]] = field(default_factory=dict)
    cuts: dict[str, float] = field(default_factory=dict)
    measured: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """A method has one more token; `text` is its whole text so far, decoded from all its ids.

    sample: which of the answers of a method that answers several times, from 0.
    """

    method: str
    index: int
    token: Token
    text: str
    sample: int = 0


@dataclass(frozen=True)
class Finished:
    """A method has ended. reason: "end" (end token or stop string), "length" or "stopped".

    note: an unusual circumstance, one sentence ("" if there is none). sample: as in `Decoded`.
    """

    method: str
    reason: str
    seconds: float
    forward_passes: int
    note: str = ""
    sample: int = 0


@dataclass(frozen=True)
class Failed:
    """A method cannot go on; the others do. error: one sentence. sample: as in `Decoded`."""

    method: str
    error: str
    sample: int = 0


@dataclass(frozen=True)
class Done:
    """The end. report: the comparison as `halluapp.report.build` returns it (schema 1)."""

    report: dict[str, Any]


MethodEvent = Decoded | Finished | Failed
Event = Started | Status | Detected | Decoded | Finished | Failed | Done
