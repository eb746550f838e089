"""Balanced yes/no questions about objects in annotated photos, after POPE (Li et al. 2023, arXiv 2305.10355, Sec. 4).

Every photo gets as many questions about absent objects as about present ones. Absent objects are drawn in three ways:
random (any), popular (the most frequent of the set) and adversarial (the most frequent beside the present ones).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from halluapp.data.wording import article
from halluapp.evaluation.annotations import read_record
from halluapp.evaluation.chair import Vocabulary, coco_objects, truth_of
from halluapp.grounding.words import vocabulary as object_names

Split = Literal["random", "popular", "adversarial"]
SPLITS: tuple[Split, ...] = ("random", "popular", "adversarial")
COMMON = 15  # least number of photos that show an object of the wide vocabulary before questions name it
MASS = frozenset("water sand snow ice grass mud food bread cheese hair sky fire broccoli luggage".split())
# Captions leave these out even where they are plain to see, so an annotation by captions cannot tell their absence.
BACKGROUND = frozenset(
    "sky cloud tree leaf bush branch grass field wall floor window door building hair water sand rock shirt".split()
)
CLOTHING = frozenset(
    "jacket sweater vest dress skirt pants jeans shorts suit uniform costume swimsuit hat scarf glove shoe sock "
    "sunglasses glasses necklace beard tie".split()
)


@dataclass(frozen=True)
class Question:
    """One question about photo number `photo`. Positives are the same in all splits."""

    photo: int
    object: str
    label: Literal["yes", "no"]
    split: Split
    text: str


@dataclass(frozen=True)
class ObjectTruth:
    """Names of objects that one photo certainly shows, and that it certainly does not show."""

    present: frozenset[str]
    absent: frozenset[str]


def wording(name: str) -> str:
    """ "Is there a/an X in the image?", with the article that the noun takes, if any."""
    if name in MASS:
        return f"Is there {name} in the image?"
    if object_names.plural(name) == name and name not in ("sheep", "fish"):
        return f"Are there {name} in the image?"
    return f"Is there {article(name)} {name} in the image?"


def object_truths(records: Sequence[Mapping], vocabulary: Vocabulary) -> list[ObjectTruth]:
    """Certain presence and absence for every record.

    "coco": annotated categories are present; absent is what neither annotations nor captions name. "wide": present is
    what captions or phrases name, for names that at least COMMON photos show; what may be present is in neither.
    """
    if vocabulary == "coco":
        all_names = frozenset(object_names.coco_names())
        return [ObjectTruth(frozenset(coco_objects(r)), all_names - truth_of(r, "coco")) for r in records]
    present = [truth_of(record, "wide") for record in records]
    records_objects = [read_record(dict(record)) for record in records]
    count = Counter(name for present_names in present for name in present_names)
    common = frozenset(name for name, photos in count.items() if photos >= COMMON)
    return [
        ObjectTruth(
            common & present_names,
            common - present_names - objects.present - objects.possible - _rarely_mentioned(present_names),
        )
        for present_names, objects in zip(present, records_objects, strict=True)
    ]


def _rarely_mentioned(present_names: set[str]) -> frozenset[str]:
    return BACKGROUND | CLOTHING if "person" in present_names else BACKGROUND


def build(
    records: Sequence[Mapping], vocabulary: Vocabulary = "coco", per_photo: int = 3, seed: int = 0
) -> list[Question]:
    """Questions of all splits, photo by photo, equally many "yes" and "no" in each split of each photo.

    per_photo: most present objects in the questions of a photo; fewer where the annotations decide fewer. The same
    seed gives the same questions. Raises ValueError if per_photo is below 1.
    """
    if per_photo < 1:
        raise ValueError(f"per_photo must be at least 1, got {per_photo}")
    truths = object_truths(records, vocabulary)
    frequency = Counter(name for photo in truths for name in photo.present)
    together = _together(truths)
    questions: list[Question] = []
    for number, photo in enumerate(truths):
        rng = random.Random(f"{seed}/{number}")
        count = min(per_photo, len(photo.present), len(photo.absent))
        positives = rng.sample(sorted(photo.present), count)
        for split in SPLITS:
            negatives = _negatives(split, photo, positives, frequency, together, rng)
            for positive, negative in zip(positives, negatives, strict=True):
                questions.append(Question(number, positive, "yes", split, wording(positive)))
                questions.append(Question(number, negative, "no", split, wording(negative)))
    return questions


def _together(truths: Sequence[ObjectTruth]) -> dict[str, Counter]:
    """How many photos show two objects together."""
    pairs: dict[str, Counter] = {}
    for photo in truths:
        for name in photo.present:
            pairs.setdefault(name, Counter()).update(photo.present - {name})
    return pairs


def _negatives(
    split: Split,
    photo: ObjectTruth,
    positives: Sequence[str],
    frequency: Counter,
    together: Mapping[str, Counter],
    rng: random.Random,
) -> list[str]:
    """As many absent objects as positives; ties are broken by frequency, then by name."""
    if split == "random":
        return rng.sample(sorted(photo.absent), len(positives))
    candidates = sorted(photo.absent, key=lambda name: (-frequency[name], name))
    if split == "popular":
        return candidates[: len(positives)]
    chosen = []
    for positive in positives:  # the absent object that most often goes with this one
        best = max(candidates, key=lambda name: together[positive][name])
        candidates.remove(best)
        chosen.append(best)
    return chosen
