"""From a detector's score to P(object in photo): logistic curves a label, shrunk to their group and to all labels.

Pure arithmetic over plain data. A curve is a slope and an offset, p = sigmoid(slope * score + offset); a label that was
seldom seen keeps almost the curve of its group (Platt 1999, with a ridge on what differs from group to group and from
label to label). Verdicts rest on p, never on the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

GROUPS = {
    "people": "person",
    "vehicles": "bicycle, car, motorcycle, airplane, bus, train, truck, boat",
    "street": "traffic light, fire hydrant, stop sign, parking meter, bench",
    "animals": "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, teddy bear",
    "carried": "backpack, umbrella, handbag, tie, suitcase",
    "sports": "frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, "
    "tennis racket",
    "table": "bottle, wine glass, cup, fork, knife, spoon, bowl, vase, scissors",
    "food": "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake",
    "furniture": "chair, couch, potted plant, bed, dining table, book, clock",
    "devices": "tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, toilet, "
    "hair drier, toothbrush",
}
GROUP_OF = {label: group for group, labels in GROUPS.items() for label in labels.split(", ")}


class Curve(NamedTuple):
    """p = sigmoid(slope * score + offset)."""

    slope: float
    offset: float

    def probability(self, score: float) -> float:
        """P(present) of a score (a logit)."""
        return sigmoid(self.slope * score + self.offset)


class Seen(NamedTuple):
    """A score of a label on a photo whose truth is certain, and how much it counts."""

    label: str
    score: float
    present: bool
    weight: float = 1.0


@dataclass(frozen=True)
class Ridge:
    """How hard curves are held together: slopes and offsets of groups, and of labels, against their parent's."""

    group: tuple[float, float] = (3.0, 2.0)
    label: tuple[float, float] = (6.0, 2.0)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def fit(observations: Sequence[Seen], labels: Sequence[str], ridge: Ridge | None = None) -> dict[str, Curve]:
    """Curves of all `labels` that make the truth of `observations` likeliest, by Newton's method.

    A label or group that `observations` lacks gets its parent's curve. Raises ValueError when there is none, or one
    with a label that is not among `labels`.
    """
    import numpy as np

    unknown = {one.label for one in observations} - set(labels)
    if not observations or unknown:
        raise ValueError(f"cannot calibrate by {len(observations)} scores with unknown labels {sorted(unknown)}")
    places, penalty = _columns(labels, ridge or Ridge())
    x = np.zeros((len(observations), len(penalty)))
    for row, one in enumerate(observations):
        for column in places[one.label]:
            x[row, column], x[row, column + 1] = one.score, 1.0
    truth, weight = (
        np.array([s.present for s in observations], float),
        np.array([s.weight for s in observations], float),
    )
    start = np.zeros(len(penalty))
    start[0] = 1.0  # where no data speaks, a logit stays a logit
    beta = logistic(x, truth, weight, np.array(penalty), start)
    curves = {}
    for label in labels:
        slope, offset = (sum(float(beta[column + i]) for column in places[label]) for i in (0, 1))
        curves[label] = Curve(round(max(slope, 0.05), 4), round(offset, 4))
    return curves


def logistic(x: Any, truth: Any, weight: Any, penalty: Any, start: Any) -> Any:
    """Coefficients [D] of a logistic regression of truth [N] on x [N, D], each held to `start` [D] by its `penalty`.

    Newton's method; a step that would make the data less likely is halved, for a full one can run away.
    """
    import numpy as np

    def worth(beta):
        z = x @ beta
        return float((weight * (truth * z - np.logaddexp(0, z))).sum() - 0.5 * (penalty * (beta - start) ** 2).sum())

    beta, value = start.copy(), worth(start)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -40, 40)))
        gradient = x.T @ (weight * (truth - p)) - penalty * (beta - start)
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        while worth(beta + step) < value and np.abs(step).max() > 1e-9:
            step = step / 2
        beta, before, value = beta + step, value, worth(beta + step)
        if value - before < 1e-9 * max(1.0, abs(value)):
            break
    return beta


def _columns(labels: Sequence[str], ridge: Ridge) -> tuple[dict[str, list[int]], list[float]]:
    """Where the slope of all labels, of a label's group and of the label stand, and the penalty of each column."""
    places: dict[str, list[int]] = {}
    groups: dict[str, int] = {}
    penalty = [0.1, 0.01]
    for label in labels:
        group = GROUP_OF.get(label, "")
        if group not in groups:
            groups[group] = len(penalty)
            penalty += ridge.group
        places[label] = [0, groups[group], len(penalty)]
        penalty += ridge.label
    return places, penalty


def probabilities(scores: Mapping[str, float], curves: Mapping[str, Curve]) -> dict[str, float]:
    """P(present) of every label that has a curve."""
    return {label: curves[label].probability(score) for label, score in scores.items() if label in curves}


def to_json(curves: Mapping[str, Curve]) -> dict[str, list[float]]:
    """{label: [slope, offset]}"""
    return {label: list(curve) for label, curve in curves.items()}


def from_json(plain: Mapping[str, Any]) -> dict[str, Curve]:
    """Reads what `to_json` wrote."""
    return {label: Curve(*map(float, curve)) for label, curve in plain.items()}
