"""Judges what a text names against what a detector found: grounded, contradicted or not checkable, with a reason.

Pure functions over plain data: the threshold can be moved and the verdicts computed again without any model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import Mention, find_mentions

GROUNDED, CONTRADICTED, NOT_CHECKABLE = "grounded", "contradicted", "not checkable"
OPERATING_POINT = 0.5  # detectors scale their scores so that this is where each label is best decided
SAME_BOX = 0.6  # two labels of one thing ("man", "person"), as intersection over union

_NOT = r"(?:no|not|without|never|neither|nor|cannot|\w+n['’]t|lack of|lacks|lacking|free of|devoid of|absence of)"
# Up to four words may stand between; a preposition or a conjunction starts something that is not denied.
_STOP = (
    r"(?:in|on|at|by|near|with|from|for|behind|under|but|and|while|only|just|longer|far|because|that|who|which|as|to)"
)
_DENIED = re.compile(rf"\b{_NOT}(?:\s+(?!{_STOP}\b)[\w'’-]+){{0,4}}\s+$", re.IGNORECASE)
_DENIED_LIST = re.compile(r"^\s*(?:,|(?:,\s*)?(?:or|nor)\b)\s*(?:any\s+|other\s+)*(?:[\w-]+\s+)?$", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(?:a|an|the|one|two|his|her|its|their)\s", re.IGNORECASE)
_ABSENT = re.compile(
    r"^\s+(?:(?:is|are|was|were)(?:n['’]t|\s+not)\s+(?:\w+\s+)?(?:visible|present|there|shown|seen|in\s+the)"
    r"|(?:is|are)\s+(?:absent|missing))\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"\b(?:a|an|another|one|other|second|third)\s+(?:[\w-]+\s+){0,2}$", re.IGNORECASE)


def judge_text(
    text: str, detections: list[dict], labels: tuple[str, ...], threshold: float | None = None
) -> list[dict[str, Any]]:
    """Finds the mentions of a text and judges them; see `judge`."""
    return judge(find_mentions(text), detections, labels, threshold, text)


def judge(
    mentions: Sequence[Mention],
    detections: list[dict],
    labels: tuple[str, ...],
    threshold: float | None = None,
    text: str = "",
) -> list[dict[str, Any]]:
    """Verdicts on mentions -> [{"text", "start", "end", "object", "verdict", "box", "score", "label", "reason"}].

    detections: [{"label", "score", "box": [x0, y0, x1, y1 in 0..1]}]. labels: what the detector can find and is
    reliable for; nothing else is ever contradicted. threshold: least score that grounds (default 0.5). text: where the
    mentions stand; without it denials ("no dog") and repeated naming ("another dog") are not seen.
    grounded: box, score and label of the backing detection. contradicted: score and label of the best one below the
    threshold, if any. A score at the threshold grounds.
    """
    least = OPERATING_POINT if threshold is None else threshold
    absent = _denied(mentions, text)
    taken: dict[str, int] = {}
    verdicts = []
    for mention, denied in zip(mentions, absent, strict=True):
        base = {"text": mention.text, "start": mention.start, "end": mention.end, "object": mention.object}
        known = [label for label in labels if vocabulary.same_or_kind(label, mention.object)]
        if denied:
            found = _nothing(NOT_CHECKABLE, "the text says it is absent")
        elif not known:
            found = _nothing(NOT_CHECKABLE, f"the detector does not check for {mention.object}")
        else:
            found = _look(mention, detections, known, least, text, taken)
        verdicts.append({**base, **found})
    return verdicts


def _nothing(verdict: str, reason: str) -> dict[str, Any]:
    return {"verdict": verdict, "box": None, "score": None, "label": None, "reason": reason}


def _look(
    mention: Mention, detections: list[dict], known: list[str], least: float, text: str, taken: dict[str, int]
) -> dict[str, Any]:
    """Verdict on a mention that the detector knows. `taken`: which box each object was given last."""
    name = mention.object
    as_kind = "" if name in known else f", checked as {known[0]}"
    own = sorted((d for d in detections if d["label"] in known), key=lambda d: (d["label"] != name, -d["score"]))
    backing = _different([d for d in own if d["score"] >= least])
    if not backing:
        best = max(own, key=lambda d: d["score"], default=None)
        result = _nothing(CONTRADICTED, f"no {name} found{as_kind}")
        if best is None:
            return result
        reason = f"no {name} found{as_kind}: the best score is {best['score']:.2f}, below {least:.2f}"
        return {**result, "score": best["score"], "label": best["label"], "reason": reason}
    if name in taken and _ANOTHER.search(text[: mention.start]):
        taken[name] += 1
    place = min(taken.setdefault(name, 0), len(backing) - 1)
    box = backing[place]
    boxes = "one box" if len(backing) == 1 else f"{len(backing)} boxes"
    if name in known and box["label"] != name:  # only the wider object, or a kind of it, was found
        as_kind = f", {name} itself was not"
    reason = f"{box['label']} found with score {box['score']:.2f} ({boxes}){as_kind}"
    return {
        "verdict": GROUNDED,
        "box": list(box["box"]),
        "score": box["score"],
        "label": box["label"],
        "reason": reason,
    }


def _different(detections: list[dict]) -> list[dict]:
    """Without the boxes that show the same thing under another label ("man" and "person")."""
    kept: list[dict] = []
    for found in detections:
        if not any(found["label"] != k["label"] and box_iou(found["box"], k["box"]) > SAME_BOX for k in kept):
            kept.append(found)
    return kept


def _denied(mentions: Sequence[Mention], text: str) -> list[bool]:
    """For each mention, whether the text says that it is not there."""
    denied: list[bool] = []
    for index, mention in enumerate(mentions):
        before, after = text[: mention.start], text[mention.end :]
        result = bool(_DENIED.search(before) or _ABSENT.search(after))
        if not result and index and denied[-1]:  # "no people, cars or dogs"
            between = text[mentions[index - 1].end : mention.start]
            result = bool(_DENIED_LIST.search(between)) and not _ARTICLE.search(between)
        denied.append(result)
    return denied


def box_iou(one: Sequence[float], two: Sequence[float]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1; 0 for boxes without area."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return width * height / (sum(areas) - width * height)
