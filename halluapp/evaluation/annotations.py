"""Objects of a photo by its record: certain, possible, with boxes and with the phrases that name them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from halluapp.data import records
from halluapp.data.shards import LeftOut, Sample
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import ANIMALS, find_mentions

# A teacher's detection counts from this score on. Where people named what they saw, none of its animals do: it takes
# many dogs of Flickr8k for horses. Elsewhere descriptions also name what it is less sure of: a lack costs more there.
CERTAIN = 0.4
# Where one is present, the absence of another cannot be told from an annotation that names only some things.
NEIGHBOURS = (
    {"grass", "field", "yard", "park", "hill", "bush", "leaf"}, {"tree", "forest", "bush", "branch", "leaf"},
    {"water", "ocean", "lake", "river", "pool", "wave", "beach", "sand", "puddle", "dock"},
    {"street", "sidewalk", "path", "track", "floor", "mud"}, {"rock", "mountain", "hill", "sand"},
    {"building", "house", "store", "wall", "window", "door"}, {"snow", "ice", "hill", "mountain"},
    {"jacket", "sweater", "shirt", "vest", "uniform", "costume", "suit", "dress"}, {"sky", "cloud"},
    {"pants", "jeans", "shorts", "uniform", "costume", "swimsuit"}, {"toy", "sports ball", "frisbee"},
    {"rail", "fence", "stairs", "ramp", "pole"}, {"bag", "backpack", "handbag", "suitcase"},
    {"couch", "chair", "bench", "bed"}, {"cup", "wine glass", "bottle", "drink", "bowl"}, {"car", "truck", "bus"},
    {"food", "sandwich", "pizza", "cake", "plate", "hot dog"}, {"glasses", "sunglasses"}, {"bicycle", "motorcycle"},
    {"hair", "beard", "person"}, {"picture", "sign", "tv"}, {"dining table", "counter", "shelf", "cabinet"},
)  # fmt: skip


TRUTH = ("objects", "captions", "entities")  # what people say of a photo


def object_name(word: str) -> str | None:
    """Our name of an object by any word for it ("puppies" -> "dog"), None outside the vocabulary."""
    return vocabulary.words().get(word)


def object_names(words: Iterable[str]) -> set[str]:
    """Our names of objects by any words for them; words outside the vocabulary stay: nothing counts against them."""
    return {records.our_name(word, object_name) or word for word in words}


def read_samples(
    data: str | Path, needed: Sequence[str] = TRUTH, limit: int = 0, pattern: str = "*"
) -> tuple[list[Sample], list[LeftOut]]:
    """`records.read_records` with the names of our vocabulary: how every command reads annotated photos."""
    return records.read_records(data, object_name, needed, limit, pattern)


@dataclass
class AnnotatedObjects:
    """present, possible: object names. boxes, uncertain_boxes: (name, [x0, y0, x1, y1] in 0..1),
    from people or a sure detection, or from a detection below CERTAIN; phrases: (phrase, type, name, boxes).
    """

    present: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)
    boxes: list[tuple[str, list[float]]] = field(default_factory=list)
    uncertain_boxes: list[tuple[str, list[float]]] = field(default_factory=list)
    phrases: list[tuple[str, str, str, list[list[float]]]] = field(default_factory=list)


def read_record(record: dict) -> AnnotatedObjects:
    """Reads captions, human phrases, teacher detections and question-answer pairs of one record."""
    objects = AnnotatedObjects()
    texts = list(record.get("captions", []))
    # "When was the picture taken?" does not mean that a picture is in the photo.
    texts += [
        re.sub(r"\b(picture|photo)\b", "", f"{pair['question']} {pair['answer']}") for pair in record.get("qa", [])
    ]
    for text in texts:
        objects.present.update(mention.object for mention in find_mentions(text))
    for entity in record.get("entities", []):
        _read_entity(entity, objects)
    for name, score, *box in record.get("detections", []):
        if record.get("source") == "flickr8k" and name in ANIMALS and name not in objects.present:
            objects.possible.add(name)
        elif score >= CERTAIN:
            objects.present.add(name)
            objects.boxes.append((name, box))
        else:
            objects.possible.add(name)
            if not record.get("entities"):
                objects.uncertain_boxes.append((name, box))
    objects.present.update(filter(None, [vocabulary.parent(name) for name in objects.present]))
    if "person" in objects.present:
        objects.possible.update(vocabulary.PEOPLE)
    for group in NEIGHBOURS:
        if group & objects.present:
            objects.possible.update(group)
    objects.possible -= objects.present
    return objects


def _read_entity(entity: dict, objects: AnnotatedObjects) -> None:
    names = Counter(mentions[-1].object for phrase in entity["phrases"] if (mentions := find_mentions(phrase)))
    if not names or entity["type"] == "notvisual":
        return
    specific = [name for name in names if name in vocabulary.PEOPLE and name != "person"]
    name = specific[0] if specific else names.most_common(1)[0][0]
    objects.present.add(name)
    objects.boxes.extend((name, box) for box in entity["boxes"])
    objects.phrases.append((max(entity["phrases"], key=len), entity["type"], name, entity["boxes"]))
