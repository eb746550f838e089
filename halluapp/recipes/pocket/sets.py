"""The sets of training photos: how often each is drawn, what its records say for certain, what is kept out.

Of the single-category sets every tenth animal photo (ImageNet sample) and every twentieth (Caltech-101), in the order
of the shards, is never trained on: they measure "animals right".
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from halluapp.evaluation.annotations import AnnotatedObjects, object_name, object_names, read_record

# Shares of the photos of a step. 97.8 % of coco-val2017 show a person: the others keep that from becoming a habit.
WEIGHTS = {
    "flickr8k-train": 0.22, "visual7w": 0.20, "coco-val2017": 0.30, "voc5": 0.09, "caltech101": 0.06,
    "imagenet-sample": 0.07, "openimages5": 0.02, "drawings": 0.04,
}  # fmt: skip
KEPT_OUT = {"imagenet-sample": 10, "caltech101": 20}  # every n-th animal photo
# A photo of one category says nothing of other things in it, but hardly one hides one of these.
NEVER_UNNOTICED = frozenset({"elephant", "zebra", "giraffe", "bird", "horse"})


class Category(NamedTuple):
    """What a single-category photo shows, or a class of the trunk's classifier: "dog", "boxer", an animal."""

    name: str
    fine: str
    animal: bool


@dataclass
class TrainingPhoto(AnnotatedObjects):
    """certain: the names whose absence is certain (None: all that are neither present nor possible)."""

    certain: frozenset[str] | None = None
    category: Category | None = None


def read_photo(record: dict) -> TrainingPhoto:
    """The objects of a record of any training set."""
    base = read_record(record)
    photo = TrainingPhoto(**{field.name: getattr(base, field.name) for field in fields(AnnotatedObjects)})
    if "label_set" not in record:  # people's phrases and captions, or a teacher's boxes
        return photo
    photo.present |= object_names(record.get("objects", []))
    photo.boxes += [(object_name(name) or name, list(box)) for name, *box in record.get("boxes", [])]
    photo.possible -= photo.present
    photo.certain = frozenset(object_names(record.get("complete_labels", []))) - photo.present
    if record["label_set"].startswith("one category"):
        name = next(iter(record["objects"]))
        photo.category = category_of(record)
        photo.present = {object_name(name) or name}
        photo.certain = NEVER_UNNOTICED - photo.present
    return photo


def category_of(record: dict) -> Category:
    """The category of a single-category record; Caltech-101's own names ("cougar body") are no better than coarse."""
    name = record["objects"][0].lower()
    fine = record["fine"].lower() if record["source"].startswith("imagenet") else name
    return Category(name, fine, bool(record.get("animal")))


def kept_out(name: str, records: list[dict]) -> list[int]:
    """Rows of a set that are never trained on."""
    if name not in KEPT_OUT:
        return []
    return [row for row, record in enumerate(records) if record.get("animal")][:: KEPT_OUT[name]]


def class_names(keys: list[str], records: list[dict]) -> dict[int, Category]:
    """ImageNet classes by their number, read from the sample's keys (in1k_242) and records: 880 of the 1,000."""
    return {
        int(key.rpartition("_")[2]): category_of(record) for key, record in zip(keys, records, strict=True)
    }  # fmt: skip


def quota(step: int, share: float, size: int) -> range:
    """The positions, in an endless series of a set's photos, that a step takes: `share` of `size` on average."""
    return range(int(step * size * share + 1e-9), int((step + 1) * size * share + 1e-9))
