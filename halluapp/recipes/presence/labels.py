"""What is known about a training photo: which of the labels it shows, which it lacks, how sure that is, and boxes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import ANIMALS, find_mentions
from halluapp.recipes.pocket.crops import crop_box

LABELS = vocabulary.coco_names()
NUMBER = {label: number for number, label in enumerate(LABELS)}
WEAK = 0.7  # weight of what a model or a caption says, against 1 for complete human labels
UNSURE = 0.3  # weight of an absence where small things were not labelled
LEFT = 0.4  # share of a box that a view must show for the label to be there; below, nobody knows


@dataclass
class Annotation:
    """present [K] in 0..1, weight [K] of each, boxes (label number, box), boxed [K]: all of the label have a box."""

    present: np.ndarray
    weight: np.ndarray
    boxes: list[tuple[int, list[float]]]
    boxed: np.ndarray


def _blank() -> Annotation:
    return Annotation(*(np.zeros(len(LABELS), np.float32) for _ in range(2)), [], np.zeros(len(LABELS), np.float32))


def complete(record: dict) -> Annotation:
    """A record whose `complete_labels` were annotated: what is not in `objects` is absent."""
    annotation = _blank()
    for label in record["complete_labels"]:
        annotation.weight[NUMBER[label]] = annotation.boxed[NUMBER[label]] = 1
    for label in record["objects"]:
        if label in NUMBER:
            annotation.present[NUMBER[label]] = annotation.weight[NUMBER[label]] = 1
    annotation.boxes = [
        (NUMBER[label], [float(side) for side in box]) for label, *box in record.get("boxes", []) if label in NUMBER
    ]
    return annotation


@cache
def exact(path: Path) -> dict[str, dict]:
    """The complete labels of some visual7w photos, by key; {} where the file is missing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def weak(record: dict, p: np.ndarray | None) -> Annotation:
    """A record of captions, phrases, questions and a teacher's `detections`; p [K]: what an earlier head says.

    Present: named by people, the teacher at 0.5, or both models agree. Absent: unnamed, and both models say so. The
    rest is left out. A teacher's animals do not count where people named what they saw: it takes dogs for horses.
    """
    annotation, named = _blank(), named_by_people(record)
    p = np.zeros(len(LABELS)) if p is None else p
    teacher = np.zeros(len(LABELS))
    human = bool(record.get("entities"))
    for label, score, *box in record.get("detections", []):
        number = NUMBER[label]
        if human and label in ANIMALS and label not in named:
            score = min(score, 0.3)
        teacher[number] = max(teacher[number], score)
        if score >= 0.5 or (score >= 0.3 and p[number] >= 0.4):
            annotation.boxes.append((number, [float(side) for side in box]))
    for number, label in enumerate(LABELS):
        there = label in named or teacher[number] >= 0.5 or (teacher[number] >= 0.3 and p[number] >= 0.4)
        gone = not there and teacher[number] < 0.2 and p[number] < 0.2
        annotation.present[number], annotation.weight[number] = float(there), WEAK * (there or gone)
        annotation.boxed[number] = WEAK * gone
    for label, box in _phrase_boxes(record):
        annotation.boxes.append((NUMBER[label], box))
    return annotation


def partly(record: dict, p: np.ndarray) -> Annotation:
    """A photo of which only some names were labelled: these as they are, and gone what an earlier head is sure about.

    Of a label that was labelled and not found, small things may still be there: it weighs less.
    """
    annotation = _blank()
    gone = p < 0.1
    annotation.weight[gone] = annotation.boxed[gone] = UNSURE
    for label in record.get("complete_labels", ()):
        annotation.weight[NUMBER[label]] = annotation.boxed[NUMBER[label]] = WEAK if label == "person" else UNSURE
    for label in set(record["objects"]) & set(NUMBER):
        annotation.present[NUMBER[label]], annotation.weight[NUMBER[label]] = 1, 1
        annotation.boxed[NUMBER[label]] = 0
    annotation.boxes = [
        (NUMBER[label], [float(side) for side in box]) for label, *box in record.get("boxes", []) if label in NUMBER
    ]
    return annotation


def named_by_people(record: dict) -> set[str]:
    """The labels that captions, phrases, questions and answers name; man and woman are persons."""
    texts = list(record.get("captions", []))
    texts += [phrase for entity in record.get("entities", []) for phrase in entity["phrases"]]
    # "When was the picture taken?" does not mean that a picture is in the photo.
    texts += [re.sub(r"\b(picture|photo)\b", "", f"{qa['question']} {qa['answer']}") for qa in record.get("qa", [])]
    return {label for text in texts for mention in find_mentions(text) if (label := label_of(mention.object))}


def label_of(name: str) -> str | None:
    """The label under which an object is checked: its own, or the wider one ("man": person)."""
    return name if name in NUMBER else wider if (wider := vocabulary.parent(name)) in NUMBER else None


def _phrase_boxes(record: dict):
    for entity in record.get("entities", []):
        labels = {label_of(m[-1].object) for phrase in entity["phrases"] if (m := find_mentions(phrase))} - {None}
        if len(labels) == 1 and entity["type"] != "notvisual":
            yield from ((next(iter(labels)), [float(side) for side in box]) for box in entity["boxes"])


def seen_in(annotation: Annotation, crop: list[float]) -> Annotation:
    """What is known about a view. A label of whose boxes too little is left, or without boxes, is unknown there."""
    if list(crop) == [0, 0, 1, 1, 0]:
        return annotation
    boxes = [(number, box) for number, whole in annotation.boxes if (box := crop_box(whole, list(crop)))]
    left = {number for number, _ in boxes}
    weight, boxed, present = annotation.weight.copy(), annotation.boxed.copy(), annotation.present.copy()
    for number in np.flatnonzero(annotation.present):
        if number not in left:
            weight[number] = boxed[number] = 0
    return Annotation(present, weight, boxes, boxed)
