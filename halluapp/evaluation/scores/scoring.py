"""Scores of texts: CHAIR and POPE of the chosen methods, with intervals, differences to the baseline (also at equal
recall and at equal length), worst cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

from halluapp.evaluation import chair, pope, questions
from halluapp.evaluation.bootstrap import bootstrap, paired_difference
from halluapp.evaluation.scores import confidence, matched

WORST = 5
POPE_STATISTICS = {
    "accuracy": lambda tp, fp, tn, fn, *gaps: (tp + tn) / (tp + fp + tn + fn),
    "precision": lambda tp, fp, tn, fn, *gaps: tp / (tp + fp),
    "recall": lambda tp, fp, tn, fn, *gaps: tp / (tp + fn),
    "f1": lambda tp, fp, tn, fn, *gaps: 2 * tp / (2 * tp + fp + fn),
    "yes_ratio": lambda tp, fp, tn, fn, *gaps: (tp + fp) / (tp + fp + tn + fn),
    "ece": lambda tp, fp, tn, fn, *gaps: confidence.ece(*gaps),
}


@dataclass
class EvaluatedPhoto:
    """One photo with the methods' texts.

    captions: by method; answers: by question text, then by method; p_yes: as answers, the probability that a method
    gives "yes" against "no", where it is known.
    """

    key: str
    record: dict
    questions: list[questions.Question]
    captions: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    p_yes: dict[str, dict[str, float]] = field(default_factory=dict)


def score(
    photos: list[EvaluatedPhoto],
    methods: list,
    metrics: Sequence[str],
    vocabulary: chair.Vocabulary,
    seed: int,
    errors: dict[str, str],
    seconds: dict[str, float],
) -> list[dict[str, Any]]:
    """The "methods" part of the result. Differences are to "baseline", if it is among the methods."""
    results, rows, prefixes = [], {}, {}
    for method in methods:
        about = {"method": method.name, "parameters": method.parameters(), "error": errors.get(method.name)}
        if about["error"] is None:
            parts = {}
            if "chair" in metrics:
                parts["chair"] = _chair_part(photos, method.name, vocabulary)
                prefixes[method.name] = _prefix_counts(photos, method.name, vocabulary)
            if "pope" in metrics:
                parts["pope"] = _pope_part(photos, method.name)
            rows[method.name] = {metric: part.rows for metric, part in parts.items()}
            for metric, part in parts.items():
                about[metric] = part.scores
            about["intervals"] = {metric: _intervals(metric, part.rows, seed) for metric, part in parts.items()}
            if "chair" in parts:
                about["worst"] = parts["chair"].worst
        results.append({**about, "seconds": round(seconds[method.name], 3)})
    _add_differences(results, rows, seed)
    _add_matches(results, prefixes, seed)
    return results


def _add_differences(results: list[dict[str, Any]], rows: dict[str, dict[str, list]], seed: int) -> None:
    """Adds the differences to the baseline to every other method, if the baseline was measured."""
    for result in results:
        name = result["method"]
        if "baseline" in rows and name in rows and name != "baseline":
            base = rows["baseline"]
            result["differences"] = {
                metric: _differences(metric, base[metric], sums, seed) for metric, sums in rows[name].items()
            }


def _prefix_counts(photos: list[EvaluatedPhoto], name: str, vocabulary: chair.Vocabulary) -> matched.Counts:
    texts = [photo.captions.get(name, "") for photo in photos]
    return matched.prefix_counts(texts, [chair.truth_of(photo.record, vocabulary) for photo in photos], vocabulary)


def _add_matches(results: list[dict[str, Any]], prefixes: dict[str, matched.Counts], seed: int) -> None:
    """Adds CHAIR_i at equal recall and at equal length to every method but the baseline, if that was measured."""
    for result in results:
        name = result["method"]
        if "baseline" in prefixes and name in prefixes and name != "baseline":
            pair = prefixes["baseline"], prefixes[name]
            result["matched"] = {by: _match_part(matched.match(*pair, by, seed=seed)) for by in matched.QUOTIENTS}


def _match_part(match: matched.Match) -> dict[str, Any]:
    points = {key: [_number(value) for value in getattr(match, key)] for key in ("chair_i", "recall", "length")}
    differences = {
        key: {part: _number(value) for part, value in asdict(difference).items()}
        for key, difference in match.differences.items()
    }
    return {"level": _number(match.level), "shares": list(match.shares), **points, "differences": differences}


@dataclass
class _MetricScores:
    """One metric of one method: its scores, its rows of sums (a photo each), its worst examples."""

    scores: dict[str, Any]
    rows: list[tuple[float, ...]]
    worst: list[dict[str, Any]] = field(default_factory=list)


def _chair_part(photos: list[EvaluatedPhoto], name: str, vocabulary: chair.Vocabulary) -> _MetricScores:
    texts = [photo.captions.get(name, "") for photo in photos]
    truth = [chair.truth_of(photo.record, vocabulary) for photo in photos]
    mentions = [chair.object_mentions(text, vocabulary) for text in texts]
    asserted = [chair.asserted_mentions(text, vocabulary) for text in texts]
    rows = chair.chair_rows(mentions, truth, [chair.count_words(text) for text in texts], vocabulary, asserted)
    order = sorted((i for i in range(len(rows)) if rows[i].hallucinated), key=lambda i: -rows[i].hallucinated)
    exact = vocabulary == "coco"
    worst = [
        {
            "photo": photos[i].key,
            "text": texts[i],
            "hallucinated": [m for m in mentions[i] if chair.chair_row([m], truth[i], exact=exact).hallucinated],
            "truth": sorted(truth[i]),
        }
        for i in order[:WORST]
    ]
    return _MetricScores(asdict(chair.score_of(rows)), [row.sums() for row in rows], worst)


def _pope_part(photos: list[EvaluatedPhoto], name: str) -> _MetricScores:
    texts: dict[str, list[str]] = {split: [] for split in questions.SPLITS}
    labels: dict[str, list[pope.YesNo]] = {split: [] for split in questions.SPLITS}
    rows: list[tuple[float, ...]] = []
    for photo in photos:
        answers = [photo.answers[question.text].get(name, "") for question in photo.questions]
        counts = pope.confusion(answers, [question.label for question in photo.questions])
        gaps = confidence.gap_row(
            [photo.p_yes.get(question.text, {}).get(name) for question in photo.questions],
            [question.label for question in photo.questions],
        )
        rows.append((counts.true_yes, counts.false_yes, counts.true_no, counts.false_no, *gaps))
        for question, text in zip(photo.questions, answers, strict=True):
            texts[question.split].append(text)
            labels[question.split].append(question.label)
    splits = {split: asdict(pope.pope_scores(texts[split], labels[split])) for split in questions.SPLITS}
    whole = pope.pope_scores([*chain(*texts.values())], [*chain(*labels.values())])
    sums = [sum(column) for column in zip(*rows, strict=True)][4:]
    scores = {**asdict(whole), "ece": confidence.ece_of(sums), "with_probability": round(sums[-1]), "splits": splits}
    return _MetricScores(scores, rows)


def _statistics(metric: str) -> dict[str, Callable]:
    return chair.STATISTICS if metric == "chair" else POPE_STATISTICS


def _intervals(metric: str, rows: list[tuple[float, ...]], seed: int) -> dict[str, list[float | None]]:
    """95 % intervals over photos; null where undefined."""
    intervals = {key: bootstrap(rows, statistic, seed=seed) for key, statistic in _statistics(metric).items()}
    return {key: [_number(low), _number(high)] for key, (low, high) in intervals.items()}


def _differences(metric: str, base: list, rows: list, seed: int) -> dict[str, dict[str, float | None]]:
    """Method minus baseline on the same photos, with its 95 % interval."""
    differences = {key: paired_difference(base, rows, s, seed=seed) for key, s in _statistics(metric).items()}
    return {key: {part: _number(value) for part, value in asdict(d).items()} for key, d in differences.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON knows no NaN
