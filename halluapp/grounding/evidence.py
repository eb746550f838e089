"""What the judge knows of a photo: detections (where things are), and how probable each label is (whether it is)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from halluapp.grounding.words import vocabulary

SURE = 0.9  # the aim for the precision of verdicts, unless somebody moves the slider
PERSON = "person"


@lru_cache(4096)  # texts name the same things again and again, and are judged eight times a second while they grow
def _answering(labels: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(label for label in labels if vocabulary.same_or_kind(label, name))


@dataclass(frozen=True)
class Evidence:
    """One photo as a detector describes it; plain data that can be pickled, stored and judged again without a model.

    detections: [{"label", "score", "box": [x0, y0, x1, y1 in 0..1]}], best first. labels: what the detector looks for.
    presence: P(label in photo), calibrated, for every label; empty for a detector whose scores are not calibrated (then
    the best box's score decides). support: label -> {"grounded": bool, "contradicted": bool}: a verdict whose precision
    was not shown for a label is never given; a label without an entry may get both. cuts: {"grounded": p from which a
    mention is grounded, "contradicted": p up to which it is contradicted} at the default sureness.
    """

    detections: Sequence[Mapping[str, Any]] = ()
    labels: tuple[str, ...] = ()
    presence: Mapping[str, float] = field(default_factory=dict)
    support: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    cuts: Mapping[str, float] = field(default_factory=dict)

    @property
    def calibrated(self) -> bool:
        """Whether there are probabilities, and not only scores of boxes."""
        return bool(self.presence)

    def labels_for(self, name: str) -> tuple[str, ...]:
        """The detector's labels that answer for an object: itself, the wider object, or kinds of it."""
        return _answering(self.labels, name)

    def probability(self, name: str) -> tuple[float, str] | None:
        """(P(object in photo), the label that says so); None where no label answers for it or nothing is calibrated."""
        labels = [label for label in self.labels_for(name) if label in self.presence]
        if not labels:
            return None
        label = name if name in labels else max(labels, key=lambda label: self.presence[label])
        return self.presence[label], label

    def may(self, label: str) -> tuple[bool, bool]:
        """(may ground, may contradict). People are never contradicted: their absence was never shown reliably."""
        sides = self.support.get(label, {})
        return bool(sides.get("grounded", True)), bool(sides.get("contradicted", True)) and label != PERSON

    def cuts_at(self, sure: float) -> tuple[float, float]:
        """(least p that grounds, greatest p that contradicts): both move by the same step in log-odds when the
        sureness leaves its default, towards certainty for more, towards each other for less (never past one half).
        """
        step = _logit(sure) - _logit(SURE)
        ground = max(0.5, _sigmoid(_logit(self.cuts.get("grounded", SURE)) + step))
        contradict = min(0.5, _sigmoid(_logit(self.cuts.get("contradicted", 1 - SURE)) - step))
        return ground, contradict

    @staticmethod
    def score_at(sure: float) -> float:
        """The score that a box of a detector without probabilities needs: its operating point at the default."""
        return round(_sigmoid(_logit(sure) - _logit(SURE)), 6)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Evidence:
        """From what `plain` gave; further keys are left out, absent ones are empty."""
        names = ("detections", "presence", "support", "cuts")
        values = {name: plain[name] for name in names if plain.get(name)}
        return cls(labels=tuple(plain.get("labels", ())), **values)


def _logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def evidence_of(detector: Any, photo: Any, maps: Sequence[Any] = ()) -> Evidence:
    """What a detector makes of a photo. maps: of the LVLM's trunk, for a detector that shares it."""
    if hasattr(detector, "look"):
        return Evidence.of({"labels": detector.labels, **detector.look(photo)})
    detections = detector.detect_features(*maps) if maps and hasattr(detector, "detect_features") else None
    return Evidence(tuple(detector.detect(photo) if detections is None else detections), tuple(detector.labels))


def verdict_precision(measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How right a detector's verdicts were: verdict -> {"precision", "low", "high", "n"}.

    measured: what its card says, by data set; the first one counts, which has complete labels. Empty where nothing was
    measured.
    """
    by_data: dict[str, Any] = measured.get("verdicts") or {}
    figures: dict[str, Any] = next((figures.get("all", {}) for figures in by_data.values()), {})
    table = {}
    for verdict in ("grounded", "contradicted"):
        row = figures.get(verdict)
        if row and row.get("precision") is not None:
            low, high = row.get("interval") or (None, None)
            table[verdict] = {"precision": row["precision"], "low": low, "high": high, "n": row["mentions"]}
    return table
