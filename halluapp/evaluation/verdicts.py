"""How right a judge's verdicts are, against photos with certain labels: what `evaluate --verdicts` reports.

Pure functions over plain data: what was said and judged on one side, the records' truth on the other. A mention counts
once a photo, method and label; mentions whose truth is uncertain count nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from halluapp.evaluation import bootstrap
from halluapp.evaluation.detection import truth_of
from halluapp.grounding.words import vocabulary

GROUNDED, CONTRADICTED, NOT_SURE = "grounded", "contradicted", "not sure"
PERSON = "person"
BINS = 10
COVERAGES = tuple(step / 20 for step in range(1, 21))


@dataclass(frozen=True)
class Checked:
    """A mention with its verdict and the truth. p: the judge's P(object in photo), None where it gave none."""

    photo: str
    method: str
    label: str
    verdict: str
    p: float | None
    present: bool


def checked(key: str, record: Mapping[str, Any], judged: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Checked]:
    """One photo's mentions that were checked and whose truth is certain.

    judged: by method, what the judge returned: "object", "verdict", "presence" (p; may be missing) and, where the
    judge checked under a wider name, "checked_as". Where a label was named by several words, the first verdict counts.
    """
    truth, rows = truth_of(record), []
    allowed = set(vocabulary.coco_names()) if "objects" in record else None
    for method, verdicts in judged.items():
        done = set()
        for verdict in verdicts:
            label = _label(verdict)
            if verdict["verdict"] not in (GROUNDED, CONTRADICTED, NOT_SURE) or label in done:
                continue
            if (allowed is not None and label not in allowed) or (label in truth.uncertain - truth.present):
                continue
            done.add(label)
            p = verdict.get("presence")
            rows.append(Checked(key, method, label, verdict["verdict"], p, label in truth.present))
    return rows


def _label(verdict: Mapping[str, Any]) -> str:
    """The name under which a mention is compared with the truth: people are one label."""
    name = verdict.get("checked_as") or verdict["object"]
    return PERSON if name in vocabulary.PEOPLE else name


def report(rows: Sequence[Checked], seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """All figures of a judge -> {"all", "without_persons", "persons", "labels", "methods"}, plain data."""
    others = [row for row in rows if row.label != PERSON]
    return {
        "all": part(rows, seed, draws),
        "without_persons": part(others, seed, draws),
        "persons": part([row for row in rows if row.label == PERSON], seed, draws),
        "labels": by_label(rows),
        "methods": ranking(rows, seed, draws),
    }


def part(rows: Sequence[Checked], seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Figures of some mentions: precision of each verdict, how many are decided, calibration, and the curve.

    Each of "grounded" and "contradicted" is {"precision", "interval" (95 %, over photos), "mentions", "pairs"};
    "pairs" counts different photos and labels. A figure of no mentions is None.
    """
    sums = _photo_sums(rows, lambda r: (
        r.verdict == GROUNDED and r.present, r.verdict == GROUNDED,
        r.verdict == CONTRADICTED and not r.present, r.verdict == CONTRADICTED, True,
    ))  # fmt: skip
    out: dict[str, Any] = {"mentions": len(rows), "present": _share(sum(r.present for r in rows), len(rows))}
    for name, right, total in ((GROUNDED, 0, 1), (CONTRADICTED, 2, 3)):
        mine = [row for row in rows if row.verdict == name]
        out[name] = {
            "precision": _share(sums[:, right].sum(), sums[:, total].sum()),
            "interval": _interval(sums[:, [right, total]], lambda a, b: a / b, seed, draws),
            "mentions": len(mine),
            "pairs": len({(row.photo, row.label) for row in mine}),
        }
    out["decided"] = _share(sums[:, 1].sum() + sums[:, 3].sum(), len(rows))
    out["decided_interval"] = _interval(sums[:, [1, 3, 4]], lambda a, b, n: (a + b) / n, seed, draws)
    return {**out, **calibration(rows), "curve": curve(rows)}


def calibration(rows: Iterable[Checked], bins: int = BINS) -> dict[str, Any]:
    """{"ece", "bins": [{"low", "high", "p", "present", "mentions"}]}: expected calibration error of p, equal bins."""
    scored = [row for row in rows if row.p is not None]
    if not scored:
        return {"ece": None, "bins": []}
    p, truth = np.array([row.p for row in scored], float), np.array([row.present for row in scored], float)
    bin_index = np.clip(np.ceil(p * bins) - 1, 0, bins - 1).astype(int)
    table, error = [], 0.0
    for number in range(bins):
        inside = bin_index == number
        if inside.any():
            mean_p, true = float(p[inside].mean()), float(truth[inside].mean())
            error += abs(mean_p - true) * inside.mean()
            edges = {"low": number / bins, "high": (number + 1) / bins}
            table.append({**edges, "p": mean_p, "present": true, "mentions": int(inside.sum())})
    return {"ece": float(error), "bins": table}


def curve(rows: Iterable[Checked]) -> list[dict[str, float]]:
    """Precision against coverage: the surest mentions decided first, each for the side on which its p lies."""
    scored = [row for row in rows if row.p is not None]
    sure = sorted(scored, key=lambda row: -abs(row.p - 0.5))  # type: ignore[operator]
    right = np.cumsum([(row.p >= 0.5) == row.present for row in sure])  # type: ignore[operator]
    counts = [max(1, round(coverage * len(sure))) for coverage in COVERAGES] if sure else []
    return [{"coverage": n / len(sure), "precision": float(right[n - 1] / n)} for n in dict.fromkeys(counts)]


def by_label(rows: Sequence[Checked]) -> dict[str, dict[str, Any]]:
    """For each label, most mentioned first: mentions, share present, each verdict's count and precision, decided."""
    labels: dict[str, list[Checked]] = {}
    for row in rows:
        labels.setdefault(row.label, []).append(row)
    table = {}
    for label, mine in sorted(labels.items(), key=lambda item: (-len(item[1]), item[0])):
        entry: dict[str, Any] = {"mentions": len(mine), "present": _share(sum(r.present for r in mine), len(mine))}
        for name, side in ((GROUNDED, True), (CONTRADICTED, False)):
            scored = [row for row in mine if row.verdict == name]
            entry[name] = {
                "precision": _share(sum(r.present is side for r in scored), len(scored)), "mentions": len(scored)
            }  # fmt: skip
        decided = sum(row.verdict != NOT_SURE for row in mine)
        table[label] = {**entry, "decided": _share(decided, len(mine))}
    return table


def ranking(rows: Sequence[Checked], seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Does the page order the methods as the truth does?

    -> {"methods": [{"method", "mentions", "expected" (share invented by sum of 1 - p), "true"}], best by truth first,
    "pairs": [{"first", "second", "true" (difference and interval), "expected", "clear", "agree"}]}. Clear: the
    interval of the true difference (paired, over photos) leaves 0 out. Only mentions with a p count.
    """
    scored = [row for row in rows if row.p is not None]
    keys = sorted({row.photo for row in scored})
    sums = {}
    for method in sorted({row.method for row in scored}):
        mine = [row for row in scored if row.method == method]
        sums[method] = _photo_sums(mine, lambda r: (not r.present, 1 - r.p, True), keys)  # type: ignore[operator]
    total = {method: table.sum(0) for method, table in sums.items()}
    methods = [
        {"method": m, "mentions": int(t[2]), "expected": _share(t[1], t[2]), "true": _share(t[0], t[2])}
        for m, t in total.items()
    ]
    pairs = [_pair(one, two, sums, seed, draws) for one, two in combinations(sums, 2)]
    return {"methods": sorted(methods, key=lambda entry: entry["true"]), "pairs": pairs}


def _pair(one: str, two: str, sums: Mapping[str, np.ndarray], seed: int, draws: int) -> dict[str, Any]:
    true, expected = (
        bootstrap.paired_difference(sums[one][:, [k, 2]], sums[two][:, [k, 2]], lambda a, b: a / b, draws, seed)
        for k in (0, 1)
    )
    clear = bool(true.low > 0 or true.high < 0)
    return {
        "first": one, "second": two, "clear": clear, "agree": bool(true.value * expected.value > 0),
        **{name: {"value": _finite(one.value), "interval": [_finite(one.low), _finite(one.high)]}
           for name, one in (("true", true), ("expected", expected))},
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """None for a number that JSON does not have: the result of hours must not be lost for it."""
    return float(value) if np.isfinite(value) else None


def _photo_sums(
    rows: Iterable[Checked], counts: Callable[[Checked], tuple], keys: Sequence[str] | None = None
) -> np.ndarray:
    """Per photo, the sums of what `counts` says of each mention [photos, K]; a photo without mentions keeps zeros."""
    table: dict[str, np.ndarray] = {}
    for row in rows:
        values = np.array(counts(row), float)
        table[row.photo] = table[row.photo] + values if row.photo in table else values
    width = len(next(iter(table.values()), ())) or 5
    order = list(table) if keys is None else keys
    return np.array([table.get(key, np.zeros(width)) for key in order]).reshape(-1, width)


def _interval(sums: np.ndarray, statistic: bootstrap.Statistic, seed: int, draws: int) -> list[float | None] | None:
    if not len(sums) or not sums[:, -1].sum():
        return None
    return list(map(_finite, bootstrap.bootstrap(sums, statistic, draws, seed)))


def _share(one: float, whole: float) -> float | None:
    return float(one / whole) if whole else None


def table(result: Mapping[str, Any]) -> str:
    """The figures of `report` as text."""
    heads = f"{'mentions':<18}{'n':>7}{'present':>9}{'grounded right':>24}{'contradicted right':>24}"
    lines = [f"{heads}{'decided':>9}{'ECE':>7}"]
    for name in ("all", "without_persons", "persons"):
        row = result[name]
        line = f"{name.replace('_', ' '):<18}{row['mentions']:>7}{_figure(row['present']):>9}"
        for verdict in (GROUNDED, CONTRADICTED):
            low, high = row[verdict]["interval"] or (None, None)
            line += f"{_figure(row[verdict]['precision'])} [{_figure(low)} {_figure(high)}]".rjust(24)
        lines.append(line + f"{_figure(row['decided']):>9}{_figure(row['ece']):>7}")
    lines += ["", f"{'method':<14}{'mentions':>9}{'expected':>10}{'true':>8}   share of named things not in the photo"]
    for row in result["methods"]["methods"]:
        lines.append(f"{row['method']:<14}{row['mentions']:>9}{_figure(row['expected']):>10}{_figure(row['true']):>8}")
    clear = [pair for pair in result["methods"]["pairs"] if pair["clear"]]
    right = sum(pair["agree"] for pair in clear)
    lines += [f"of {len(clear)} pairs of methods that differ clearly, {right} are ordered as the truth orders them", ""]
    lines.append(f"{'label':<16}{'mentions':>9}{'present':>9}{'grounded':>16}{'contradicted':>16}{'decided':>9}")
    for label, row in result["labels"].items():
        line = f"{label:<16}{row['mentions']:>9}{_figure(row['present']):>9}"
        for verdict in (GROUNDED, CONTRADICTED):
            line += f"{_figure(row[verdict]['precision'])} of {row[verdict]['mentions']}".rjust(16)
        lines.append(line + f"{_figure(row['decided']):>9}")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
