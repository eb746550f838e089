"""A blind vote as it comes from a browser, checked against the report that it is about."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from halluapp.errors import InputError
from halluapp.report.vote_records import FULL, MOST_VOTES, MOST_WORDS

SEEDS = 2**32
UNREADABLE = "This vote cannot be read; reload the page and vote again."
EMPTY = "This vote is empty: rank an answer or tick a wrong word, then reveal."


def ballot(report: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """What a browser sent -> `report.schema.ReportVote` as plain values. Raises InputError.

    data: {"seed": of the order of the panels, "ranks": {index of the panel: rank}, "wrong": [{"panel": its index,
    "start", "end"}], "complete": whether the person looked for wrong words in every answer}. The order, the methods
    and the words come from the report, never from the browser. A panel without an answer has no part in a vote.
    """
    if not isinstance(data, Mapping):
        raise InputError(UNREADABLE)
    panels = report["panels"]
    seed, ranks, wrong = data.get("seed"), data.get("ranks"), data.get("wrong")
    if type(seed) is not int or not 0 <= seed < SEEDS or not isinstance(ranks, Mapping) or not isinstance(wrong, list):
        raise InputError(UNREADABLE)
    if len(report.get("votes", [])) >= MOST_VOTES:
        raise InputError(FULL)
    vote = {
        "id": secrets.token_urlsafe(16),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "order": [panel["method"] for panel in answers(shuffle(panels, seed))],
        "ranks": _ranks(panels, ranks),
        "wrong": _words(panels, wrong),
        "complete": data.get("complete") is True,
    }
    if not vote["ranks"] and not vote["wrong"] and not vote["complete"]:
        raise InputError(EMPTY)
    return vote


def answers(panels: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The panels that hold an answer: a method that could not give one is neither better nor worse than another."""
    return [panel for panel in panels if not panel.get("error")]


def _ranks(panels: Sequence[Mapping[str, Any]], ranks: Mapping[Any, Any]) -> dict[str, int]:
    """method: rank, 1 the best, of the panels that were ranked."""
    methods = {str(index): panel["method"] for index, panel in enumerate(panels) if not panel.get("error")}
    if len(ranks) > len(panels):
        raise InputError(UNREADABLE)
    for index, rank in ranks.items():
        if index not in methods or type(rank) is not int or not 1 <= rank <= len(panels):
            raise InputError(UNREADABLE)
    return {methods[index]: rank for index, rank in ranks.items()}


def _words(panels: Sequence[Mapping[str, Any]], wrong: Sequence[Any]) -> list[dict[str, Any]]:
    """The ticked words, each once, in the order of the panels."""
    if len(wrong) > MOST_WORDS:
        raise InputError(f"A vote ticks {MOST_WORDS} words at most; leave some out.")
    spans: set[tuple[int, int, int]] = set()
    for word in wrong:
        index, start, end = _span(word)
        if not 0 <= index < len(panels) or not 0 <= start < end <= len(panels[index]["text"]):
            raise InputError(UNREADABLE)
        if panels[index].get("error"):
            raise InputError(UNREADABLE)
        spans.add((index, start, end))
    if any(one[0] == two[0] and two[1] < one[2] for one, two in itertools.pairwise(sorted(spans))):
        raise InputError(UNREADABLE)  # the page's words lie side by side
    return [
        {
            "method": panels[index]["method"],
            "start": start,
            "end": end,
            "text": panels[index]["text"][start:end],
        }
        for index, start, end in sorted(spans)
    ]


def _span(word: Any) -> tuple[int, int, int]:
    """(index of the panel, start, end) of a ticked word; True is no number. Raises InputError."""
    values = [word.get(key) for key in ("panel", "start", "end")] if isinstance(word, Mapping) else []
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(numbers) != 3:
        raise InputError(UNREADABLE)
    return numbers[0], numbers[1], numbers[2]


def shuffle(items: Sequence[Any], seed: int) -> list[Any]:
    """The items in the order of a seed: Fisher and Yates with mulberry32, as `ballot.js` draws it on the page."""
    items, state = list(items), seed
    for last in range(len(items) - 1, 0, -1):
        state = (state + 0x6D2B79F5) % SEEDS
        mixed = (state ^ state >> 15) * (state | 1) % SEEDS
        mixed ^= (mixed + (mixed ^ mixed >> 7) * (mixed | 61)) % SEEDS
        other = ((mixed ^ mixed >> 14) * (last + 1)) >> 32
        items[last], items[other] = items[other], items[last]
    return items


def outcomes(vote: Mapping[str, Any], methods: Sequence[str]) -> list[tuple[str, str, float]]:
    """A ranking as pairs: (method, other, 1 for a win, 0.5 for a tie); who has no rank is below who has one.

    Two methods without a rank were not compared. methods: those that answered.
    """
    ranks = vote["ranks"]
    pairs = []
    for index, one in enumerate(methods):
        for two in methods[index + 1 :]:
            if one not in ranks and two not in ranks:
                continue
            first, second = (ranks.get(method, math.inf) for method in (one, two))
            better, worse = (one, two) if first <= second else (two, one)
            pairs.append((better, worse, 0.5 if first == second else 1.0))
    return pairs
