"""The spread of expected inventions over samples: several answers of one method, whose seeds follow each other.

Pure functions over the parts of a report (or of the page's state).
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# Two-sided 95 % quantile of Student's t, by degrees of freedom.
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:['’-][^\W_]+)*")


def answers(panel: Mapping[str, Any]) -> list[Any]:
    """All answers of a panel: the panel itself is the first, its further samples follow."""
    return [panel, *panel.get("samples", ())]


def spread(panel: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A panel's samples, judged -> {"n", "words", "named", "mean", "deviation", "least", "most", "difference"}.

    n: samples with a whole answer; words, named, mean: means over them; deviation: their standard deviation (None for
    one); least, most: of their expected inventions. What names nothing that is checked invents nothing; all are None
    where no sample names anything. difference: to the baseline's samples of the same seeds, the mean of the pairs with
    its 95 % t interval; None for the baseline, without one, and with fewer than two pairs. The interval is of the
    sampling alone, each probability taken as it is. None for a panel with one sample.
    """
    samples = answers(panel)
    good = [sample for sample in samples if _is_whole(sample)]
    if len(samples) < 2 or not good:
        return None
    values = [value for value in _expected(samples) if value is not None]
    named = [(sample["inventions"] or {"named": 0})["named"] for sample in good]
    return {
        "n": len(good),
        "words": statistics.fmean(len(_WORD.findall(sample["text"])) for sample in good),
        "named": statistics.fmean(named) if values else None,
        "mean": statistics.fmean(values) if values else None,
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "least": min(values, default=None),
        "most": max(values, default=None),
        "difference": _difference(samples, answers(baseline)) if baseline and baseline is not panel else None,
    }


def _is_whole(sample: Mapping[str, Any]) -> bool:
    """Whether a sample has an answer: what failed has none, and what was stopped might have named more."""
    return not sample["error"] and "stopped" not in (sample.get("reason"), sample.get("status"))


def _expected(samples: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Expected inventions of every sample; None for one that is not whole, and for all where none names a thing."""
    if not any(sample["inventions"] for sample in samples):
        return [None for _ in samples]
    return [(one["inventions"] or {"expected": 0.0})["expected"] if _is_whole(one) else None for one in samples]


def _difference(samples: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Mean of the differences of pairs, and its 95 % interval by Student's t."""
    pairs = zip(_expected(samples), _expected(others), strict=False)
    apart = [one - other for one, other in pairs if one is not None and other is not None]
    if len(apart) < 2:
        return None
    mean, quantile = statistics.fmean(apart), T_QUANTILES[min(len(apart) - 2, len(T_QUANTILES) - 1)]
    half = quantile * statistics.stdev(apart) / math.sqrt(len(apart))
    return {"value": mean, "low": mean - half, "high": mean + half}
