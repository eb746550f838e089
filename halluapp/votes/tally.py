"""All votes of some reports in tables: strengths of methods by model, and the agreement of people with the judge."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from halluapp.votes.agreement import Counts, agreement, counts
from halluapp.votes.ballots import answers, outcomes
from halluapp.votes.bradley_terry import Pairs, Strengths, strengths
from halluapp.votes.intervals import DRAWS

SCHEMA = 1
NONE = "There are no votes yet: switch on Blind vote at a result, rank its answers and reveal."
MIXED = "Answers with different parameters are counted together: {methods}."
MODELS = "The answers are of {n} models, whose strengths are not pooled; the agreement is over all of them."


@dataclass
class Rankings:
    """Of one model's answers. settings: method -> its parameters in the reports that were voted on, as JSON."""

    pairs: list[Pairs] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    settings: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, panels: Sequence[Mapping[str, Any]], votes: Sequence[Mapping[str, Any]]) -> None:
        """The votes on one report. panels: those that hold an answer; equal answers say nothing of their methods."""
        for panel in panels:
            self.titles[panel["method"]] = panel.get("title") or panel["method"]
            self.settings[panel["method"]].add(json.dumps(panel.get("parameters"), sort_keys=True))
        texts = {panel["method"]: panel.get("text", panel["method"]) for panel in panels}  # a browser sends none
        self.pairs += [
            [(one, two, won) for one, two, won in outcomes(vote, list(texts)) if texts[one] != texts[two]]
            for vote in votes
        ]

    @property
    def number(self) -> int:
        """Votes that rank answers."""
        return sum(bool(pairs) for pairs in self.pairs)


def tally(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The votes of checked reports, each vote once -> `report.vote_records.VotesResult` as plain values."""
    ids: set[str] = set()
    models: defaultdict[str, Rankings] = defaultdict(Rankings)
    tables: list[Counts] = []
    comparisons = unnamed = 0
    for report in reports:
        votes = [vote for vote in report.get("votes", []) if vote["id"] not in ids]
        if not votes:
            continue
        ids |= {vote["id"] for vote in votes}
        comparisons += 1
        panels = answers(report["panels"])
        models[report["model"]["name"]].add(panels, votes)
        for vote in votes:
            if vote["complete"]:
                table, rest = counts(panels, vote)
                tables.append(table)
                unnamed += rest
    parts = [_model(name, rankings) for name, rankings in models.items()]
    return {
        "schema": SCHEMA, "votes": len(ids), "comparisons": comparisons,
        "rankings": sum(part["rankings"] for part in parts), "problem": "" if ids else NONE,
        "note": MODELS.format(n=len(parts)) if len(parts) > 1 else "",
        "models": sorted(parts, key=lambda part: (-part["rankings"], part["model"])),
        "agreement": agreement(tables, unnamed),
    }  # fmt: skip


def _model(name: str, rankings: Rankings) -> dict[str, Any]:
    result = strengths(rankings.pairs, rankings.titles)
    mixed = [rankings.titles[method] for method in result.methods if len(rankings.settings[method]) > 1]
    return {
        "model": name, "rankings": rankings.number, "problem": result.problem,
        "note": MIXED.format(methods=", ".join(mixed)) if mixed else "", "methods": _rows(result, rankings.titles),
    }  # fmt: skip


def _rows(result: Strengths, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a method, the strongest first."""

    def part(values: tuple[float, ...], index: int) -> float | None:
        return values[index] if values else None

    rows = [
        {
            "method": method, "title": titles[method], "strength": part(result.values, index),
            "low": part(result.low, index), "high": part(result.high, index), "wins": result.wins[index],
            "n": result.comparisons[index],
        }
        for index, method in enumerate(result.methods)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-(row["strength"] or 0.0), -row["wins"] / row["n"]))


def as_lines(result: Mapping[str, Any]) -> list[str]:
    """The tables for a console."""
    lines = [f"votes: {result['votes']}, of them rankings: {result['rankings']}, comparisons: {result['comparisons']}"]
    lines += [sentence for sentence in (result["problem"], result["note"]) if sentence]
    for part in result["models"]:
        lines += ["", f"answers of {part['model']}, rankings: {part['rankings']}", *_model_lines(part)]
    return [*lines, *_agreement_lines(result["agreement"])]


def _model_lines(part: Mapping[str, Any]) -> list[str]:
    lines = [sentence for sentence in (part["problem"], part["note"]) if sentence]
    if part["methods"]:
        lines.append(f"{'method':28}{'strength [95 %]':>26}{'won':>8}{'n':>6}")
    for row in part["methods"]:
        strength = "–" if row["strength"] is None else f"{row['strength']:+.2f}"
        if row["low"] is not None:
            strength += f" [{row['low']:+.2f}, {row['high']:+.2f}]"
        lines.append(f"{row['method']:28}{strength:>26}{row['wins'] / row['n']:>8.0%}{row['n']:>6}")
    return lines


def _agreement_lines(result: Mapping[str, Any]) -> list[str]:
    if not result["votes"]:
        return []
    lines = [
        "", f"held to be wrong by people (votes that looked for wrong words: {result['votes']}; 95 % over votes drawn "
        "again, not over people or photos)",
    ]  # fmt: skip
    for verdict, row in result["verdicts"].items():
        if row["n"]:
            interval = f" [{row['low']:.0%}, {row['high']:.0%}]" if row["low"] is not None else ""
            lines.append(f"  {verdict:16}{row['wrong']} of {row['n']} ({row['share']:.0%}{interval})")
    lines.append(f"  {'no mention':16}{result['unnamed']} ticked words")
    kappa = result["kappa"]
    if kappa["value"] is not None:
        interval = f" [{kappa['low']:.2f}, {kappa['high']:.2f}]" if kappa["low"] is not None else ""
        lines.append(f"  Cohen's kappa of judge and people {kappa['value']:.2f}{interval}, n = {kappa['n']} mentions")
    if kappa["undefined"]:
        lines.append(f"  kappa has no value in {kappa['undefined']} of {DRAWS} draws, which are left out")
    return lines
