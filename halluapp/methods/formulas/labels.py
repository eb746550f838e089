"""Closed label sets that a prompt asks for: yes/no and multiple choice."""

from __future__ import annotations

import re
from dataclasses import dataclass

AUXILIARY = re.compile(
    r"^\s*(is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|isn't|aren't|doesn't)\b.*\?",
    re.I | re.S,
)
EXPLICIT = re.compile(r"\byes\s*(or|/)\s*no\b", re.I)
OPTION = re.compile(r"(?:^|[\s(])([A-H])[.):]\s*\S")
OPEN = re.compile(r"\b(describe|explain|or)\b", re.I)


@dataclass(frozen=True)
class Labels:
    """The labels of a prompt and, for each, the surface forms an answer may begin with."""

    names: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...]


YES_NO = Labels(("yes", "no"), (("Yes", "yes", "YES"), ("No", "no", "NO")))


def find_labels(prompt: str) -> Labels | None:
    """The label set that a prompt asks for; None for an open prompt.

    Multiple choice: at least two options "A." "B." in order. Yes/no: the prompt says "yes or no", or is a question
    that begins with an auxiliary verb and offers no alternative ("is it red or blue?" is open).
    """
    options = list(dict.fromkeys(OPTION.findall(prompt)))
    if len(options) >= 2 and options == [chr(ord("A") + index) for index in range(len(options))]:
        return Labels(tuple(options), tuple((option,) for option in options))
    if EXPLICIT.search(prompt) or (AUXILIARY.search(prompt) and not OPEN.search(prompt)):
        return YES_NO
    return None
