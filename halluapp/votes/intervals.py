"""95 % intervals of shares and other figures of votes: Wilson's, and draws of whole votes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

NORMAL = 1.959964  # 97.5 % quantile of the normal distribution
DRAWS, SEED = 1000, 0
Interval = tuple[float, float]


def wilson(hits: int, n: int) -> Interval:
    """E. B. Wilson's interval of a share of n > 0 independent trials (JASA 22, 1927)."""
    share, square = hits / n, NORMAL**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def draws(rows: np.ndarray) -> np.ndarray:
    """Sums of the rows [votes, K], as many drawn anew with replacement, `DRAWS` times -> [DRAWS, K]."""
    count, generator = len(rows), np.random.default_rng(SEED)
    weights = (np.bincount(generator.integers(0, count, count), minlength=count) for _ in range(DRAWS))
    return np.stack([weight @ rows for weight in weights])


def percentile(sums: np.ndarray, statistic: Callable[[Sequence[int]], float | None]) -> tuple[Interval | None, int]:
    """The 95 % percentile interval of a statistic over draws [DRAWS, K], and in how many draws it has no value.

    The draws without a value are left out; None where no draw has one.
    """
    values = [statistic(row) for row in sums.tolist()]
    defined = [value for value in values if value is not None]
    if not defined:
        return None, len(values)
    low, high = np.quantile(defined, (0.025, 0.975)).tolist()
    return (low, high), len(values) - len(defined)
