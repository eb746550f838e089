"""Quality of a detector on annotated photos: presence of each object and overlap of boxes.

Presence is what verdicts rest on: a label counts as detected in a photo when its best score reaches the threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data.photos import read_photo
from halluapp.evaluation.annotations import read_record, read_samples
from halluapp.grounding.verdicts import OPERATING_POINT, box_iou
from halluapp.grounding.words import vocabulary

if TYPE_CHECKING:
    from halluapp.grounding.detectors.base import Detector

Box = Sequence[float]  # x0, y0, x1, y1 in 0..1
MATCH_IOU = 0.5  # intersection over union from which a human box counts as detected


@dataclass(frozen=True)
class Truth:
    """Names of objects that are present, that may be present (count neither way), and human boxes (name, box)."""

    present: frozenset[str]
    uncertain: frozenset[str]
    boxes: tuple[tuple[str, Box], ...]


@dataclass
class Counts:
    """Presence counts per label over photos, and the overlaps of human boxes with detections."""

    right: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    missed: Counter = field(default_factory=Counter)
    ious: list[float] = field(default_factory=list)
    boxes: int = 0


def truth_of(record: Mapping[str, Any]) -> Truth:
    """Certain and uncertain presence, by a record.

    With COCO `objects`: these are present, what only a caption names is uncertain, nothing else is there. Else what
    captions and human phrases name is present, what a model saw or a scene implies is uncertain. Boxes and presence of
    a kind count for the wider object too ("man" -> "person").
    """
    if "objects" in record:
        from halluapp.evaluation import chair

        present = frozenset(chair.coco_objects(record))
        named = chair.truth_of(record, "coco")
        boxes = tuple((name, tuple(box)) for name, *box in record.get("boxes", []))
        return Truth(present, frozenset(named - present), boxes)
    certain = read_record({**record, "detections": []})
    whole = read_record(dict(record))
    named_boxes = [(name, tuple(box)) for name, box in certain.boxes]
    named_boxes += [(wider, box) for name, box in named_boxes if (wider := vocabulary.parent(name))]
    present = frozenset(certain.present)
    return Truth(present, frozenset(whole.present | whole.possible) - present, tuple(dict.fromkeys(named_boxes)))


def checked_labels(detector: Detector, records: Iterable[Mapping]) -> tuple[str, ...]:
    """The detector's labels that the annotations speak about: COCO-80 names if any record has COCO objects."""
    coco = any("objects" in record for record in records)
    allowed = set(vocabulary.coco_names()) if coco else set(vocabulary.objects())
    return tuple(label for label in detector.labels if label in allowed)


def count(counts: Counts, detections: list[dict], truth: Truth, labels: Iterable[str], threshold: float) -> None:
    """Adds one photo: presence of each label, and the boxes of what is there."""
    detected: dict[str, list[Box]] = {}
    for detection in detections:
        if detection["score"] >= threshold:
            detected.setdefault(detection["label"], []).append(detection["box"])
    for label in labels:
        if label in truth.present:
            (counts.right if label in detected else counts.missed)[label] += 1
        elif label in detected and label not in truth.uncertain:
            counts.wrong[label] += 1
        human = [box for name, box in truth.boxes if name == label]
        counts.boxes += len(human)
        counts.ious += match(human, detected.get(label, []))


def match(human: Sequence[Box], detected: Sequence[Box]) -> list[float]:
    """Pairs boxes one to one, best overlap first -> the intersection over union of each pair that overlaps."""
    pairs = sorted(
        ((box_iou(one, two), i, j) for i, one in enumerate(human) for j, two in enumerate(detected)), reverse=True
    )
    used_human, used_detected, values = set(), set(), []
    for value, i, j in pairs:
        if value > 0 and i not in used_human and j not in used_detected:
            used_human.add(i)
            used_detected.add(j)
            values.append(value)
    return values


def scores(counts: Counts, labels: Iterable[str]) -> dict[str, Any]:
    """Counts -> {"precision", "recall", "f1", "mean_iou", "box_recall", "labels": {label: {...}}}; null: undefined.

    precision, recall: presence, all labels pooled. mean_iou: of human boxes with an overlapping box of the same label.
    box_recall: human boxes with a detection of the same label at an IoU of at least MATCH_IOU.
    """
    per_label = {
        label: {
            **_quality(counts.right[label], counts.wrong[label], counts.missed[label]),
            "photos": counts.right[label] + counts.missed[label],
            "found": counts.right[label] + counts.wrong[label],
        }
        for label in labels
    }
    whole = _quality(counts.right.total(), counts.wrong.total(), counts.missed.total())
    return {
        **whole,
        "mean_iou": _ratio(sum(counts.ious), len(counts.ious)),
        "box_recall": _ratio(sum(value >= MATCH_IOU for value in counts.ious), counts.boxes),
        "boxes": counts.boxes,
        "labels": {label: row for label, row in per_label.items() if row["photos"] or row["found"]},
    }


def _quality(right: int, wrong: int, missed: int) -> dict[str, float | None]:
    return {
        "precision": _ratio(right, right + wrong),
        "recall": _ratio(right, right + missed),
        "f1": _ratio(2 * right, 2 * right + wrong + missed),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def measure(
    detector: Detector,
    data: str | Path,
    pattern: str = "*",
    limit: int = 0,
    threshold: float = OPERATING_POINT,
) -> dict[str, Any]:
    """Runs a detector on annotated photos -> `scores`, with "detector", "data", "photos" and "threshold".

    data: folder (shards that match `pattern`, or loose files) or tar. limit: first photos only (0: all). Raises
    InputError if nothing can be read there.
    """
    samples, _ = read_samples(data, (), limit, pattern)
    labels, counts = checked_labels(detector, [sample.record for sample in samples]), Counts()
    for sample in samples:
        count(counts, detector.detect(read_photo(sample.jpeg)), truth_of(sample.record), labels, threshold)
    about = {"detector": detector.name, "data": Path(data).name, "photos": len(samples), "threshold": threshold}
    return {**about, **scores(counts, labels)}
