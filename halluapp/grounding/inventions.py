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


def expected_inventions(mentions: Iterable[Mapping[str, Any]]) -> Inventions | None:
    """Verdicts of one text (as `judge` gives them) -> Inventions; None where no probability is known.

    Things are told apart by the label they are checked as: "man" and "woman" are one question about people.
    """
    things = {
        mention["checked_as"]: mention["presence"]
        for mention in mentions
        if mention.get("presence") is not None and mention["verdict"] != NOT_CHECKABLE
    }
    if not things:
        return None
    expected = sum(1 - p for p in things.values())
    spread = 1.96 * math.sqrt(sum(p * (1 - p) for p in things.values()))
    return Inventions(expected, max(0.0, expected - spread), min(float(len(things)), expected + spread), len(things))
