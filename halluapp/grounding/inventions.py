"""How many of the named things are expected not to be in the photo: what methods are ranked by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from halluapp.grounding.verdicts import NOT_CHECKABLE


@dataclass(frozen=True)
class Inventions:
    """expected: sum of 1 - p over the named things that are checked, each once. low, high: 95 % interval of the number
    of inventions, if every p is right and things are independent. named: how many things are checked.
    """

    expected: float
    low: float
    high: float
    named: int


@dataclass(frozen=True)
class Difference:
    """Expected inventions of one text minus those of another, with the 95 % interval of the difference of numbers."""

    value: float
    low: float
    high: float


def expected_inventions(mentions: Iterable[Mapping[str, Any]]) -> Inventions | None:
    """Verdicts of one text (as `judge` gives them) -> Inventions; None where no probability is known.

    Things are told apart by the label they are checked as: "man" and "woman" are one question about people.
    """
    things = _things(mentions)
    if not things:
        return None
    expected = sum(1 - p for p in things.values())
    spread = 1.96 * math.sqrt(sum(p * (1 - p) for p in things.values()))
    return Inventions(expected, max(0.0, expected - spread), min(float(len(things)), expected + spread), len(things))


def expected_difference(
    mentions: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]
) -> Difference | None:
    """Verdicts of two texts about one photo -> how many more things the first one is expected to invent.

    What both name is the same unknown and cancels. None where a text names nothing that is checked.
    """
    first, second = _things(mentions), _things(others)
    if not first or not second:
        return None
    apart = [(1, p) for name, p in first.items() if name not in second]
    apart += [(-1, p) for name, p in second.items() if name not in first]
    value = sum(side * (1 - p) for side, p in apart)
    spread = 1.96 * math.sqrt(sum(p * (1 - p) for _, p in apart))
    return Difference(value, value - spread, value + spread)


def _things(mentions: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Label that a thing is checked as -> P(in photo), of all things that are checked."""
    return {
        mention["checked_as"]: mention["presence"]
        for mention in mentions
        if mention.get("presence") is not None and mention["verdict"] != NOT_CHECKABLE
    }
