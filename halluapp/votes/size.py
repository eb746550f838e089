"""How large a table of votes gets: somebody waits for it, and one at a time is computed for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MOST_METHODS, MOST_COUNTED = 64, 2000  # methods and votes in all reports
MOST_MATCHES = 10_000_000  # mentions of a report times its votes and their ticked words, summed
MOST_PAIRS = 500_000  # of answers in rankings
MOST_ROWS = 256  # methods of every model, each model with a fit of its own


class Size:
    """Of the reports that were added so far."""

    def __init__(self, reports: Iterable[Mapping[str, Any]] = ()):
        self.methods: set[str] = set()
        self.rows: set[tuple[str, str]] = set()
        self.votes = self.matches = self.pairs = 0
        for report in reports:
            self.add(report)

    def add(self, report: Mapping[str, Any]) -> None:
        """Counts a report, whose order does not matter."""
        panels, votes = report["panels"], report.get("votes", [])
        names = [panel["method"] for panel in panels]
        self.methods.update(names)
        self.rows.update((report["model"]["name"], name) for name in names)
        self.votes += len(votes)
        self.pairs += len(votes) * len(panels) ** 2 // 2
        ticks = sum(1 + len(vote.get("wrong", [])) for vote in votes)
        self.matches += ticks * sum(len(panel["mentions"]) for panel in panels)

    @property
    def is_too_large(self) -> bool:
        """Whether a table of these reports takes too long."""
        return (
            len(self.methods) > MOST_METHODS
            or len(self.rows) > MOST_ROWS
            or self.votes > MOST_COUNTED
            or self.matches > MOST_MATCHES
            or self.pairs > MOST_PAIRS
        )


class Prefix:
    """The first of some reports, as many as fit into a table beside those that a size has counted.

    is_whole: whether all of them came, known once they were asked for.
    """

    def __init__(self, reports: Iterable[Mapping[str, Any]], size: Size, most: int):
        self.reports, self.size, self.most, self.is_whole = reports, size, most, True

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for number, report in enumerate(self.reports):
            self.size.add(report)
            if number >= self.most or self.size.is_too_large:
                self.is_whole = False
                return
            yield report
