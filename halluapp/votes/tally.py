"""All votes of some reports in one table: strengths of methods, and the agreement of people with the judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from halluapp.votes.agreement import Counts, agreement, counts
from halluapp.votes.ballots import outcomes

SCHEMA = 1
NONE = "There are no votes yet: switch on Blind vote at a result, rank its answers and reveal."


def tally(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The votes of checked reports, each vote once -> `report.vote_records.VotesResult` as plain values."""
    from halluapp.votes.bradley_terry import strengths

    ids: set[str] = set()
    titles: dict[str, str] = {}
    rankings: list[list[tuple[str, str, float]]] = []
    tables: list[Counts] = []
    comparisons = unnamed = 0
    for report in reports:
        votes = [vote for vote in report.get("votes", []) if vote["id"] not in ids]
        ids |= {vote["id"] for vote in votes}
        comparisons += bool(votes)
        methods = [panel["method"] for panel in report["panels"]]
        titles |= {panel["method"]: panel.get("title") or panel["method"] for panel in report["panels"]}
        for vote in votes:
            rankings.append(outcomes(vote, methods))
            if vote["complete"]:
                table, rest = counts(report, vote)
                tables.append(table)
                unnamed += rest
    result = strengths(rankings, titles)
    return {
        "schema": SCHEMA, "votes": len(ids), "comparisons": comparisons,
        "rankings": sum(bool(pairs) for pairs in rankings), "problem": result.problem if ids else NONE,
        "methods": _rows(result, titles), "agreement": agreement(tables, unnamed),
    }  # fmt: skip


def _rows(result: Any, titles: Mapping[str, str]) -> list[dict[str, Any]]:
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
    """The table for a console."""
    lines = [f"votes: {result['votes']}, of them rankings: {result['rankings']}, comparisons: {result['comparisons']}"]
    if result["problem"]:
        lines.append(result["problem"])
    if result["methods"]:
        lines += ["", f"{'method':28}{'strength [95 %]':>26}{'won':>8}{'n':>6}"]
    for row in result["methods"]:
        strength = "–" if row["strength"] is None else f"{row['strength']:+.2f}"
        if row["low"] is not None:
            strength += f" [{row['low']:+.2f}, {row['high']:+.2f}]"
        lines.append(f"{row['method']:28}{strength:>26}{row['wins'] / row['n']:>8.0%}{row['n']:>6}")
    return [*lines, *_agreement_lines(result["agreement"])]


def _agreement_lines(result: Mapping[str, Any]) -> list[str]:
    if not result["votes"]:
        return []
    lines = ["", f"held to be wrong by people (votes that looked for wrong words: {result['votes']})"]
    for verdict, row in result["verdicts"].items():
        if row["n"]:
            lines.append(
                f"  {verdict:16}{row['wrong']} of {row['n']} ({row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}])"
            )
    lines.append(f"  {'no mention':16}{result['unnamed']} ticked words")
    kappa = result["kappa"]
    if kappa["value"] is not None:
        interval = f" [{kappa['low']:.2f}, {kappa['high']:.2f}]" if kappa["low"] is not None else ""
        lines.append(f"  Cohen's kappa of judge and people {kappa['value']:.2f}{interval}, n = {kappa['n']} mentions")
    return lines
