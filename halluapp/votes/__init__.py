"""Blind votes on comparisons: checked ballots, strengths of methods, agreement of people with the judge."""

from halluapp.votes.ballots import ballot
from halluapp.votes.tally import as_lines, tally

__all__ = ["as_lines", "ballot", "tally"]
