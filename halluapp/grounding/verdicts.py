"""Judges what a text names against what is known of the photo: grounded, contradicted, not sure or not checkable.

Pure functions over plain data: how sure a verdict must be can be changed and judged again without any model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from halluapp.grounding.evidence import PERSON, SURE, Evidence
from halluapp.grounding.words.denial import denial_reasons
from halluapp.grounding.words.mentions import Mention, find_mentions
from halluapp.grounding.words.nouns import other_nouns

GROUNDED, CONTRADICTED, NOT_SURE, NOT_CHECKABLE = VERDICTS = ("grounded", "contradicted", "not sure", "not checkable")
OPERATING_POINT = 0.5  # detectors scale their scores so that this is where each label is best decided
SAME_BOX = 0.6  # two labels of one thing ("man", "person"), as intersection over union
LEAST_BOX = 0.2  # of a box's own score: below it a box does not show where a thing is

_ANOTHER = re.compile(r"\b(?:a|an|another|one|other|second|third)\s+(?:[\w-]+\s+){0,2}$", re.IGNORECASE)
_COUNT = re.compile(r"\b(two|three|four|five|six|[2-6])\s+(?:[\w-]+\s+){0,2}$", re.IGNORECASE)
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def judge_text(
    text: str,
    detections: Sequence[Mapping[str, Any]] | Evidence,
    labels: Sequence[str] = (),
    threshold: float | None = None,
    sure: float = SURE,
) -> list[dict[str, Any]]:
    """Finds the mentions of a text, nouns outside the vocabulary included, and judges them; see `judge`.

    detections: boxes with the `labels` that were looked for, or an Evidence.
    threshold: least score of a box that grounds, for boxes without calibrated probabilities (default: by `sure`).
    """
    evidence = detections if isinstance(detections, Evidence) else Evidence(tuple(detections), tuple(labels))
    mentions = find_mentions(text)
    mentions = sorted([*mentions, *other_nouns(text, mentions)], key=lambda mention: mention.start)
    return judge(mentions, evidence, sure, text, threshold)


def judge(
    mentions: Sequence[Mention],
    evidence: Evidence,
    sure: float = SURE,
    text: str = "",
    threshold: float | None = None,
) -> list[dict[str, Any]]:
    """Verdicts on mentions -> [{"text", "start", "end", "object", "verdict", "box", "score", "label", "presence",
    "checked_as", "reason"}].

    sure: how sure a verdict must be, 0.5 to 1. threshold: the score that a box needs where the evidence is not
    calibrated (default: 0.5 at the default sureness). text: where the mentions stand; without it denials ("no dog"),
    repeated naming ("another dog") and counts are not seen. presence: P(checked_as in photo) or None. box, score,
    label: the box that shows it, if any.
    """
    least = evidence.score_at(sure) if threshold is None else threshold
    last_boxes: dict[str, int] = {}
    verdicts = []
    for mention, denial in zip(mentions, denial_reasons(mentions, text), strict=True):
        base = {"text": mention.text, "start": mention.start, "end": mention.end, "object": mention.object}
        if denial:
            verdict = _verdict(NOT_CHECKABLE, denial)
        elif not evidence.labels_for(mention.object):
            verdict = _verdict(NOT_CHECKABLE, f"the detector does not check for {mention.object}")
        elif (presence := evidence.probability(mention.object)) is not None:
            verdict = _by_presence(mention, evidence, presence, sure, text, last_boxes)
        else:
            verdict = _by_score(mention, evidence, least, text, last_boxes)
        verdicts.append({**base, **verdict})
    return verdicts


def _verdict(
    verdict: str,
    reason: str,
    box: Mapping[str, Any] | None = None,
    presence: float | None = None,
    checked_as: str | None = None,
) -> dict[str, Any]:
    box = box or {"box": None, "score": None, "label": None}
    return {
        "verdict": verdict,
        "box": list(box["box"]) if box["box"] is not None else None,
        "score": box["score"],
        "label": box["label"],
        "presence": presence,
        "checked_as": checked_as,
        "reason": reason,
    }


def _by_presence(
    mention: Mention,
    evidence: Evidence,
    presence: tuple[float, str],
    sure: float,
    text: str,
    last_boxes: dict[str, int],
) -> dict[str, Any]:
    """Verdict by the calibrated probability that the object is in the photo; the best box says where."""
    p, label = presence
    ground, contradict = evidence.cuts_at(sure)
    may_ground, may_contradict = evidence.may(label)
    boxes = _boxes(mention, evidence, LEAST_BOX)
    says = f"p({label} in photo) {_probability_text(p)}" + _unchecked(mention, label)
    if may_ground and p >= ground:
        box = _own_box(mention, boxes, text, last_boxes)
        return _verdict(GROUNDED, says + _count_note(mention, boxes, text), box, p, label)
    if may_contradict and p <= contradict:
        return _verdict(CONTRADICTED, says, None, p, label)
    if not (may_ground if p >= 0.5 else may_contradict):
        thing, act = "people" if label == PERSON else label, "confirmed" if p >= 0.5 else "ruled out"
        says += f"; {thing} cannot be {act} reliably"
    return _verdict(NOT_SURE, says, _own_box(mention, boxes, text, last_boxes) if p >= 0.5 else None, p, label)


def _probability_text(p: float) -> str:
    """A probability in two digits that never claims certainty."""
    return "> .99" if p > 0.99 else "< .01" if p < 0.01 else f"= {p:.2f}".replace("= 0.", "= .")


def _unchecked(mention: Mention, label: str) -> str:
    """What the label leaves open: "man" is checked as a person, the word itself is not."""
    if mention.object == label:
        return ""
    return f", checked as {label}; whether the word {mention.object} is right is not checked"


def _by_score(
    mention: Mention, evidence: Evidence, least: float, text: str, last_boxes: dict[str, int]
) -> dict[str, Any]:
    """Verdict by the best box's score, for a detector that gives no calibrated probabilities."""
    name, labels = mention.object, evidence.labels_for(mention.object)
    as_kind = "" if name in labels else f", checked as {labels[0]}"
    boxes = _boxes(mention, evidence, least)
    if not boxes:
        best = max(_boxes(mention, evidence, 0.0), key=lambda d: d["score"], default=None)
        below = f": the best score is {best['score']:.2f}, below {least:.2f}" if best else ""
        score = {"box": None, "score": best["score"], "label": best["label"]} if best else None
        return _verdict(CONTRADICTED, f"no {name} found{as_kind}{below}", score)
    box = boxes[_box_index(mention, boxes, text, last_boxes)]
    count = "one box" if len(boxes) == 1 else f"{len(boxes)} boxes"
    if name in labels and box["label"] != name:  # only the wider object, or a kind of it, was found
        as_kind = f", {name} itself was not"
    return _verdict(GROUNDED, f"{box['label']} found with score {box['score']:.2f} ({count}){as_kind}", box)


def _boxes(mention: Mention, evidence: Evidence, least: float) -> list[Mapping[str, Any]]:
    """The boxes that can show a mention, its own label first, one for each thing ("man" and "person" are one)."""
    labels = set(evidence.labels_for(mention.object))
    boxes = [d for d in evidence.detections if d["label"] in labels and d["score"] >= least]
    boxes.sort(key=lambda d: (d["label"] != mention.object, -d["score"]))
    things: list[Mapping[str, Any]] = []
    for box in boxes:
        if not any(box["label"] != t["label"] and box_iou(box["box"], t["box"]) > SAME_BOX for t in things):
            things.append(box)
    return things


def _own_box(
    mention: Mention, boxes: list[Mapping[str, Any]], text: str, last_boxes: dict[str, int]
) -> Mapping[str, Any] | None:
    """The box of this naming of an object, if there is any."""
    return boxes[_box_index(mention, boxes, text, last_boxes)] if boxes else None


def _box_index(mention: Mention, boxes: list[Mapping[str, Any]], text: str, last_boxes: dict[str, int]) -> int:
    """Which of the boxes: the first, or for "another dog" the next. last_boxes: the last index, by object."""
    name = mention.object
    if name in last_boxes and _ANOTHER.search(text[: mention.start]):
        last_boxes[name] += 1
    return min(last_boxes.setdefault(name, 0), len(boxes) - 1)


def _count_note(mention: Mention, boxes: list[Mapping[str, Any]], text: str) -> str:
    """A soft note where the text counts and the boxes say another number; it never changes a verdict."""
    match = _COUNT.search(text[: mention.start])
    if not match:
        return ""
    count = _NUMBERS.get(match[1].lower()) or int(match[1])
    sure = [box for box in boxes if box["score"] >= OPERATING_POINT]
    return f"; the text counts {count}, {len(sure) or 'no'} clear box{'es' * (len(sure) != 1)} found" * (
        len(sure) != count
    )


def box_iou(one: Sequence[float], two: Sequence[float]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1; 0 for boxes without area."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)) - width * height
    return width * height / union if union > 0 else 0.0
