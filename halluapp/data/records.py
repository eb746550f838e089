"""The strict reader of photos' records: what people and models wrote about a photo, in one form, or refused.

A value that means something else than it seems to would be scored in silence as a hallucination of every method: a
text where texts are expected is read letter by letter, a name of another vocabulary is an object that nobody mentions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FiniteFloat, Strict, ValidationError

from halluapp.data import shards
from halluapp.data.photos import printable
from halluapp.data.shards import LeftOut, Sample
from halluapp.errors import InputError

ObjectNamer = Callable[[str], str | None]  # somebody's word for an object -> our name of it, None: we have none
FORMS = {
    "captions": "a list of texts", "objects": 'a list of names, as ["dog", "person"]',
    "entities": "a list of {type, phrases, boxes}", "detections": "a list of [name, score, x0, y0, x1, y1]",
    "boxes": "a list of [name, x0, y0, x1, y1]", "qa": "a list of {question, answer}",
}  # fmt: skip
SINGULAR = {"caption": "captions", "object": "objects", "entity": "entities", "detection": "detections", "box": "boxes"}
KINDS = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
MOST_LINES = 10  # of a log


class UnknownObject(ValueError):
    """A record names an object that our vocabulary does not have."""


def _whole_text(value: Any) -> Any:
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("half a character (a lone surrogate)")
    return value.strip() if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One text stands for a list of one; empty texts say nothing."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        return values
    return [item for item in values if not isinstance(item, str) or item.strip()]


Text = Annotated[str, Strict(), BeforeValidator(_whole_text)]
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Number = Annotated[FiniteFloat, Strict()]
Box = tuple[Number, Number, Number, Number]


class Part(BaseModel):
    """A part of a record; further keys are kept and mean nothing to us."""

    model_config = ConfigDict(extra="allow")


class Entity(Part):
    """What people named, in the words of several captions; boxes: [x0, y0, x1, y1] in 0..1."""

    type: Text
    phrases: Texts
    boxes: list[Box] = []


class QuestionAnswer(Part):
    """A question about the photo and its answer."""

    question: Text
    answer: Text


class Record(Part):
    """One photo's record; None: it does not say. objects: all categories in the photo. detections are a model's."""

    captions: Texts | None = None
    objects: Texts | None = None
    entities: list[Entity] | None = None
    detections: list[tuple[Text, Number, Number, Number, Number, Number]] | None = None
    boxes: list[tuple[Text, Number, Number, Number, Number]] | None = None
    qa: list[QuestionAnswer] | None = None


def parse_record(value: Any, where: str, name_of: ObjectNamer) -> dict[str, Any]:
    """A record's JSON -> the record in one form: lists, without nulls, objects by our names.

    where: whose record it is, for the sentence. Raises InputError for another shape, UnknownObject for an object that
    `name_of` does not know. Boxes of such objects keep their names: nothing is counted for or against them.
    """
    if not isinstance(value, dict):
        raise InputError(f"The record of {where} is {_kind(value)}, not an object with {', '.join(FORMS)}.")
    try:
        record = Record.model_validate(_our_keys(value)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise InputError(_refusal(error, where)) from error
    if "objects" in record:
        whole = len(record["objects"]) == 1 and our_name(record["objects"][0], name_of) is None
        words = re.split(r"\s*[,;]\s*", record["objects"][0]) if whole else record["objects"]
        unknown = next((word for word in words if our_name(word, name_of) is None), None)
        if unknown is not None:
            raise UnknownObject(f"its object {printable(unknown, 40)!r} is no name that we know; use COCO's names")
        record["objects"] = list(dict.fromkeys(our_name(word, name_of) for word in words))
    for part in ("detections", "boxes"):
        if part in record:
            record[part] = [[our_name(name, name_of) or name, *numbers] for name, *numbers in record[part]]
    for entity in record.get("entities", []):
        entity["boxes"] = [list(box) for box in entity["boxes"]]
    return record


def read_records(
    source: str | Path, name_of: ObjectNamer, needed: Sequence[str], limit: int = 0, pattern: str = "*"
) -> tuple[list[Sample], list[LeftOut]]:
    """(Photos with checked records that say something of `needed`, what was left out and why).

    source, pattern: as `shards.read` takes them. needed: () for photos with any record. limit: stops after so many
    photos (0: reads all); without one, both lists together are all that is there. Raises InputError for a record of
    another shape, and where no photo is left.
    """
    if limit < 0:
        raise InputError(f"The limit must be 0 (all photos) or more, not {limit}.")
    samples: list[Sample] = []
    left_out: list[LeftOut] = []
    for sample in shards.read(source, pattern, left_out):
        try:
            record = parse_record(sample.record, f"{printable(sample.key)} in {sample.source}", name_of)
        except UnknownObject as error:
            left_out.append(LeftOut(sample.key, str(error)))
            continue
        if not needed or any(record.get(part) for part in needed):
            samples.append(Sample(sample.key, sample.jpeg, record, sample.source))
        else:
            left_out.append(LeftOut(sample.key, f"its record has no {' or '.join(needed)}"))
        if limit and len(samples) == limit:
            break
    if not samples:
        why = f": {described(left_out, 1)[0]}" if left_out else "."
        about = f" ({', '.join(needed)} in KEY.json)" if needed else ""
        raise InputError(f"{Path(source).name} has no annotated photos{about}{why}")
    return samples, left_out


def described(left_out: Iterable[LeftOut], most: int = MOST_LINES) -> list[str]:
    """A line for each of the first, and one that counts the others."""
    lines = [f"{printable(item.key)} is left out: {item.reason}." for item in left_out]
    rest = [f"{len(lines) - most} more are left out."] if len(lines) > most else []
    return lines[:most] + ([] if most == 1 else rest)


def _our_keys(value: dict) -> dict:
    """Keys in capitals or in the singular ("Objects", "caption") mean ours, where ours are not there."""
    record = {key: item for key, item in value.items() if key in FORMS and item is not None}
    for key, item in value.items():
        ours = SINGULAR.get(key.lower(), key.lower())
        if key not in FORMS:
            record.setdefault(ours if ours in FORMS else key, item)
    return record


def our_name(word: str, name_of: ObjectNamer) -> str | None:
    """`name_of` a word, whatever its capitals, blanks, hyphens and underscores are ("Traffic_Light")."""
    return name_of(" ".join(re.sub(r"[_-]", " ", word).lower().split())) or name_of(" ".join(word.lower().split()))


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def _refusal(error: ValidationError, where: str) -> str:
    """One sentence: the first fault of a record, and what stands there in ours."""
    first = error.errors()[0]
    part = str(first["loc"][0])
    path = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"The record of {where} lacks {path}; {part} must be {FORMS[part]}."
    half = " with half a character (a lone surrogate)" if first["type"] == "value_error" else ""
    return f"The record of {where} has {_kind(first['input'])}{half} at {path}; {part} must be {FORMS[part]}."
