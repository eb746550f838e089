"""How far people and the judge agree: a mention is wrong to a person who ticked one of its words in a blind vote."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VERDICTS = ("grounded", "contradicted", "not sure", "not checkable")
DECIDED = {"grounded": False, "contradicted": True}  # verdict -> whether the judge holds the mention to be wrong
RESAMPLES, SEED, NORMAL = 1000, 0, 1.959964
Counts = dict[tuple[str, bool], int]  # (verdict, whether the person ticked it): mentions


def counts(report: Mapping[str, Any], vote: Mapping[str, Any]) -> tuple[Counts, int]:
    """The mentions of a report by verdict and tick, and how many ticked words lie in no mention."""
    table: Counts = {}
    rest = [(word["method"], word["start"], word["end"]) for word in vote["wrong"]]
    for panel in report["panels"]:
        for mention in panel["mentions"]:
            hits = [
                word for word in rest
                if word[0] == panel["method"] and word[1] < mention["end"] and mention["start"] < word[2]
            ]  # fmt: skip
            key = (mention["verdict"], bool(hits))
            table[key] = table.get(key, 0) + 1
            rest = [word for word in rest if word not in hits]
    return table, len(rest)


def agreement(tables: Sequence[Counts], unnamed: int) -> dict[str, Any]:
    """The share of each verdict's mentions that people hold to be wrong, and Cohen's kappa over the decided ones.

    tables: of every vote. Shares have Wilson's 95 % interval; kappa has one from drawing votes again, since the words
    of one vote are one person's.
    """
    total = _sum(tables)
    return {
        "votes": len(tables),
        "unnamed": unnamed,
        "verdicts": {verdict: _share(total, verdict) for verdict in VERDICTS},
        "kappa": _kappa_record(tables, total),
    }


def kappa(table: Counts) -> float | None:
    """Cohen's kappa of judge and people, wrong or not, over mentions that the judge decided; None without any chance
    to disagree."""
    n = sum(table.get((verdict, tick), 0) for verdict in DECIDED for tick in (False, True))
    if not n:
        return None
    same = sum(table.get((verdict, wrong), 0) for verdict, wrong in DECIDED.items()) / n
    judged = sum(table.get(("contradicted", tick), 0) for tick in (False, True)) / n
    ticked = sum(table.get((verdict, True), 0) for verdict in DECIDED) / n
    chance = judged * ticked + (1 - judged) * (1 - ticked)
    return (same - chance) / (1 - chance) if chance < 1 else None


def _kappa_record(tables: Sequence[Counts], total: Counts) -> dict[str, Any]:
    value, generator = kappa(total), random.Random(SEED)
    draws = []
    if value is not None and len(tables) > 1:
        draws = [kappa(_sum(generator.choices(tables, k=len(tables)))) for _ in range(RESAMPLES)]
    values = sorted(draw for draw in draws if draw is not None)
    low, high = (values[int(q * (len(values) - 1))] for q in (0.025, 0.975)) if values else (None, None)
    n = sum(number for (verdict, _), number in total.items() if verdict in DECIDED)
    return {"value": value, "low": low, "high": high, "n": n}


def _share(total: Counts, verdict: str) -> dict[str, Any]:
    wrong, n = total.get((verdict, True), 0), sum(total.get((verdict, tick), 0) for tick in (False, True))
    if not n:
        return {"n": 0, "wrong": 0, "share": None, "low": None, "high": None}
    share, square = wrong / n, NORMAL**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return {"n": n, "wrong": wrong, "share": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def _sum(tables: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for table in tables:
        for key, number in table.items():
            total[key] = total.get(key, 0) + number
    return total
