"""How sure a number is: bootstrap intervals over photos, paired differences, calibration error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Difference:
    """Second method minus first on all photos, with its interval; the interval without 0 is the evidence."""

    value: float
    low: float
    high: float


def bootstrap(
    rows: ArrayLike, statistic: Statistic, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval (low, high) of a statistic when photos are drawn again with replacement.

    `rows` [N, K]: per photo, K sums (for example hallucinated and all mentions); [N] is taken as K = 1.
    `statistic(*columns)` gets the K sums over a draw, each as an array of shape [draws], and returns [draws]; it must
    be elementwise, for instance `lambda wrong, all: wrong / all`. Photos are the unit because mentions or questions of
    one photo depend on each other. Draws in which the statistic is undefined are left out; (nan, nan) if all are.
    Raises ValueError for no photos, no draws or a level outside (0, 1). Source: Efron & Tibshirani 1993, ch. 13.
    """
    values = _matrix(rows)
    return interval(_evaluate(statistic, draw_weights(len(values), draws, seed) @ values), level)


def paired_difference(
    first: ArrayLike, second: ArrayLike, statistic: Statistic, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> Difference:
    """statistic(second) - statistic(first) for two methods on the same photos, the same photos in every draw.

    `first`, `second` [N, K], row i of both from one photo; the rest as `bootstrap`. Raises ValueError also for
    different shapes.
    """
    one, two = _matrix(first), _matrix(second)
    if one.shape != two.shape:
        raise ValueError(f"methods on different photos: {one.shape} and {two.shape}")
    weights = draw_weights(len(one), draws, seed)
    low, high = interval(_evaluate(statistic, weights @ two) - _evaluate(statistic, weights @ one), level)
    whole = _evaluate(statistic, two.sum(axis=0, keepdims=True)) - _evaluate(statistic, one.sum(axis=0, keepdims=True))
    return Difference(float(whole[0]), low, high)


def calibration_error(probs: ArrayLike, labels: ArrayLike, bins: int = 10, authors: bool = False) -> float:
    """Expected calibration error in [0, 1]: |confidence - accuracy|, averaged over equal-width bins of confidence.

    `probs` [N, C] probabilities, `labels` [N] class numbers. `authors=True` takes a softmax of the probabilities first,
    as the script of VDD's authors does. Raises ValueError for wrong shapes. Source: Guo et al. 2017, Sec. 2.
    """
    table, truth = np.asarray(probs, dtype=np.float64), np.asarray(labels)
    if table.ndim != 2 or truth.shape != table.shape[:1] or len(table) == 0:
        raise ValueError(f"need probabilities [N, C] and labels [N], got {table.shape} and {truth.shape}")
    if authors:
        table = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == truth
    bin_index = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)  # bins are open below, closed above
    gaps = np.bincount(bin_index, weights=confidence - right, minlength=bins)  # sum of (confidence - right) per bin
    return float(np.abs(gaps).sum() / len(table))


def _matrix(rows: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(rows, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(f"need at least one photo and rows of sums, got shape {values.shape}")
    return values


def draw_weights(photos: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each photo occurs in each draw, [draws, N]; the same for the same seed and number of photos."""
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(photos, np.full(photos, 1.0 / photos), size=draws).astype(np.float64)


def _evaluate(statistic: Statistic, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """sums [draws, K] -> [draws]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(statistic(*sums.T), dtype=np.float64)


def interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentile interval of the values of a bootstrap's draws; undefined ones are left out, (nan, nan) if all are."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
