"""Names that other label sets use (91-slot COCO, Objects365, Open Images, LVIS, Pascal VOC, ...) in our vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from halluapp.grounding.words import vocabulary

# What no rule finds: spellings, words run together, and names that mean something else in their set.
NAMES = {
    "diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv", "tv monitor": "tv",
    "trafficlight": "traffic light", "stopsign": "stop sign", "firehydrant": "fire hydrant", "teddybear": "teddy bear",
    "bakset": "basket", "leather shoes": "shoe", "skating and skiing shoes": "shoe", "footwear": "shoe",
    "skiboard": "skis", "soccer": "sports ball", "tennis": "sports ball", "table tennis": "sports ball",
    "hair dryer": "hair drier", "motor": "motorcycle", "person sitting": "person", "people": "person",
    "cellular telephone": "cell phone", "human": "person", "kitchen & dining room table": "dining table",
    "wild bird": "bird", "sailing boat": "boat", "racing car": "car", "cab": "car", "watercraft": "boat",
}  # fmt: skip
# Whole names whose last word would mislead.
OWN_NAMES = frozenset(
    {
        "gas stove", "computer box", "vehicle registration plate", "license plate", "machinery vehicle", "wine rack",
        "hair brush",
        "toilet paper", "paper towel", "table tennis paddle", "game board", "land vehicle", "cutting/chopping board",
        "human body", "human face", "head phone", "headphone", "headphones",
    }
)  # fmt: skip
# The 91 slots of COCO hold eleven names that its boxes never use; DETR and its kin list them all the same.
NEVER_IN_COCO = frozenset(
    {
        "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender",
        "hair brush",
    }
)  # fmt: skip


@cache
def vocabulary_name(label: str) -> str:
    """A detector's label in the names of our vocabulary; what the vocabulary lacks stays, in lower case.

    A label becomes the object that a text with the same words names ("Sneakers" -> shoe, "Monitor/TV" -> tv), so that
    detections and mentions meet.
    """
    plain = re.sub(r"\s*\([^)]*\)", "", label.lower().replace("_", " ").replace("-", " "))
    plain = " ".join(plain.split())
    if plain in NAMES or plain in OWN_NAMES:
        return NAMES.get(plain, plain)
    for part in (plain, *re.split(r"\s*[/,;|]\s*", plain)):
        name = NAMES.get(part) or _named(part)
        if name:
            return name
    return plain


def _named(words: str) -> str | None:
    """The object of a name: the name itself, a word for it, or the compound's head ("heavy truck")."""
    if words in vocabulary.objects():
        return words
    lexicon = {**vocabulary.words(), **vocabulary.phrases()}
    parts = words.split()
    for start in range(len(parts)):
        key = " ".join(parts[start:])
        if key in lexicon:
            return lexicon[key]
    return None


def never_annotated(label_set: Iterable[str]) -> frozenset[str]:
    """The labels of a detector's set, as spelled there, that its training data names but never marks.

    Their scores mean nothing: absence of "hat" in the 91-slot COCO set says nothing about hats, so such a label must
    neither ground nor contradict. Only a set with the COCO-80 names and some of the eleven unused ones has such labels.
    """
    labels = list(label_set)
    plain = {label: " ".join(label.lower().replace("_", " ").split()) for label in labels}
    spelled = set(plain.values())
    coco = sum(vocabulary_name(name) in vocabulary.coco_names() for name in spelled - NEVER_IN_COCO)
    if len(spelled) > 100 or coco < 80 or not spelled & NEVER_IN_COCO:
        return frozenset()
    return frozenset(label for label in labels if plain[label] in NEVER_IN_COCO)
