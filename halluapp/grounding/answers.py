"""Judges one-word answers: "Is there a dog?" "Yes." is right, wrong or unsure by P(dog in photo); choices likewise."""

from __future__ import annotations

import re
from typing import Any

from halluapp.grounding.evidence import SURE, Evidence
from halluapp.grounding.words.mentions import find_mentions

RIGHT, WRONG, UNSURE = "right", "wrong", "unsure"
# Only a question for mere existence has presence as its answer: "Is the dog brown?" has not.
_EXISTS = re.compile(
    r"^\s*(?:is|are)\s+there\s+(?:a|an|any|some|one|two|the)?\s*(?P<thing>[\w\s-]+?)"
    r"(?:\s+(?:in|on|at|visible|present|shown|here|anywhere)\b[^?]*)?\?"
    r"|^\s*(?:do|can|could)\s+you\s+see\s+(?:a|an|any|some|the)?\s*(?P<seen>[\w\s-]+?)"
    r"(?:\s+(?:in|on|at|here)\b[^?]*)?\?"
    r"|^\s*does\s+(?:the|this)\s+(?:image|photo|picture)\s+(?:show|contain|have)\s+(?:a|an|any|some)?\s*"
    r"(?P<shown>[\w\s-]+?)\?",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"^\W*(yes|no)\b", re.IGNORECASE)
_OPTION = re.compile(r"(?:^|[\s(])([A-F])[.):]\s*([^\n]+?)(?=\s*[\n;,]?\s*(?:[\s(])[A-F][.):]|\s*$)", re.MULTILINE)
_LETTER = re.compile(r"^\W*([A-F])\b(?:[.):]|\s*$)")
_WHICH = re.compile(r"\b(?:which|what)\b.*\b(?:in|on|shown|visible|see|contain|appear)", re.IGNORECASE | re.DOTALL)


def judge_answer(prompt: str, answer: str, evidence: Evidence, sure: float = SURE) -> dict[str, Any] | None:
    """-> {"answer", "object", "presence", "verdict", "reason"}; None where the prompt does not ask what the photo
    shows, the answer is none of its labels, or no calibrated label answers for the object.
    """
    claim = _existence(prompt, answer) or _choice(prompt, answer)
    if claim is None:
        return None
    label, name, claims = claim
    presence = evidence.probability(name)
    if presence is None:
        return None
    p, by = presence
    ground, contradict = evidence.cuts_at(sure)
    may_ground, may_contradict = evidence.may(by)
    present = True if may_ground and p >= ground else False if may_contradict and p <= contradict else None
    verdict = UNSURE if present is None else RIGHT if present is claims else WRONG
    return {"answer": label, "object": name, "presence": p, "verdict": verdict, "reason": f"p({by} in photo) = {p:.2f}"}


def _existence(prompt: str, answer: str) -> tuple[str, str, bool] | None:
    """(answer as said, object, whether the answer claims that it is there) of a question like "Is there a dog?"."""
    question, reply = _EXISTS.search(prompt), _YES_NO.match(answer)
    if not question or not reply:
        return None
    things = find_mentions(next(part for part in question.groups() if part))
    if len(things) != 1:
        return None
    return reply[1].capitalize(), things[0].object, reply[1].lower() == "yes"


def _choice(prompt: str, answer: str) -> tuple[str, str, bool] | None:
    """(letter, the one object of that option, True) of a question with lettered options about what is in the photo."""
    reply = _LETTER.match(answer)
    options = {letter: find_mentions(text) for letter, text in _OPTION.findall(prompt)}
    if not reply or len(options) < 2 or not _WHICH.search(prompt) or len(options.get(reply[1], ())) != 1:
        return None
    return reply[1], options[reply[1]][0].object, True
