"""POPE: yes/no answers in free text and their scores. Questions: `questions.py`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

YesNo = Literal["yes", "no"]
Variant = Literal["official", "vcd", "nullu", "opera"]

_YES_WORD = re.compile(r"\byes\b", re.IGNORECASE)
_OFFICIAL_NO = frozenset({"No", "not", "no"})
_OPERA_NO = frozenset({"No", "not", "no", "NO"})
_NULLU_NO = ("no", "not", "false", "n't")


@dataclass(frozen=True)
class Confusion:
    """Counts with "yes" as the positive class; they add up over photos."""

    true_yes: int
    false_yes: int
    true_no: int
    false_no: int


@dataclass(frozen=True)
class PopeScore:
    """Scores in [0, 1], 0 where the quotient is undefined. `unparsed` answers (of `count`) hold neither yes nor no."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float
    unparsed: int
    count: int


def parse_answer(text: str) -> YesNo | None:
    """The answer in a free text by the official POPE rule, None where that rule only guesses.

    Reads the first sentence, up to the first full stop, without commas: "no" if one of its words is No, not or no;
    else "yes" if the word yes occurs in any case; else None. The official script calls the last kind "yes" too (also
    the empty text, and NO in capitals); `pope_scores` follows it but counts them. Source: POPE (Li et al. 2023),
    evaluation script.
    """
    sentence = text.split(".")[0]
    if _OFFICIAL_NO.intersection(sentence.replace(",", "").split(" ")):
        return "no"
    return "yes" if _YES_WORD.search(sentence) else None


def read_answer(text: str, label: YesNo, variant: Variant = "official") -> YesNo:
    """What an answer counts as when the truth is `label`.

    - official (POPE, LLaVA): `parse_answer`, None as "yes";
    - vcd (VCD, LLaVA-Align, DeCo): right if the lower-cased text contains the label as a substring, else the
      opposite of the label: "I know" is right for "no";
    - nullu: "no" if no, not, false or n't occurs anywhere, as in "another";
    - opera (OPERA, AdaVIB): "no" if a word of the whole text, without . and , is No, not, no, NO or ends in n't.
    Raises ValueError for an unknown variant or label.
    """
    if label not in ("yes", "no"):
        raise ValueError(f"label must be 'yes' or 'no', got {label!r}")
    if variant == "official":
        return parse_answer(text) or "yes"
    if variant == "vcd":
        opposite: YesNo = "no" if label == "yes" else "yes"
        return label if label in text.lower() else opposite
    if variant == "nullu":
        return "no" if any(part in text.lower() for part in _NULLU_NO) else "yes"
    if variant == "opera":
        words = text.replace(".", "").replace(",", "").split(" ")
        return "no" if any(word in _OPERA_NO or word.endswith("n't") for word in words) else "yes"
    raise ValueError(f"variant must be official, vcd, nullu or opera, got {variant!r}")


def confusion(answers: Sequence[str], labels: Sequence[YesNo], variant: Variant = "official") -> Confusion:
    """Counts of texts against labels. Raises ValueError if the numbers differ, or as `read_answer`."""
    if len(answers) != len(labels):
        raise ValueError(f"{len(answers)} answers for {len(labels)} labels")
    pairs = [(read_answer(text, label, variant), label) for text, label in zip(answers, labels, strict=True)]
    return Confusion(
        true_yes=pairs.count(("yes", "yes")),
        false_yes=pairs.count(("yes", "no")),
        true_no=pairs.count(("no", "no")),
        false_no=pairs.count(("no", "yes")),
    )


def pope_scores(answers: Sequence[str], labels: Sequence[YesNo], variant: Variant = "official") -> PopeScore:
    """Accuracy, precision, recall, F1 and the share of "yes" of free-text answers.

    Unparsed answers (None from `parse_answer`) count as the variant reads them, "yes" in the official one, so numbers
    compare with published ones; their number is shown beside. Raises ValueError as `confusion`. Source: POPE, metrics.
    """
    counts = confusion(answers, labels, variant)
    unparsed = sum(parse_answer(text) is None for text in answers)
    return scores_from(counts, unparsed)


def scores_from(counts: Confusion, unparsed: int = 0) -> PopeScore:
    """Scores of summed counts; undefined quotients are 0."""
    yes_count = counts.true_yes + counts.false_yes
    total = yes_count + counts.true_no + counts.false_no
    precision = _ratio(counts.true_yes, yes_count)
    recall = _ratio(counts.true_yes, counts.true_yes + counts.false_no)
    return PopeScore(
        accuracy=_ratio(counts.true_yes + counts.true_no, total),
        precision=precision,
        recall=recall,
        f1=_ratio(2 * precision * recall, precision + recall),
        yes_ratio=_ratio(yes_count, total),
        unparsed=unparsed,
        count=total,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
