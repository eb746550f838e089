"""Figures of the detector: presence on coco-dev, and its verdicts on the halves that calibrated nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halluapp.evaluation import verdicts
from halluapp.grounding.presence import Curve
from halluapp.recipes.presence.calibrate import Calibration, reported
from halluapp.recipes.presence.mentions import Named


def average_precision(score: np.ndarray, present: np.ndarray) -> float:
    """Mean precision at the ranks of what is there; nan where nothing is."""
    true = present[np.argsort(-score, kind="stable")].astype(float)
    if not true.any():
        return float("nan")
    return float((np.cumsum(true) / np.arange(1, len(true) + 1))[true > 0].mean())


def presence_ap(score: np.ndarray, present: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """AP of presence: mean over labels (macro), all pairs pooled (micro), and pooled without persons.

    score, present: [photos, labels].
    """
    others = [number for number, label in enumerate(labels) if label != "person"]
    each = [average_precision(score[:, k], present[:, k]) for k in range(len(labels))]
    return {
        "macro": round(float(np.nanmean(each)), 4),
        "micro": round(average_precision(score.ravel(), present.ravel()), 4),
        "micro_without_person": round(average_precision(score[:, others].ravel(), present[:, others].ravel()), 4),
    }


def verdict(p: float, may: tuple[bool, bool], cuts: Mapping[str, float]) -> str:
    """The verdict on a mention whose label is there with probability p."""
    if p >= cuts["grounded"] and may[0]:
        return verdicts.GROUNDED
    if p <= cuts["contradicted"] and may[1]:
        return verdicts.CONTRADICTED
    return verdicts.NOT_SURE


def rows(
    named: Sequence[Named],
    scores: Mapping[str, Mapping[str, float]],
    calibration: Calibration,
    data: str,
    half: bool = True,
) -> list[verdicts.Checked]:
    """The mentions of one dev set's reported half (or, half=False, of its calibrating half) with their verdicts."""
    rows_out = []
    for one in named:
        if one.data == data and reported(one.photo) == half:
            curve: Curve = calibration.curves[one.label]
            p = curve.probability(scores[one.photo][one.label])
            says = verdict(p, calibration.support[one.label], calibration.cuts)
            rows_out += [verdicts.Checked(one.photo, m, one.label, says, p, one.present) for m in one.methods]
    return rows_out


def figures(
    named: Sequence[Named], scores: Mapping[str, Mapping[str, float]], calibration: Calibration, data: Sequence[str]
) -> dict[str, Any]:
    """`verdicts.report` of each dev set's reported half."""
    return {name: verdicts.report(rows(named, scores, calibration, name)) for name in data}
