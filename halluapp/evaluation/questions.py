"""Balanced yes/no questions about objects in annotated photos, after POPE (Li et al. 2023, arXiv 2305.10355, Sec. 4).

For every photo as many absent objects as present ones are asked for, and the absent ones are drawn in three ways:
random (any), popular (the most frequent of the set) and adversarial (what most often goes with what is there).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from halluapp.evaluation.chair import Vocabulary, truth_of
from halluapp.grounding.words import vocabulary as names

Split = Literal["random", "popular", "adversarial"]
SPLITS: tuple[Split, ...] = ("random", "popular", "adversarial")
COMMON = 15  # photos of the set that must show an object before it is asked for, in the wide vocabulary
MASS = frozenset("water sand snow ice grass mud food bread cheese hair sky fire broccoli luggage".split())
# Captions leave these out even where they are plain to see, so an annotation by captions cannot tell their absence.
BACKGROUND = frozenset(
    "sky cloud tree leaf bush branch grass field wall floor window door building hair water sand rock shirt".split()
)
WORN = frozenset(
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
class Known:
    """What is certain about one photo: objects that are there, and objects that are not."""

    present: frozenset[str]
    absent: frozenset[str]


def wording(name: str) -> str:
    """ "Is there a/an X in the image?", with the article that the noun takes, if any."""
    if name in MASS:
        return f"Is there {name} in the image?"
    if names.plural(name) == name and name not in ("sheep", "fish"):
        return f"Are there {name} in the image?"
    return f"Is there {'an' if name[0] in 'aeiou' else 'a'} {name} in the image?"


def what_is_known(records: Sequence[Mapping], vocabulary: Vocabulary) -> list[Known]:
    """Certain presence and absence for every record.

    "coco": annotated categories are present; absent is what neither annotations nor captions name. "wide": present is
    what captions or phrases name, for names that at least COMMON photos show; what may be there is left out of both.
    """
    if vocabulary == "coco":
        every = frozenset(names.coco_names())
        return [Known(frozenset(r.get("objects", [])) & every, every - truth_of(r, "coco")) for r in records]
    from halluapp.evaluation import annotations as presence

    present = [truth_of(record, "wide") for record in records]
    possible = [presence.of_record(dict(record)) for record in records]
    count = Counter(name for there in present for name in there)
    common = frozenset(name for name, photos in count.items() if photos >= COMMON)
    return [
        Known(common & there, common - there - maybe.present - maybe.possible - _unsaid(there))
        for there, maybe in zip(present, possible, strict=True)
    ]


def _unsaid(there: set[str]) -> frozenset[str]:
    return BACKGROUND | WORN if "person" in there else BACKGROUND


def build(
    records: Sequence[Mapping], vocabulary: Vocabulary = "coco", per_photo: int = 3, seed: int = 0
) -> list[Question]:
    """Questions of all splits, photo by photo, equally many "yes" and "no" in each split of each photo.

    per_photo: most present objects asked for in a photo; fewer where less is known. The same seed gives the same
    questions. Raises ValueError if per_photo is below 1.
    """
    if per_photo < 1:
        raise ValueError(f"per_photo must be at least 1, got {per_photo}")
    known = what_is_known(records, vocabulary)
    frequency = Counter(name for photo in known for name in photo.present)
    together = _together(known)
    made: list[Question] = []
    for number, photo in enumerate(known):
        rng = random.Random(f"{seed}/{number}")
        count = min(per_photo, len(photo.present), len(photo.absent))
        positives = rng.sample(sorted(photo.present), count)
        for split in SPLITS:
            negatives = _negatives(split, photo, positives, frequency, together, rng)
            for positive, negative in zip(positives, negatives, strict=True):
                made.append(Question(number, positive, "yes", split, wording(positive)))
                made.append(Question(number, negative, "no", split, wording(negative)))
    return made


def _together(known: Sequence[Known]) -> dict[str, Counter]:
    """How many photos show two objects together."""
    pairs: dict[str, Counter] = {}
    for photo in known:
        for name in photo.present:
            pairs.setdefault(name, Counter()).update(photo.present - {name})
    return pairs


def _negatives(
    split: Split,
    photo: Known,
    positives: Sequence[str],
    frequency: Counter,
    together: Mapping[str, Counter],
    rng: random.Random,
) -> list[str]:
    """As many absent objects as positives; ties are broken by frequency, then by name."""
    if split == "random":
        return rng.sample(sorted(photo.absent), len(positives))
    left = sorted(photo.absent, key=lambda name: (-frequency[name], name))
    if split == "popular":
        return left[: len(positives)]
    chosen = []
    for positive in positives:  # the absent object that most often goes with this one
        best = max(left, key=lambda name: together[positive][name])
        left.remove(best)
        chosen.append(best)
    return chosen
