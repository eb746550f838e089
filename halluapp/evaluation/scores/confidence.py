"""How far the probability of a yes/no answer is from how often it is right: expected calibration error over photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BINS = 10
YES, NO = "yes", "no"


def p_yes(alternatives: Iterable[tuple[str, float]]) -> float | None:
    """P(yes) against P(no) by the most probable first tokens of an answer, (text, probability) each; None without any.

    All ways to write a label ("Yes", " yes") count for it.
    """
    mass = {YES: 0.0, NO: 0.0}
    for text, probability in alternatives:
        word = text.strip().lower()
        if word in mass:
            mass[word] += probability
    total = mass[YES] + mass[NO]
    return mass[YES] / total if total > 0 else None


def gap_row(probabilities: Sequence[float | None], labels: Sequence[str]) -> tuple[float, ...]:
    """One photo's sums: of confidence minus correctness in each bin of confidence, and the number of questions.

    The sums add up over photos, so that a bootstrap can draw them. Questions without a probability count nowhere.
    """
    sums = np.zeros(BINS + 1)
    for p, label in zip(probabilities, labels, strict=True):
        if p is None:
            continue
        confidence, answer = max(p, 1 - p), YES if p >= 0.5 else NO
        bin_index = min(max(int(np.ceil(confidence * BINS)) - 1, 0), BINS - 1)  # open below, closed above
        sums[bin_index] += confidence - (answer == label)
        sums[BINS] += 1
    return tuple(sums.tolist())


def ece(*sums: Any) -> Any:
    """Expected calibration error from summed `gap_row`s, elementwise. Source: Guo et al. 2017, Sec. 2."""
    return sum(abs(gap) for gap in sums[:-1]) / sums[-1]


def ece_of(sums: Sequence[float]) -> float | None:
    """As `ece` of one list of sums; None where no question has a probability."""
    return float(ece(*sums)) if sums[-1] else None
