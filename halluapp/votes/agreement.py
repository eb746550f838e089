"""How far people and the judge agree: a mention is wrong to a person who ticked one of its words in a blind vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halluapp.votes import intervals

VERDICTS = ("grounded", "contradicted", "not sure", "not checkable")
DECIDED = {"grounded": False, "contradicted": True}  # verdict -> whether the judge holds the mention to be wrong
KEYS = tuple((verdict, tick) for verdict in VERDICTS for tick in (False, True))
Counts = dict[tuple[str, bool], int]  # (verdict, whether the person ticked it): mentions


def counts(panels: Sequence[Mapping[str, Any]], vote: Mapping[str, Any]) -> tuple[Counts, int]:
    """The mentions of panels by verdict and tick, and how many words ticked in them lie in no mention."""
    table: Counts = {}
    words: dict[str, list[tuple[int, int]]] = {panel["method"]: [] for panel in panels}
    for word in vote["wrong"]:
        if word["method"] in words:
            words[word["method"]].append((word["start"], word["end"]))
    for panel in panels:
        rest = words[panel["method"]]
        for mention in panel["mentions"]:
            missed = [word for word in rest if word[0] >= mention["end"] or mention["start"] >= word[1]]
            key = (mention["verdict"], len(missed) < len(rest))
            table[key] = table.get(key, 0) + 1
            rest = missed
        words[panel["method"]] = rest
    return table, sum(map(len, words.values()))


def agreement(tables: Sequence[Counts], unnamed: int) -> dict[str, Any]:
    """The share of each verdict's mentions that people hold to be wrong, and Cohen's kappa over the decided ones.

    tables: of every vote. The words of one vote are one person's on one photo, so the 95 % are over votes drawn anew
    with replacement: what other votes on such comparisons would give. They are not over people (one person's votes
    count as strangers') nor over photos. A share's interval reaches as far as Wilson's too, since draws of a share of
    0 or 1 have no width. Draws without a value are left out and counted as `undefined`. None from a single vote.
    """
    rows = np.array([[table.get(key, 0) for key in KEYS] for table in tables], dtype=int).reshape(-1, len(KEYS))
    sums = intervals.draws(rows) if len(rows) > 1 else None
    total = _table(rows.sum(0).tolist())
    return {
        "votes": len(tables),
        "unnamed": unnamed,
        "verdicts": {verdict: _share_record(total, sums, verdict) for verdict in VERDICTS},
        "kappa": _kappa_record(total, sums),
    }


def kappa(table: Counts) -> float | None:
    """Cohen's kappa of judge and people, wrong or not, over mentions that the judge decided; None without any chance
    to disagree."""
    n = sum(_count(table, verdict) for verdict in DECIDED)
    if not n:
        return None
    same = sum(table.get((verdict, wrong), 0) for verdict, wrong in DECIDED.items()) / n
    judged = _count(table, "contradicted") / n
    ticked = sum(table.get((verdict, True), 0) for verdict in DECIDED) / n
    chance = judged * ticked + (1 - judged) * (1 - ticked)
    return (same - chance) / (1 - chance) if chance < 1 else None


def share(table: Counts, verdict: str) -> float | None:
    """Of a verdict's mentions, those that people ticked; None without a mention."""
    n = _count(table, verdict)
    return table.get((verdict, True), 0) / n if n else None


def _kappa_record(total: Counts, sums: np.ndarray | None) -> dict[str, Any]:
    value, interval, undefined = kappa(total), None, 0
    if value is not None and sums is not None:
        interval, undefined = intervals.percentile(sums, lambda row: kappa(_table(row)))
    low, high = interval or (None, None)
    n = sum(_count(total, verdict) for verdict in DECIDED)
    return {"value": value, "low": low, "high": high, "undefined": undefined, "n": n}


def _share_record(total: Counts, sums: np.ndarray | None, verdict: str) -> dict[str, Any]:
    hits, n, interval, undefined = total.get((verdict, True), 0), _count(total, verdict), None, 0
    if n and sums is not None:
        interval, undefined = intervals.percentile(sums, lambda row: share(_table(row), verdict))
    low, high = (None, None)
    if interval:
        least, most = intervals.wilson(hits, n)
        low, high = min(least, interval[0]), max(most, interval[1])
    return {"n": n, "wrong": hits, "share": share(total, verdict), "low": low, "high": high, "undefined": undefined}


def _table(row: Sequence[int]) -> Counts:
    return dict(zip(KEYS, row, strict=True))


def _count(table: Counts, verdict: str) -> int:
    return table.get((verdict, False), 0) + table.get((verdict, True), 0)
