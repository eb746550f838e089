"""CHAIR at equal recall and at equal length: two methods compared where they find, or say, the same.

A method that says less hallucinates less, so CHAIR alone praises silence. Here the texts of the method with the higher
recall (or the more words) are cut: every text keeps the same share of its words, counted from its beginning, and a
mention stays if it ends inside of what is kept. The share is the one at which recall (or the mean number of words)
equals that of the other method, whose texts stay whole; between two neighbouring shares of the grid the counts are
interpolated, so that the agreement is exact. Every draw of the bootstrap chooses its share anew: the interval holds the
uncertainty of the match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halluapp.evaluation import bootstrap, chair

STEPS = 100  # of the grid of shares: 0, 1 %, ..., 100 % of a text's words
COLUMNS = ("hallucinated", "mentions", "recalled", "truth", "words", "captions")
HALLUCINATED, MENTIONS, RECALLED, TRUTH, WORDS, CAPTIONS = range(len(COLUMNS))
QUOTIENTS = {"recall": (RECALLED, TRUTH), "length": (WORDS, CAPTIONS)}  # what may be matched
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """Two methods at equal recall or length; every number is None where it is undefined.

    level: the recall, or the mean number of words, that both have. shares: of their words, that the baseline's and the
    method's texts keep (one of them is 1). chair_i, recall, length: (baseline, method) there. differences: of chair_i
    and recall, method minus baseline, with their 95 % intervals.
    """

    level: float
    shares: tuple[float, float]
    chair_i: tuple[float, float]
    recall: tuple[float, float]
    length: tuple[float, float]
    differences: dict[str, bootstrap.Difference]


def prefix_counts(texts: Sequence[str], truth: Sequence[AbstractSet[str]], vocabulary: chair.Vocabulary) -> Counts:
    """Counts of every text cut at every share of its words: [N, STEPS + 1, COLUMNS].

    Row i of both arguments is photo i. Of W words round(share * W) are kept.
    """
    counts = np.zeros((len(texts), STEPS + 1, len(COLUMNS)))
    for index, (text, objects) in enumerate(zip(texts, truth, strict=True)):
        ends = [word.end() for word in re.finditer(r"\S+", text) if any(letter.isalnum() for letter in word.group())]
        mentions = chair.mention_ends(text, vocabulary)
        by_number = [_counts([name for name, _ in mentions[:n]], objects, vocabulary) for n in range(len(mentions) + 1)]
        for step in range(STEPS + 1):
            words = (2 * step * len(ends) + STEPS) // (2 * STEPS)
            last = ends[words - 1] if words else 0
            number = sum(end <= last for _, end in mentions)
            counts[index, step] = [*by_number[number], len(objects), words, 1]
    return counts


def _counts(names: list[str], objects: AbstractSet[str], vocabulary: chair.Vocabulary) -> tuple[int, int, int]:
    row = chair.chair_row(names, objects, exact=vocabulary == "coco")
    return row.hallucinated, row.mentions, row.recalled


def match(base: Counts, other: Counts, by: str, draws: int = 1000, seed: int = 0) -> Match:
    """Two methods on the same photos, by their `prefix_counts`. by: "recall" or "length".

    Raises ValueError for different photos, or for another `by`.
    """
    if by not in QUOTIENTS:
        raise ValueError(f"matched by recall or length, not by {by!r}")
    if base.shape != other.shape:
        raise ValueError(f"methods on different photos: {base.shape} and {other.shape}")
    weights = np.vstack([np.ones(len(base)), bootstrap.draw_weights(len(base), draws, seed)])  # first row: all photos
    curves = [np.tensordot(weights, counts, axes=1) for counts in (base, other)]  # [1 + draws, STEPS + 1, COLUMNS]
    part, whole = QUOTIENTS[by]
    target = np.minimum(*(curve[:, -1, part] for curve in curves))  # the whole is the same for both methods
    (first, first_share), (second, second_share) = (_cut(curve, part, target) for curve in curves)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "chair_i": (first[:, HALLUCINATED] / first[:, MENTIONS], second[:, HALLUCINATED] / second[:, MENTIONS]),
            "recall": (first[:, RECALLED] / first[:, TRUTH], second[:, RECALLED] / second[:, TRUTH]),
            "length": (first[:, WORDS] / first[:, CAPTIONS], second[:, WORDS] / second[:, CAPTIONS]),
        }
        level = float((target / curves[0][:, -1, whole])[0])
    points = {name: (float(one[0]), float(two[0])) for name, (one, two) in values.items()}
    differences = {name: _difference(*values[name]) for name in ("chair_i", "recall")}
    return Match(level, (float(first_share[0]), float(second_share[0])), differences=differences, **points)


def _cut(curve: Counts, part: int, target: Counts) -> tuple[Counts, Counts]:
    """Counts [D, STEPS + 1, COLUMNS] -> those [D, COLUMNS] where column `part` is `target` [D], and the share [D]."""
    reached = curve[:, :, part] <= target[:, None] + 1e-9
    below = STEPS - reached[:, ::-1].argmax(axis=1)  # the largest share that does not exceed the target
    above = np.minimum(below + 1, STEPS)
    rows = np.arange(len(curve))
    low, high = curve[rows, below], curve[rows, above]
    gap = high[:, part] - low[:, part]
    fraction = np.divide(target - low[:, part], gap, out=np.zeros_like(gap), where=gap > 0)
    return low + fraction[:, None] * (high - low), (below + fraction) / STEPS


def _difference(first: Counts, second: Counts) -> bootstrap.Difference:
    difference = second - first
    return bootstrap.Difference(float(difference[0]), *bootstrap.interval(difference[1:], 0.95))
